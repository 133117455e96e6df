//! The bytes of an archive as they come, and what is known of them.

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_checksums::{ChecksumAlgorithm, http::HttpChecksum};
use aws_smithy_types::base64;
use bytes::Bytes;

/// Handed on at once, in bytes.
pub(crate) const CHUNK: usize = 64 << 10;

/// An archive, or a range of one, that has begun to come.
pub struct Opened {
    pub(crate) body: Body,
    /// Bytes of the whole archive
    pub total: Option<u64>,
    /// Its entity tag or its date, which no other archive under the same name has
    pub validator: Option<String>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) alteration: Option<Alteration>,
}

/// Why the bytes that come may have been altered since they were stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// They have this `Content-Encoding`, which the store or something on the way gave them
    Encoded(String),
    /// They came without a length, as from a server that packs or unpacks while it sends
    NoLength,
    /// They are a plain tar, though the archive's name ends in `gz`
    Unpacked,
}

impl Alteration {
    /// What an answer's headers give reason to.
    pub(crate) fn of(encoding: Option<&str>, length: Option<u64>) -> Option<Self> {
        // What clients of S3 add to uploads that they cut into chunks; it says nothing of the bytes.
        let encoding = encoding.unwrap_or_default().split(',').map(str::trim);
        let encoded = encoding.filter(|coding| !["", "identity", "aws-chunked"].contains(coding));
        match encoded.collect::<Vec<_>>().join(", ") {
            encoded if !encoded.is_empty() => Some(Self::Encoded(encoded)),
            _ => length.is_none().then_some(Self::NoLength),
        }
    }
}

/// Bytes that come one chunk after the other.
pub(crate) struct Body {
    stream: ByteStream,
    /// Of the last chunk that came
    rest: Bytes,
}

impl From<ByteStream> for Body {
    fn from(stream: ByteStream) -> Self {
        Self { stream, rest: Bytes::new() }
    }
}

/// They stopped before their end.
#[derive(Debug)]
pub(crate) struct BodyError;

impl Body {
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if self.rest.is_empty() {
            match self.stream.next().await? {
                Ok(chunk) => self.rest = chunk,
                Err(_) => return Some(Err(BodyError)),
            }
        }
        // Copied, or whatever waits would keep alive the connection's buffer, of up to 400 kB.
        let chunk = self.rest.split_to(self.rest.len().min(CHUNK));
        Some(Ok(Bytes::copy_from_slice(&chunk)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_suspect_when_something_may_have_changed_them_on_the_way() {
        let encoded = |encoding: &str| Some(Alteration::Encoded(encoding.into()));
        assert_eq!(Alteration::of(None, Some(1)), None);
        assert_eq!(Alteration::of(Some("identity"), Some(1)), None);
        assert_eq!(Alteration::of(Some("aws-chunked"), Some(1)), None);
        assert_eq!(Alteration::of(Some("gzip"), Some(1)), encoded("gzip"));
        assert_eq!(Alteration::of(Some("gzip,aws-chunked"), None), encoded("gzip"));
        assert_eq!(Alteration::of(None, None), Some(Alteration::NoLength));
    }
}
