//! One value that a model gave, and how a scalar becomes the value of a label.

use std::borrow::Cow;

use step::text::within;

use crate::json::{Document, Kind};

/// Of a category, in bytes
pub(super) const LONGEST: usize = 64;
/// A label whose value is empty is no label.
const EMPTY: &str = "(empty)";

/// One value that a model gave
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'a> {
    Category(&'a str),
    /// A number, and the upper bounds of the histogram that it goes into
    Number(f64, &'a [f64]),
}

/// A scalar as the value of a label
pub(super) fn category(value: Document<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::Text => Some(label(value.text()?)),
        _ => Some(label(value.source().into())),
    }
}

/// One line of at most 64 bytes in which nothing acts, `…` at the end of one that is cut.
pub(super) fn label(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_plain = text.len() <= LONGEST
        && text.bytes().all(|c| c.is_ascii_graphic() || c == b' ')
        && text.trim_ascii().len() == text.len();
    let text = if is_plain { text } else { within(&text, LONGEST).into() };
    if text.is_empty() { EMPTY.into() } else { text }
}
