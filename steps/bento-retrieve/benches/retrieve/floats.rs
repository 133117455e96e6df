//! Weights for the models of benchmarks.

use std::io::{self, Read};

/// Weights of a model: 32-bit floats around zero, which gzip makes 8 % smaller.
pub(crate) struct Floats {
    state: u64,
    left: Vec<u8>,
}

impl Floats {
    /// The same number gives the same floats.
    pub(crate) fn new(number: u64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15 ^ number, left: Vec::new() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "an f32 is what a weight is")]
    fn next(&mut self) -> f32 {
        let mut unit = || {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            (self.state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (((0..6).map(|_| unit()).sum::<f64>() - 3.0) * 0.05) as f32 // a sum of six is nearly normal
    }
}

impl Read for Floats {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            self.left = (0..16_384).flat_map(|_| self.next().to_le_bytes()).collect();
        }
        let count = buffer.len().min(self.left.len());
        buffer[..count].copy_from_slice(&self.left[..count]);
        self.left.drain(..count);
        Ok(count)
    }
}
