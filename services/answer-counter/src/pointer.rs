//! Where in a document an answer stands: a JSON pointer (RFC 6901) that also goes through arrays.

use std::fmt;

use serde::{Deserialize, de::Error as _};

use crate::json::{Document, Kind};

/// Of a pointer, in bytes: it is the value of a label.
const LONGEST: usize = 128;
const MOST_TOKENS: usize = 8;
/// Of arrays in arrays below what a pointer names, as tensors have them
const MOST_DIMENSIONS: usize = 8;

/// `/species`, `/predictions/0/label`, `/predictions/*/label`; `/` is the whole document.
///
/// On an array, `*` is each element, a number the one at that place, and any other token the element whose
/// member `name` it is, as the outputs of the V2 inference protocol have it: at the end of the pointer, that
/// one's `data`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    text: Box<str>,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Token {
    name: Box<str>,
    place: Option<usize>,
}

impl Pointer {
    /// What is wrong with it, as the end of a sentence
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else { return Err("does not begin with `/`") };
        if text.len() > LONGEST {
            return Err("is longer than 128 bytes");
        }
        if step::text::clean(text) != text {
            return Err("has characters that are not shown");
        }
        let tokens = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        if tokens.len() > MOST_TOKENS {
            return Err("has more than 8 parts");
        }
        let tokens = tokens.into_iter().map(Token::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), tokens })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Gives each value below it that is neither an object nor an array.
    pub(crate) fn scalars<'a>(&self, document: Document<'a>, each: &mut dyn FnMut(Document<'a>)) {
        follow(&self.tokens, document, each);
    }
}

impl Token {
    fn parse(token: &str) -> Result<Self, &'static str> {
        let mut name = String::with_capacity(token.len());
        let mut chars = token.chars();
        while let Some(c) = chars.next() {
            name.push(match c {
                '~' => match chars.next() {
                    Some('0') => '~',
                    Some('1') => '/',
                    _ => return Err("has a `~` that is neither `~0` nor `~1`"),
                },
                c => c,
            });
        }
        // An index has no leading zero.
        let is_place =
            name.bytes().all(|c| c.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
        let place = is_place.then(|| name.parse().ok()).flatten();
        Ok(Self { name: name.into(), place })
    }
}

fn follow<'a>(tokens: &[Token], value: Document<'a>, each: &mut dyn FnMut(Document<'a>)) {
    let Some((token, rest)) = tokens.split_first() else { return scalars(value, 0, each) };
    match value.kind() {
        Kind::Object => {
            if let Some(member) = value.member(&token.name) {
                follow(rest, member, each);
            }
        }
        Kind::Array if &*token.name == "*" => {
            value.elements(|_, element| follow(rest, element, each));
        }
        Kind::Array => value.elements(|at, element| match token.place {
            Some(place) if place == at => follow(rest, element, each),
            Some(_) => {}
            None if !is_named(element, &token.name) => {}
            None if rest.is_empty() => {
                if let Some(data) = element.member("data") {
                    scalars(data, 0, each);
                }
            }
            None => follow(rest, element, each),
        }),
        _ => {}
    }
}

fn is_named(element: Document<'_>, name: &str) -> bool {
    let found = element.member("name").filter(|found| found.kind() == Kind::Text);
    found.and_then(Document::text).is_some_and(|found| found == name)
}

/// Gives a scalar, and each of an array, and each of its arrays.
pub(crate) fn scalars<'a>(value: Document<'a>, depth: usize, each: &mut dyn FnMut(Document<'a>)) {
    match value.kind() {
        Kind::Array if depth < MOST_DIMENSIONS => {
            value.elements(|_, element| scalars(element, depth + 1, each));
        }
        Kind::Array | Kind::Object => {}
        _ => each(value),
    }
}

/// A name as a token of a pointer
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|fault| {
            D::Error::custom(format_args!(
                "a pointer {fault}: write it like `/species` or `/predictions/*/label`"
            ))
        })
    }
}

#[cfg(test)]
mod tests;
