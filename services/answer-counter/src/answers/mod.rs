//! The answers in a document.
//!
//! - `answer`: one value that a model gave
//! - `names`: members that by their name are no answer
//! - `by_itself`: what is counted of a service that the config says nothing about
//! - this file: that, or what a config names

mod answer;
mod by_itself;
mod names;

pub use self::answer::Answer;
use self::answer::category;
use crate::{
    config::{Field, Selection, What},
    json::{Document, Kind},
};

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

#[cfg(test)]
mod tests;
