//! Counts and hashes what is written, on its way.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};
use step::text::hex;

/// What a layer has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Of the bytes that were written: `sha256:` and 64 digits
    pub digest: String,
    /// Of the tar in them, in the same form; equal to the digest where nothing is compressed
    pub diff_id: String,
    /// Bytes that were written
    pub size: u64,
}

/// Hashes all that goes to another writer.
#[derive(Debug)]
pub(crate) struct Counted<W> {
    inner: W,
    sha256: Sha256,
    size: u64,
}

impl<W> Counted<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, sha256: Sha256::new(), size: 0 }
    }

    /// The writer, the digest and the bytes.
    pub(crate) fn finish(self) -> (W, String, u64) {
        (self.inner, digest(self.sha256), self.size)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// As registries write it.
pub(crate) fn digest(sha256: Sha256) -> String {
    format!("sha256:{}", hex(&sha256.finalize()))
}
