//! Ranges of bytes, as HTTP asks for them and answers.

use std::ops::Range;

use crate::source::error::SourceError;

/// The bytes of an archive that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    pub from: u64,
    /// The byte after the last one
    pub end: Option<u64>,
}

impl ByteRange {
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

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self { from: range.start, end: Some(range.end) }
    }
}

/// The whole archive's length, from an answer that brings the range that was asked for.
pub(crate) fn total_length(
    range: ByteRange,
    content_range: Option<&str>,
    length: Option<u64>,
) -> Result<Option<u64>, SourceError> {
    match content_range.and_then(parse_content_range) {
        Some((from, total)) if from == range.from => Ok(total),
        Some(_) if range.from == 0 => Err(SourceError::Refused(
            "the answer was another part than the one that was asked for".into(),
        )),
        None if range.from == 0 => Ok(length), // a server without ranges may send more than was asked for
        _ => Err(SourceError::CannotResume(range.from)),
    }
}

/// The first byte and the whole length, of `bytes FIRST-LAST/TOTAL`.
fn parse_content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split('-').next()?.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_asked_for_as_http_counts_it() {
        let asked = [ByteRange::ALL, ByteRange { from: 5, end: None }, ByteRange::from(0..10)]
            .map(ByteRange::header);
        assert_eq!(asked, [None, Some("bytes=5-".into()), Some("bytes=0-9".into())]);
    }

    #[test]
    fn an_answer_s_range_is_read() {
        assert_eq!(parse_content_range("bytes 5-9/100"), Some((5, Some(100))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(parse_content_range("items 5-9/100"), None);
    }
}
