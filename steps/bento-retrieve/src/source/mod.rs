//! Something that an archive is read from.

pub mod aws_profile;
mod client;
pub mod error;
pub mod http;
pub mod s3;

use std::{fmt, io, ops::Range, path::PathBuf};

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_checksums::{ChecksumAlgorithm, http::HttpChecksum};
use aws_smithy_types::base64;
use bytes::{Bytes, BytesMut};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, SeekFrom, Take},
};

use crate::{source::error::Fault, source::http::Page, source::s3::Object};

/// What is handed on at once, in bytes.
const PIECE: usize = 64 << 10;

/// Where an archive is.
#[derive(Clone, Debug)]
pub enum Source {
    Object(Object),
    Page(Page),
    File(PathBuf),
}

/// The bytes of an archive that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub from: u64,
    /// The byte after the last one
    pub end: Option<u64>,
}

impl Part {
    pub const ALL: Self = Self { from: 0, end: None };

    /// For the header `Range`, unless it is all.
    pub(crate) fn header(self) -> Option<String> {
        match self {
            Self { from: 0, end: None } => None,
            Self { from, end: None } => Some(format!("bytes={from}-")),
            Self { from, end: Some(end) } => {
                Some(format!("bytes={from}-{}", end.saturating_sub(1)))
            }
        }
    }
}

impl From<Range<u64>> for Part {
    fn from(range: Range<u64>) -> Self {
        Self { from: range.start, end: Some(range.end) }
    }
}

/// An archive, or a part of one, that has begun to come.
pub struct Opened {
    pub(crate) body: Body,
    /// Bytes of the whole archive
    pub total: Option<u64>,
    /// What tells it from any other that may take its place
    pub mark: Option<String>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) doubt: Option<Doubt>,
}

/// Why the bytes that come may be others than those that are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// They have this `Content-Encoding`, which the store or something on the way gave them
    Encoded(String),
    /// They came without a length, as from a server that packs or unpacks while it sends
    NoLength,
    /// They are a plain tar, though the archive's name ends in `gz`
    Unpacked,
}

impl Doubt {
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

/// Bytes that come one piece after the other.
pub(crate) enum Body {
    Stream {
        stream: ByteStream,
        /// Of the last piece that came
        rest: Bytes,
    },
    File(Take<File>),
}

impl From<ByteStream> for Body {
    fn from(stream: ByteStream) -> Self {
        Self::Stream { stream, rest: Bytes::new() }
    }
}

/// They stopped before their end.
#[derive(Debug)]
pub(crate) struct Broken;

impl Body {
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        match self {
            Self::Stream { stream, rest } => {
                if rest.is_empty() {
                    match stream.next().await? {
                        Ok(piece) => *rest = piece,
                        Err(_) => return Some(Err(Broken)),
                    }
                }
                // Copied, or whatever waits would keep alive the connection's buffer, of up to 400 kB.
                let piece = rest.split_to(rest.len().min(PIECE));
                Some(Ok(Bytes::copy_from_slice(&piece)))
            }
            Self::File(file) => {
                let mut piece = BytesMut::with_capacity(PIECE);
                match file.read_buf(&mut piece).await {
                    Ok(0) => None,
                    Ok(_) => Some(Ok(piece.freeze())),
                    Err(_) => Some(Err(Broken)),
                }
            }
        }
    }
}

impl Source {
    /// Opens a part of it, and only if it is still the one with the mark `same`.
    pub async fn open(&self, part: Part, same: Option<&str>) -> Result<Opened, Fault> {
        match self {
            Self::Object(object) => object.open(part, same).await,
            Self::Page(page) => page.open(part, same).await,
            Self::File(path) => open_file(path.clone(), part).await,
        }
    }
}

async fn open_file(path: PathBuf, part: Part) -> Result<Opened, Fault> {
    let open = async {
        let mut file = File::open(path).await?;
        let metadata = file.metadata().await?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        file.seek(SeekFrom::Start(part.from)).await?;
        // A file may grow while it is read; what it had at first is the archive.
        let end = part.end.unwrap_or(u64::MAX).min(metadata.len());
        Ok((file.take(end.saturating_sub(part.from)), metadata.len()))
    };
    let (file, total) = open.await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::NoObject,
        _ => Fault::Refused(error.to_string()),
    })?;
    Ok(Opened {
        body: Body::File(file),
        total: Some(total),
        mark: None,
        checksum: None,
        doubt: None,
    })
}

/// The whole archive's length, from an answer that brings the part that was asked for.
pub(crate) fn whole(
    part: Part,
    range: Option<&str>,
    length: Option<u64>,
) -> Result<Option<u64>, Fault> {
    match range.and_then(content_range) {
        Some((from, total)) if from == part.from => Ok(total),
        Some(_) if part.from == 0 => Err(Fault::Refused(
            "the answer was another part than the one that was asked for".into(),
        )),
        None if part.from == 0 => Ok(length), // a server without ranges may send more than was asked for
        _ => Err(Fault::CannotResume(part.from)),
    }
}

/// The first byte and the whole length, of `bytes FIRST-LAST/TOTAL`.
fn content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split('-').next()?.parse().ok()?, total.parse().ok()))
}

impl Source {
    /// Whether its name says that gzip has packed it.
    pub(crate) fn is_named_gz(&self) -> bool {
        let name = match self {
            Self::Object(object) => object.key.as_str(),
            Self::Page(page) => page.path(),
            Self::File(path) => path.to_str().unwrap_or_default(),
        };
        [".gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Page(page) => page.fmt(f),
            Self::File(path) => path.display().fmt(f),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_asked_for_as_http_counts_it() {
        let asked = [Part::ALL, Part { from: 5, end: None }, Part::from(0..10)].map(Part::header);
        assert_eq!(asked, [None, Some("bytes=5-".into()), Some("bytes=0-9".into())]);
    }

    #[test]
    fn bytes_are_doubted_when_something_may_have_changed_them_on_the_way() {
        let encoded = |encoding: &str| Some(Doubt::Encoded(encoding.into()));
        assert_eq!(Doubt::of(None, Some(1)), None);
        assert_eq!(Doubt::of(Some("identity"), Some(1)), None);
        assert_eq!(Doubt::of(Some("aws-chunked"), Some(1)), None);
        assert_eq!(Doubt::of(Some("gzip"), Some(1)), encoded("gzip"));
        assert_eq!(Doubt::of(Some("gzip,aws-chunked"), None), encoded("gzip"));
        assert_eq!(Doubt::of(None, None), Some(Doubt::NoLength));
    }

    #[test]
    fn an_answer_s_range_is_read() {
        assert_eq!(content_range("bytes 5-9/100"), Some((5, Some(100))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(content_range("items 5-9/100"), None);
    }
}
