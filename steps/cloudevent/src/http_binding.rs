//! An event as an HTTP request: CloudEvents' HTTP binding, structured and binary.
//!
//! The SDK holds the event and names its attributes. Its own writers are not used: they leave header
//! values unescaped, re-sort JSON keys and round numbers, and the order of their extensions changes
//! from run to run, which a signature over the body would not survive. Its HTTP client is of another
//! version of reqwest than ours.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chrono::SecondsFormat;
use clap::ValueEnum;
use cloudevents::{AttributesReader as _, Data, Event, event::AttributeValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::value::RawValue;

use crate::validate::is_json;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The whole event in the body, as JSON
    Structured,
    /// Attributes as `ce-` headers, the data as the body
    Binary,
}

/// What is sent, but for the address and the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Writes the event; `verbatim` is its structured form if there is one that must not change.
pub fn message(event: &Event, mode: Mode, verbatim: Option<Vec<u8>>) -> Message {
    match mode {
        Mode::Structured => {
            let body = verbatim.unwrap_or_else(|| structured(event).into_bytes());
            Message {
                headers: vec![("content-type".into(), "application/cloudevents+json".into())],
                body,
            }
        }
        Mode::Binary => Message { headers: headers(event), body: data(event).to_vec() },
    }
}

fn structured(event: &Event) -> String {
    let mut members: Vec<String> = attributes(event)
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                AttributeValue::Boolean(value) => value.to_string(),
                AttributeValue::Integer(value) => value.to_string(),
                other => quoted(&text(&other)),
            };
            format!("{}:{value}", quoted(name))
        })
        .collect();
    members.extend(data_member(event));
    format!("{{{}}}", members.join(","))
}

/// JSON goes in as it is, text as a JSON string, all else as base64.
fn data_member(event: &Event) -> Option<String> {
    let data = data(event);
    if data.is_empty() {
        return None;
    }
    let json = event.datacontenttype().is_none_or(is_json);
    let verbatim = json.then(|| serde_json::from_slice::<&RawValue>(data).ok()).flatten();
    let plain = || std::str::from_utf8(data).ok().filter(|_| !json).map(quoted);
    Some(match verbatim.map(|raw| raw.get().to_owned()).or_else(plain) {
        Some(value) => format!("\"data\":{value}"),
        None => format!("\"data_base64\":{}", quoted(&BASE64.encode(data))),
    })
}

fn headers(event: &Event) -> Vec<(String, String)> {
    attributes(event)
        .into_iter()
        .map(|(name, value)| match name {
            // This one is HTTP's own: its quotes are syntax, and no receiver unescapes it.
            "datacontenttype" => ("content-type".to_owned(), text(&value)),
            _ => (format!("ce-{name}"), percent_encode(&text(&value))),
        })
        .collect()
}

/// The attributes in the SDK's order, then the extensions by name: the same each time.
fn attributes(event: &Event) -> Vec<(&str, AttributeValue<'_>)> {
    let mut extensions: Vec<_> = event.iter_extensions().collect();
    extensions.sort_unstable_by_key(|(name, _)| *name);
    event
        .iter_attributes()
        .chain(extensions.into_iter().map(|(name, value)| (name, value.into())))
        .collect()
}

/// Times end in `Z`, as the specification's canonical form has it; the SDK writes `+00:00`.
fn text(value: &AttributeValue<'_>) -> String {
    match value {
        AttributeValue::Time(time) => time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        other => other.to_string(),
    }
}

/// The data as it goes over the wire in binary mode; empty when there is none.
pub fn data(event: &Event) -> &[u8] {
    match event.data() {
        Some(Data::Binary(bytes)) => bytes,
        Some(Data::String(text)) => text.as_bytes(),
        // Events are built from bytes here, so that JSON stays as it was.
        Some(Data::Json(_)) | None => &[],
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// All but U+0021–U+007E, and of these `"` and `%`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// A header value by section 3.1.3.2 of the HTTP binding.
pub fn percent_encode(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{event::Draft, json_format::read};

    fn draft() -> Draft {
        Draft {
            id: "6e8bc430".into(),
            source: "/tekton/team/pipelines/canary-release".into(),
            ty: "build.canary.release.canary.created.v1".into(),
            subject: Some("team/iris".into()),
            time: Some("2026-11-24T07:07:00.250+01:00".into()),
            datacontenttype: Some("application/json".into()),
            dataschema: None,
            extensions: vec![("traced".into(), true.into()), ("chainhops".into(), 1.into())],
            data: br#"{"z": 1.10, "a": 1e400}"#.to_vec(),
        }
    }

    fn body(draft: Draft) -> String {
        String::from_utf8(message(&draft.build().unwrap(), Mode::Structured, None).body).unwrap()
    }

    #[test]
    fn structured_mode_keeps_the_order_of_attributes_and_the_data_verbatim() {
        assert_eq!(
            body(draft()),
            r#"{"specversion":"1.0","id":"6e8bc430","type":"build.canary.release.canary.created.v1","source":"/tekton/team/pipelines/canary-release","datacontenttype":"application/json","subject":"team/iris","time":"2026-11-24T06:07:00.250Z","chainhops":1,"traced":true,"data":{"z": 1.10, "a": 1e400}}"#
        );
    }

    #[test]
    fn binary_mode_puts_attributes_into_headers_and_the_type_of_the_data_into_its_own() {
        let message = message(&draft().build().unwrap(), Mode::Binary, None);
        let lines: Vec<String> =
            message.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            lines,
            [
                "ce-specversion: 1.0",
                "ce-id: 6e8bc430",
                "ce-type: build.canary.release.canary.created.v1",
                "ce-source: /tekton/team/pipelines/canary-release",
                "content-type: application/json",
                "ce-subject: team/iris",
                "ce-time: 2026-11-24T06:07:00.250Z",
                "ce-chainhops: 1",
                "ce-traced: true",
            ]
        );
        assert_eq!(message.body, draft().data);
    }

    #[test]
    fn header_values_are_escaped_as_the_specification_says() {
        let vectors = [
            ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"), // the specification's own example
            ("%41", "%2541"),
            ("a\"b", "a%22b"),
            (" ", "%20"),
            ("\u{7f}", "%7F"),
            ("\u{10ffff}", "%F4%8F%BF%BF"),
            ("!#$&'()*+,/:;=?@[]~^`{|}\\<>", "!#$&'()*+,/:;=?@[]~^`{|}\\<>"),
        ];
        for (value, encoded) in vectors {
            assert_eq!(percent_encode(value), encoded);
        }
    }

    #[test]
    fn text_and_bytes_travel_in_their_own_form() {
        let with = |media_type: &str, data: &[u8]| {
            let body = body(Draft {
                datacontenttype: Some(media_type.into()),
                data: data.to_vec(),
                ..draft()
            });
            body.rsplit_once("\"traced\":true").unwrap().1.to_owned()
        };
        assert_eq!(with("text/plain", b"a \"b\"\n"), r#","data":"a \"b\"\n"}"#);
        assert_eq!(with("application/octet-stream", &[0xff]), r#","data_base64":"/w=="}"#);
        assert_eq!(with("application/json", b""), "}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(
            subject in "[^\\p{C}]{1,30}", name in "[e-r]{1,20}", number in any::<i32>(), text in "\\PC{0,60}", plain in any::<bool>()
        ) {
            let media_type = if plain { "text/plain" } else { "application/json" };
            let data = if plain { text.into_bytes() } else { quoted(&text).into_bytes() };
            prop_assume!(!["id", "source", "type", "time", "data"].contains(&name.as_str()));
            let written = Draft {
                subject: Some(subject),
                datacontenttype: Some(media_type.into()),
                extensions: vec![(name, i64::from(number).into())],
                data,
                ..draft()
            };
            let read = read(body(written.clone()).as_bytes()).unwrap();
            prop_assert_eq!(read.build().unwrap(), written.build().unwrap());
        }

        #[test]
        fn an_escaped_value_is_printable_and_unescapes_to_itself(value in any::<String>()) {
            let encoded = percent_encode(&value);
            prop_assert!(encoded.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'"'));
            prop_assert_eq!(unescape(&encoded), value.as_bytes());
        }
    }

    /// The other direction, written on its own.
    fn unescape(encoded: &str) -> Vec<u8> {
        let mut parts = encoded.split('%');
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            let (digits, rest) = part.split_at(2);
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            bytes.extend(rest.bytes());
        }
        bytes
    }
}
