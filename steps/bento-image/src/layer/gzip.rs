//! Gzip that gives the same bytes for the same input, however that arrives.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Bytes that the compressor gets at once. What it makes of them depends on where its input is cut, so it is
/// always cut here.
const CHUNK: usize = 64 << 10;
/// Deflate, no name, no time, best for nothing in particular, made on an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// One gzip member. Not flate2's: that one writes the end of a stream that was only dropped.
#[derive(Debug)]
pub(crate) struct Gzip<W> {
    inner: W,
    compress: Compress,
    crc: Crc,
    chunk: Vec<u8>,
    packed: Vec<u8>,
}

impl<W: Write> Gzip<W> {
    pub(crate) fn new(inner: W) -> Self {
        let mut packed = Vec::with_capacity(CHUNK);
        packed.extend(HEADER);
        let compress = Compress::new(Compression::new(6), false);
        Self { inner, compress, crc: Crc::new(), chunk: Vec::with_capacity(CHUNK), packed }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.compress(FlushCompress::Finish)?;
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.inner)
    }

    /// Compresses the chunk, and with `Finish` what is left inside.
    fn compress(&mut self, flush: FlushCompress) -> io::Result<()> {
        self.crc.update(&self.chunk);
        let begin = self.compress.total_in();
        loop {
            let used = usize::try_from(self.compress.total_in() - begin).unwrap_or(usize::MAX);
            let rest = self.chunk.get(used..).unwrap_or_default();
            if rest.is_empty() && !matches!(flush, FlushCompress::Finish) {
                break;
            }
            let status = self.compress.compress_vec(rest, &mut self.packed, flush);
            let status = status.map_err(io::Error::other)?;
            self.inner.write_all(&self.packed)?;
            self.packed.clear();
            if status == Status::StreamEnd {
                break;
            }
        }
        self.chunk.clear();
        Ok(())
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == CHUNK {
            self.compress(FlushCompress::None)?;
        }
        Ok(count)
    }

    /// Nothing: a flush would show in the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
