//! One event, from attributes as they were typed or read to the SDK's event model.

use std::{collections::BTreeSet, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use cloudevents::{Event, EventBuilder as _, EventBuilderV10, event::ExtensionValue};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use step::Usage;

use crate::rules;

/// The attributes and the data of an event before anything is checked.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub id: String,
    pub source: String,
    pub ty: String,
    pub subject: Option<String>,
    pub time: Option<String>,
    pub datacontenttype: Option<String>,
    pub dataschema: Option<String>,
    pub extensions: Vec<(String, ExtensionValue)>,
    /// As it goes over the wire in binary mode; empty means none
    pub data: Vec<u8>,
}

impl Draft {
    /// The event, if it keeps every rule of the specification and of this catalog.
    pub fn build(self) -> Result<Event, Usage> {
        rules::check(&self)?;
        let mut event = EventBuilderV10::new().id(self.id).source(self.source).ty(self.ty);
        if let Some(subject) = self.subject {
            event = event.subject(subject);
        }
        if let Some(time) = self.time {
            event = event.time(time);
        }
        for (name, value) in self.extensions {
            event = event.extension(&name, value);
        }
        // The model holds bytes, so that JSON keeps its key order and its numbers.
        event = match (self.datacontenttype, self.dataschema) {
            (None, None) if self.data.is_empty() => event,
            (media_type, None) => event.data(media_type.unwrap_or_else(json), self.data),
            (media_type, Some(schema)) => {
                event.data_with_schema(media_type.unwrap_or_else(json), schema, self.data)
            }
        };
        event.build().map_err(|error| Usage { what: error.to_string(), hint: String::new() })
    }

    /// Sets an extension, replacing one of that name: how Knative's overrides work.
    pub fn override_extension(&mut self, name: String, value: ExtensionValue) {
        self.extensions.retain(|(known, _)| *known != name);
        self.extensions.push((name, value));
    }
}

fn json() -> String {
    "application/json".into()
}

/// Whether data of this type is JSON: `application/json`, `text/json`, `application/ld+json; …`.
#[must_use]
pub fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// Reads an event in CloudEvents' JSON format.
pub fn read(text: &[u8]) -> Result<Draft, ReadError> {
    let Members(members) = serde_json::from_slice(text)?;
    let mut draft = Draft::default();
    let mut version = None;
    for (name, value) in members {
        if value.get() == "null" {
            continue; // the format's way to leave something out
        }
        match name.as_str() {
            "specversion" => version = Some(string(&name, &value)?),
            "id" => draft.id = string(&name, &value)?,
            "source" => draft.source = string(&name, &value)?,
            "type" => draft.ty = string(&name, &value)?,
            "subject" => draft.subject = Some(string(&name, &value)?),
            "time" => draft.time = Some(string(&name, &value)?),
            "datacontenttype" => draft.datacontenttype = Some(string(&name, &value)?),
            "dataschema" => draft.dataschema = Some(string(&name, &value)?),
            "data" | "data_base64" if !draft.data.is_empty() => return Err(ReadError::TwoData),
            "data" => draft.data = Box::<str>::from(value).into_string().into_bytes(),
            "data_base64" => {
                let encoded = string(&name, &value)?;
                draft.data = BASE64.decode(encoded).map_err(|_| ReadError::Base64)?;
            }
            _ => draft.extensions.push((name.clone(), extension(&name, &value)?)),
        }
    }
    if version.as_deref() != Some("1.0") {
        return Err(ReadError::Version(version.unwrap_or_default()));
    }
    unwrap_text(&mut draft);
    Ok(draft)
}

/// Text travels inside JSON as a JSON string; its own form is the text.
fn unwrap_text(draft: &mut Draft) {
    if draft.datacontenttype.as_deref().is_some_and(|media_type| !is_json(media_type))
        && let Ok(text) = serde_json::from_slice::<String>(&draft.data)
    {
        draft.data = text.into_bytes();
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("`specversion` is `{0}`, not `1.0`")]
    Version(String),
    #[error("attribute `{0}` is no string")]
    NotAString(String),
    #[error("attribute `{0}` is neither a string, a whole number of 64 bits nor a boolean")]
    NotAnAttribute(String),
    #[error("`data_base64` is no base64")]
    Base64,
    #[error("it has both `data` and `data_base64`")]
    TwoData,
}

fn string(name: &str, value: &RawValue) -> Result<String, ReadError> {
    serde_json::from_str(value.get()).map_err(|_| ReadError::NotAString(name.to_owned()))
}

fn extension(name: &str, value: &RawValue) -> Result<ExtensionValue, ReadError> {
    serde_json::from_str(value.get()).map_err(|_| ReadError::NotAnAttribute(name.to_owned()))
}

/// The members of a JSON object in their order, values verbatim, a repeated name refused:
/// readers disagree on which of two wins.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                let mut known = BTreeSet::new(); // a stranger's event may have ten thousands
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if !known.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format_args!(
                            "`{name}` is there twice"
                        )));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_the_media_type_in_any_case() {
        for yes in [
            "application/json",
            "text/JSON; charset=utf-8",
            "application/ld+json",
            "Application/Problem+JSON;x=y",
        ] {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["text/plain", "application/jsonl", "application/xml; a=/json", ""] {
            assert!(!is_json(no), "{no}");
        }
    }

    #[test]
    fn an_event_file_keeps_its_data_verbatim() {
        let draft = read(
            br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":null,"n":5,"b":true,"data":{"z":1.10, "a":1e400}}"#,
        )
        .unwrap();
        assert_eq!(draft.data, br#"{"z":1.10, "a":1e400}"#);
        assert_eq!(draft.subject, None);
        assert_eq!(draft.extensions, [("n".into(), 5.into()), ("b".into(), true.into())]);
    }

    #[test]
    fn an_event_file_gives_text_and_bytes_in_their_own_form() {
        let with = |data: &str| {
            let text = format!(
                r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain",{data}}}"#
            );
            read(text.as_bytes()).unwrap().data
        };
        assert_eq!(with(r#""data":"a\nb""#), b"a\nb");
        assert_eq!(with(r#""data_base64":"/w==""#), [0xff]);
    }

    #[test]
    fn an_event_file_that_cannot_be_read_is_refused() {
        let refused = [
            r#"{"specversion":"1.0","id":"1","id":"2","source":"/s","type":"t"}"#,
            r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#,
            r#"{"id":"1","source":"/s","type":"t"}"#,
            r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#,
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","x":1.5}"#,
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","x":{}}"#,
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":"AA=="}"#,
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"?"}"#,
            r#"[{"specversion":"1.0"}]"#,
            "",
        ];
        for text in refused {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_override_replaces_the_extension_of_its_name() {
        let mut draft = Draft {
            extensions: vec![("a".into(), 1.into()), ("b".into(), 2.into())],
            ..Draft::default()
        };
        draft.override_extension("a".into(), "x".into());
        assert_eq!(draft.extensions, [("b".into(), 2.into()), ("a".into(), "x".into())]);
    }
}
