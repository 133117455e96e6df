//! A CloudEvent out of an HTTP request: CloudEvents' HTTP binding, structured and binary.
//!
//! Not by the SDK's reader, which unquotes and decodes no header, and takes one that is there twice.

use cloudevent::{
    event::Draft,
    json_format::{FormatError, read as read_json},
    validate::{escapes_are_whole, essence},
};
use cloudevents::event::ExtensionValue;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    encoding::{refuse_mark, require_utf8},
    protocol::Headers,
    refusal::{Refusal, shown},
};

/// How the event travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The whole event in the body, as JSON
    Structured,
    /// Attributes as `ce-` headers, the data as the body
    Binary,
}

/// The mode by the media type, which is what tells the two apart.
pub(crate) fn mode(headers: &Headers) -> Result<Mode, Refusal> {
    let content_type = headers.one("content-type")?.unwrap_or_default();
    let media_type = essence(content_type);
    if media_type == "application/cloudevents+json" {
        require_utf8("Content-Type", content_type)?;
        return Ok(Mode::Structured);
    }
    if media_type.starts_with("application/cloudevents-batch") {
        return Err(Refusal::invalid(
            "the request is a batch of events",
            "send each event in a request of its own",
        ));
    }
    if media_type.starts_with("application/cloudevents") {
        return Err(Refusal::invalid(
            format!(
                "`Content-Type` is `{}`, an event format that is not read here",
                shown(content_type)
            ),
            "send the event in JSON format, as `application/cloudevents+json`",
        ));
    }
    if headers.0.keys().any(|name| attribute(name).is_some()) {
        return Ok(Mode::Binary);
    }
    Err(Refusal::invalid(
        format!(
            "the request is not a CloudEvent: `Content-Type` is `{}` and there is no `ce-` header",
            shown(content_type)
        ),
        "send `Content-Type: application/cloudevents+json` with the event as the body, or its attributes as headers `ce-specversion`, `ce-id`, `ce-source`, `ce-type`",
    ))
}

/// The event as it was written, before any rule is asked but those without which it cannot be read.
pub(crate) fn read(mode: Mode, headers: &Headers, body: &str) -> Result<Draft, Refusal> {
    let mut draft = match mode {
        Mode::Structured => structured(body)?,
        Mode::Binary => binary(headers, body)?,
    };
    // In a header there is no other way to say that there is none.
    draft
        .extensions
        .retain(|(_, value)| !matches!(value, ExtensionValue::String(text) if text.is_empty()));
    for (name, value, example) in [
        ("id", &draft.id, "a new UUID, and the same again when the event is sent again"),
        ("source", &draft.source, "who sends, such as `/people/ada`"),
        ("type", &draft.ty, "such as `build.canary.release.requested.v1`"),
    ] {
        if value.is_empty() {
            return Err(Refusal::invalid(
                format!("attribute `{name}` is missing or empty"),
                format!("write {example}"),
            ));
        }
    }
    Ok(draft)
}

fn structured(body: &str) -> Result<Draft, Refusal> {
    refuse_mark("the body", body)?;
    if body.trim().is_empty() {
        return Err(Refusal::invalid("the body is empty", "the event goes into the body, as JSON"));
    }
    read_json(body.as_bytes()).map_err(|error| match error {
        FormatError::Version(version) => wrong_version(&version),
        FormatError::Json(error) => Refusal::invalid(
            format!("the body is not a valid event in JSON format: {error}"),
            "write one JSON object with `specversion`, `id`, `source`, `type` and `data`, each member once",
        ),
        FormatError::NotAString(_) => Refusal::invalid(error.to_string(), "write it in double quotes"),
        FormatError::NotAnAttribute(_) => Refusal::invalid(
            error.to_string(),
            "write a string; what has a structure belongs in `data`",
        ),
        FormatError::Base64 => Refusal::invalid(
            error.to_string(),
            "encode it by RFC 4648, section 4, with padding, or write JSON as `data`",
        ),
        FormatError::TwoData => Refusal::invalid(error.to_string(), "write JSON as `data`, bytes as `data_base64`"),
    })
}

fn binary(headers: &Headers, body: &str) -> Result<Draft, Refusal> {
    let mut draft = Draft {
        datacontenttype: headers.one("content-type")?.map(str::to_owned),
        data: body.into(),
        ..Draft::default()
    };
    let mut version = String::new();
    for header in headers.0.keys() {
        let Some(name) = attribute(header) else { continue };
        let value = decode(&name, headers.one(header)?.unwrap_or_default())?;
        match name.as_str() {
            "specversion" => version = value,
            "id" => draft.id = value,
            "source" => draft.source = value,
            "type" => draft.ty = value,
            "subject" => draft.subject = Some(value).filter(|value| !value.is_empty()),
            "time" => draft.time = Some(value).filter(|value| !value.is_empty()),
            "dataschema" => draft.dataschema = Some(value).filter(|value| !value.is_empty()),
            _ => draft.extensions.push((name, value.into())),
        }
    }
    if version != "1.0" {
        return Err(wrong_version(&version));
    }
    Ok(draft)
}

fn wrong_version(version: &str) -> Refusal {
    let what = if version.is_empty() {
        "attribute `specversion` is missing".into()
    } else {
        format!("attribute `specversion` is `{}`", shown(version))
    };
    Refusal::invalid(what, "write `1.0`, and the event as CloudEvents 1.0 has it")
}

/// The attribute that a header carries: `id` of `Ce-Id`.
fn attribute(header: &str) -> Option<String> {
    let (prefix, name) = header.split_at_checked(3)?;
    prefix.eq_ignore_ascii_case("ce-").then(|| name.to_ascii_lowercase())
}

/// A header's value by section 3.1.3.2 of the HTTP binding: unquoted, then one round of
/// percent-decoding.
fn decode(name: &str, value: &str) -> Result<String, Refusal> {
    let wrong = |what: &str, hint: &str| {
        Err(Refusal::invalid(format!("header `ce-{name}` {what}: `{}`", shown(value)), hint))
    };
    let unquoted = unquote(value.trim());
    if unquoted.contains(char::REPLACEMENT_CHARACTER) {
        return wrong(
            "holds bytes that are not valid UTF-8",
            "write UTF-8, percent-encoded: `é` is `%C3%A9`",
        );
    }
    if !escapes_are_whole(&unquoted) {
        return wrong("has a `%` without two hex digits", "write `%25` for a percent sign");
    }
    match percent_decode_str(&unquoted).decode_utf8() {
        Ok(value) => Ok(value.into_owned()),
        Err(_) => wrong(
            "decodes to bytes that are not valid UTF-8",
            "percent-encode the UTF-8 bytes: `é` is `%C3%A9`",
        ),
    }
}

/// A quoted-string of RFC 9110 as its value, anything else as it is.
fn unquote(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else { return value.to_owned() };
    let mut unquoted = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        unquoted.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    unquoted
}

/// Id and source as far as they can be told from what could not be read.
pub(crate) fn id_and_source(headers: &Headers, body: &str) -> (String, String) {
    #[derive(Default, Deserialize)]
    struct Known<'a> {
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
        #[serde(borrow, default)]
        source: Option<&'a RawValue>,
    }
    let header = |name: &str| {
        let value = headers.all(name).next()?;
        Some(decode(name, value).unwrap_or_else(|_| value.to_owned()))
    };
    if let (Some(id), Some(source)) = (header("ce-id"), header("ce-source")) {
        return (id, source);
    }
    // Read as a structure, a list would pass for an object.
    let is_object = body.trim_start().starts_with('{');
    let known: Known<'_> =
        if is_object { serde_json::from_str(body).unwrap_or_default() } else { Known::default() };
    let text = |raw: Option<&RawValue>| {
        let raw = raw.map(RawValue::get).unwrap_or_default();
        serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())
    };
    (text(known.id), text(known.source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(value: &str) -> Option<String> {
        decode("x", value).ok()
    }

    #[test]
    fn a_header_is_unquoted_and_decoded_once() {
        let vectors = [
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"), // the specification's own example
            ("plain", "plain"),
            ("%2541", "%41"),
            ("%41%42", "AB"), // needless escapes are legal
            ("%e2%82%ac", "€"),
            (r#""a \"b\" \\ %41""#, r#"a "b" \ A"#),
            (r#"a"b"#, r#"a"b"#),
            ("größe", "größe"), // some SDKs encode nothing
            ("%EF%BF%BD", "\u{fffd}"),
            ("", ""),
        ];
        for (value, wanted) in vectors {
            assert_eq!(decoded(value).as_deref(), Some(wanted), "{value}");
        }
        for bad in ["%C0%A0", "%E2%82", "%", "%4", "%zz", "a\u{fffd}b", "%ED%A0%80"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
