//! What is counted of a service that the config says nothing about: categories only, of the V1 and the V2
//! inference protocol and of plain JSON.

use std::borrow::Cow;

use step::text::clean;

use super::{
    answer::{Answer, LONGEST, label},
    names::is_no_answer,
};
use crate::{
    json::{Document, Kind},
    pointer::{escaped, scalars},
};

/// Of an integer that is a category: a class has few, a count, a year or a price more.
const MOST_DIGITS: usize = 3;

type Each<'e> = &'e mut dyn FnMut(&str, Answer<'_>);

pub(super) fn answers(document: Document<'_>, version: &str, each: Each<'_>) {
    let version = Own(version);
    match document.kind() {
        Kind::Object => {
            if let Some(outputs) = document.member("outputs").filter(|outputs| is_v2(*outputs)) {
                return outputs.elements(|_, output| v2(output, version, each));
            }
            if let Some(predictions) = document.member("predictions") {
                return values("/predictions", predictions, version, each);
            }
            members("", document, &mut |field, value| shallow(field, value, version, each));
        }
        _ => values("", document, version, each),
    }
}

/// A scalar; each of an array; the members of an object, or of each object of an array.
fn values(field: &str, value: Document<'_>, version: Own<'_>, each: Each<'_>) {
    let whole = if field.is_empty() { "/" } else { field };
    match value.kind() {
        Kind::Object => members(field, value, &mut |field, value| {
            scalar(field, value, version, each);
        }),
        Kind::Array => {
            let inner = format!("{field}/*");
            value.elements(|_, element| match element.kind() {
                Kind::Object => members(&inner, element, &mut |field, value| {
                    scalar(field, value, version, each);
                }),
                _ => scalar(whole, element, version, each),
            });
        }
        _ => scalar(whole, value, version, each),
    }
}

/// A scalar, or each of an array
fn shallow(field: &str, value: Document<'_>, version: Own<'_>, each: Each<'_>) {
    match value.kind() {
        Kind::Array => value.elements(|_, element| scalar(field, element, version, each)),
        _ => scalar(field, value, version, each),
    }
}

/// The members of an object that may be answers
fn members(field: &str, object: Document<'_>, each: &mut dyn FnMut(&str, Document<'_>)) {
    object.members(|name, value| {
        if is_field(name) {
            each(&format!("{field}/{}", escaped(name)), value);
        }
    });
}

fn is_field(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && clean(name) == name && !is_no_answer(name)
}

fn scalar(field: &str, value: Document<'_>, version: Own<'_>, each: Each<'_>) {
    let text: Option<Cow<'_, str>> = match value.kind() {
        Kind::Text => {
            value.text().filter(|text| text.len() <= LONGEST && !version.is(text)).map(label)
        }
        Kind::Boolean => Some(value.source().into()),
        Kind::Number => is_class(value.source()).then(|| value.source().into()),
        Kind::Null | Kind::Array | Kind::Object => None,
    };
    if let Some(text) = text {
        each(field, Answer::Category(&text));
    }
}

/// A whole number of few digits, written as one
fn is_class(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() <= MOST_DIGITS && digits.bytes().all(|c| c.is_ascii_digit()) && number != "-0"
}

/// An array of objects with the members that an output must have
fn is_v2(outputs: Document<'_>) -> bool {
    let mut all = outputs.kind() == Kind::Array;
    let mut any = false;
    outputs.elements(|_, output| {
        any = true;
        all = all && ["name", "datatype"].iter().all(|name| has_text(output, name));
    });
    any && all
}

fn has_text(output: Document<'_>, name: &str) -> bool {
    output.member(name).is_some_and(|value| value.kind() == Kind::Text)
}

/// The data of an output, unless they are floats.
fn v2(output: Document<'_>, version: Own<'_>, each: Each<'_>) {
    let text = |name: &str| output.member(name).and_then(Document::text).unwrap_or_default();
    let (name, datatype) = (text("name"), text("datatype"));
    let is_category = matches!(&*datatype, "BYTES" | "BOOL")
        || ["INT", "UINT"].iter().any(|prefix| datatype.starts_with(prefix));
    if let Some(data) = output.member("data").filter(|_| is_category && is_field(&name)) {
        let field = format!("/outputs/{}", escaped(&name));
        scalars(data, 0, &mut |value| scalar(&field, value, version, each));
    }
}

/// The version of the model that answered. An answer that repeats it is none, or every canary would differ;
/// but a version that may as well be a class (`2`, `blue`) cannot be told from one.
#[derive(Clone, Copy)]
struct Own<'a>(&'a str);

impl Own<'_> {
    fn is(self, answer: &str) -> bool {
        let has = |is: fn(&u8) -> bool| self.0.bytes().any(|c| is(&c));
        let is_telling =
            has(u8::is_ascii_digit) && (has(|c| !c.is_ascii_digit()) || self.0.len() > MOST_DIGITS);
        answer == self.0 && is_telling
    }
}
