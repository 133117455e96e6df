//! Something that an archive is read from.

use std::fmt;

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_checksums::{ChecksumAlgorithm, http::HttpChecksum};
use aws_smithy_types::base64;

use crate::{fault::Fault, store::Object};

/// Where an archive is.
#[derive(Clone, Debug)]
pub enum Source {
    Object(Object),
}

/// An archive that has begun to come.
pub struct Opened {
    pub(crate) body: ByteStream,
    /// Bytes of the whole archive
    pub(crate) total: Option<u64>,
    /// What tells it from any other that may take its place
    pub(crate) etag: Option<String>,
    pub(crate) checksum: Option<Checksum>,
}

impl Source {
    /// Opens it from a byte on, and only if it is still the one with the tag `same`.
    pub async fn open(&self, from: u64, same: Option<&str>) -> Result<Opened, Fault> {
        match self {
            Self::Object(object) => object.open(from, same).await,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
        }
    }
}

/// A checksum that the store has for the whole archive, and what has come of it so far.
pub(crate) struct Checksum {
    expected: Vec<u8>,
    so_far: Box<dyn HttpChecksum>,
}

impl Checksum {
    /// Nothing for an algorithm or a value that is not known.
    pub(crate) fn new(algorithm: &str, base64: &str) -> Option<Self> {
        let algorithm: ChecksumAlgorithm = algorithm.parse().ok()?;
        Some(Self { expected: base64::decode(base64).ok()?, so_far: algorithm.into_impl() })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.so_far.update(bytes);
    }

    pub(crate) fn holds(self) -> bool {
        self.so_far.finalize() == self.expected
    }
}
