//! The answers in a document.
//!
//! - `names`: members that by their name are no answer
//! - `by_itself`: what is counted of a service that the config says nothing about
//! - this file: categories and numbers, and what a config names

mod by_itself;
mod names;

use std::borrow::Cow;

use step::text::within;

use crate::{
    config::{Field, Selection, What},
    json::{Document, Kind},
};

/// Of a category, in bytes: it is the value of a label.
const LONGEST: usize = 64;
/// A label whose value is empty is no label.
const EMPTY: &str = "(empty)";

/// One value that a model gave
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'a> {
    Category(&'a str),
    /// A number, and the upper bounds of the histogram that it goes into
    Number(f64, &'a [f64]),
}

/// The document is not JSON, or none that can be counted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no JSON")]
pub struct Unreadable;

/// Gives each answer in a document with the field that it stands in, in the document's order within a field.
/// Of a document that cannot be read it gives none. `version` is that of the model that answered.
pub fn answers(
    selection: &Selection,
    version: &str,
    body: &[u8],
    mut each: impl FnMut(&str, Answer<'_>),
) -> Result<(), Unreadable> {
    let document = Document::read(body).ok_or(Unreadable)?;
    match selection {
        Selection::Fields(fields) => {
            for field in fields {
                selected(field, document, &mut each);
            }
        }
        Selection::ByItself { except } => {
            by_itself::answers(document, version, &mut |field, answer| {
                if !except.iter().any(|pointer| pointer.as_str() == field) {
                    each(field, answer);
                }
            });
        }
    }
    Ok(())
}

fn selected(field: &Field, document: Document<'_>, each: &mut dyn FnMut(&str, Answer<'_>)) {
    let name = field.pointer.as_str();
    field.pointer.scalars(document, &mut |value| match &field.what {
        What::Category => {
            if let Some(text) = category(value) {
                each(name, Answer::Category(&text));
            }
        }
        What::Number(bounds) => {
            let number = (value.kind() == Kind::Number).then(|| value.source().parse().ok());
            if let Some(number) = number.flatten() {
                each(name, Answer::Number(number, bounds));
            }
        }
    });
}

/// A scalar as the value of a label: one line of at most 64 bytes in which nothing acts, `…` at the end of
/// one that is cut.
fn category(value: Document<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::Text => Some(label(value.text()?)),
        _ => Some(label(value.source().into())),
    }
}

fn label(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_plain = text.len() <= LONGEST
        && text.bytes().all(|c| c.is_ascii_graphic() || c == b' ')
        && text.trim_ascii().len() == text.len();
    let text = if is_plain { text } else { within(&text, LONGEST).into() };
    if text.is_empty() { EMPTY.into() } else { text }
}

#[cfg(test)]
mod tests;
