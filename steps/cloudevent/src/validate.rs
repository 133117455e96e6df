//! The specification's rules for attributes and data.
//!
//! The SDK's builder asks for id, source and type alone, and lets pass what would end a header, shadow an
//! attribute or be no JSON. Each error here says what to write instead.

use std::collections::BTreeSet;

use cloudevents::event::ExtensionValue;
use serde_json::value::RawValue;
use step::Usage;

/// Names that mean something else on the wire; an extension of that name would shadow it.
const CORE: [&str; 9] = [
    "id",
    "source",
    "type",
    "specversion",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
];

/// Longer names are legal, and the specification asks nobody to write them.
const LONGEST_NAME: usize = 20;

/// An extension that this catalog sends; longer names are legal.
pub(crate) fn short_names(extensions: &[(String, ExtensionValue)]) -> Result<(), Usage> {
    extensions.iter().try_for_each(|(name, _)| attribute_name(name, name.len() <= LONGEST_NAME))
}

pub(crate) fn source(source: &str) -> Result<(), Usage> {
    text("source", source)?;
    require(
        is_uri_reference(source),
        || format!("source `{source}` is not a valid URI reference"),
        "write a path such as `/tekton/team/pipelines/canary-release`, or a URL; other characters as `%20`",
    )
}

pub(crate) fn time(time: &str) -> Result<(), Usage> {
    require(
        chrono::DateTime::parse_from_rfc3339(time).is_ok(),
        || format!("time `{time}` is not of RFC 3339"),
        "write it as `2026-11-24T06:07:00Z`",
    )
}

pub(crate) fn dataschema(schema: &str) -> Result<(), Usage> {
    require(
        has_scheme(schema) && is_uri_reference(schema),
        || format!("dataschema `{schema}` is not a valid absolute URI"),
        "write it as `https://schemas.example.com/release/v1/requested.schema.json`",
    )
}

pub(crate) fn data(media_type: Option<&str>, data: &[u8]) -> Result<(), Usage> {
    let media_type = media_type.unwrap_or("application/json");
    require(
        is_media_type(media_type),
        || format!("datacontenttype `{media_type}` is not a valid media type"),
        "write it as `application/json` or `text/plain; charset=utf-8`",
    )?;
    if data.is_empty() || !is_json(media_type) {
        return Ok(());
    }
    serde_json::from_slice::<&RawValue>(data).map(drop).map_err(|error| Usage {
        what: format!("data is not valid JSON: {error}"),
        hint: "fix it, or set `datacontenttype`".into(),
    })
}

pub(crate) fn extensions(extensions: &[(String, ExtensionValue)]) -> Result<(), Usage> {
    let mut known = BTreeSet::new();
    for (name, value) in extensions {
        let fits = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        attribute_name(name, !name.is_empty() && name.bytes().all(fits))?;
        require(
            !CORE.contains(&name.as_str()),
            || format!("extension `{name}` would shadow the attribute of that name"),
            "use the attribute's own flag, or another name",
        )?;
        require(
            known.insert(name),
            || format!("extension `{name}` is given twice"),
            "give it once; `correlationid`, `causationid` and `chainhops` have flags of their own",
        )?;
        match value {
            ExtensionValue::String(value) => text(name, value)?,
            ExtensionValue::Integer(number) => require(
                i32::try_from(*number).is_ok(),
                || {
                    format!(
                        "extension `{name}` is {number}, which is not a valid Integer of 32 bits"
                    )
                },
                "send it as a string",
            )?,
            ExtensionValue::Boolean(_) => {}
        }
    }
    Ok(())
}

fn attribute_name(name: &str, fits: bool) -> Result<(), Usage> {
    require(
        fits,
        || format!("extension `{name}` is not a valid attribute name"),
        "use 1 to 20 lower-case letters and digits",
    )
}

/// Present, and nothing that would end a header or hide in a log.
pub(crate) fn text(name: &str, value: &str) -> Result<(), Usage> {
    require(
        !value.is_empty(),
        || format!("attribute `{name}` is empty"),
        "leave it out, or give it a value",
    )?;
    require(
        !value.chars().any(is_forbidden),
        || format!("attribute `{name}` has a control character: `{}`", value.escape_default()),
        "attributes are one line of text; what has lines or tabs belongs in the data",
    )
}

fn require(kept: bool, what: impl FnOnce() -> String, hint: &str) -> Result<(), Usage> {
    if kept { Ok(()) } else { Err(Usage { what: what(), hint: hint.into() }) }
}

/// Control characters and Unicode's non-characters.
fn is_forbidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{fdd0}'..='\u{fdef}')
        || u32::from(char) & 0xfffe == 0xfffe
}

/// RFC 3986, section 4.1, by its characters: enough to keep a log or a template from breaking.
fn is_uri_reference(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    // A colon in the first segment ends a scheme.
    let first = text.split(['/', '?', '#']).next().unwrap_or_default();
    text.bytes().all(allowed)
        && text.matches('#').count() <= 1
        && escapes_are_whole(text)
        && (!first.contains(':') || has_scheme(text))
}

/// Whether two hexadecimal digits follow each `%`.
pub fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn has_scheme(text: &str) -> bool {
    let follows = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|char: char| char.is_ascii_alphabetic())
            && scheme.bytes().all(follows)
            && !rest.is_empty()
    })
}

/// `application/json` of `Application/JSON; charset=utf-8`.
pub fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether data of this type is JSON: `application/json`, `text/json`, `application/ld+json; …`.
pub fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type);
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// RFC 2046: `type/subtype`, then parameters.
fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let quoted = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.is_some_and(|inner| {
            inner.bytes().all(|byte| byte != b'"' && (byte == b' ' || byte.is_ascii_graphic()))
        })
    };
    let mut parts = text.split(';');
    let essence = parts.next().and_then(|essence| essence.trim().split_once('/'));
    essence.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parts.all(|part| {
            part.trim()
                .split_once('=')
                .is_some_and(|(name, value)| token(name) && (token(value) || quoted(value)))
        })
}

#[cfg(test)]
mod tests;
