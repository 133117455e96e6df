//! How an archive is packed, told by its first bytes.

use crate::archive::error::ArchiveError;

/// A way of packing. Names and content types lie; first bytes do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Tar,
    Gzip,
    Xz,
    Bzip2,
    Zip,
}

impl Format {
    /// Bytes of an archive that tell its format.
    pub const HEAD: usize = 262;

    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', ..] => Some(Self::Bzip2),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            _ => (head.get(257..262) == Some(b"ustar")).then_some(Self::Tar),
        }
    }
}

/// What it is, if it is none of the formats: things that are found where an archive should be.
pub(crate) fn not_an_archive(head: &[u8]) -> ArchiveError {
    let text = head.trim_ascii_start().to_ascii_lowercase();
    // `aws-chunked`: a length in hexadecimal, and perhaps a signature, in a line before each piece.
    let digits = head.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let after = &head[digits..];
    if [&b"<!doctype html"[..], b"<html"].iter().any(|start| text.starts_with(start)) {
        ArchiveError::WebPage
    } else if digits > 0 && (after.starts_with(b"\r\n") || after.starts_with(b";chunk-signature="))
    {
        ArchiveError::Framed
    } else {
        ArchiveError::Format
    }
}
