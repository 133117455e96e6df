//! One event, from attributes as they were typed or read to the SDK's event model.

use std::fmt::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use cloudevents::{Event, EventBuilder as _, EventBuilderV10, event::ExtensionValue};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use step::Usage;
use uuid::Uuid;

use crate::rules;

/// The attributes and the data of an event before anything is checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) ty: String,
    pub(crate) subject: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) datacontenttype: Option<String>,
    pub(crate) dataschema: Option<String>,
    pub(crate) extensions: Vec<(String, ExtensionValue)>,
    /// As it goes over the wire in binary mode; empty means none
    pub(crate) data: Vec<u8>,
}

impl Draft {
    /// The event, if it keeps every rule of the specification and of this catalog.
    pub(crate) fn build(self) -> Result<Event, Usage> {
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
    pub(crate) fn override_extension(&mut self, name: String, value: ExtensionValue) {
        self.extensions.retain(|(known, _)| *known != name);
        self.extensions.push((name, value));
    }
}

fn json() -> String {
    "application/json".into()
}

/// Whether data of this type is JSON: `application/json`, `text/json`, `application/ld+json; …`.
pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// The id that an event about this thing always has: the first 32 hex digits of SHA-256 over
/// `source|type|subject|key`. A sender that is retried or run again names the same event.
pub(crate) fn derived_id(source: &str, ty: &str, subject: &str, key: &str) -> String {
    let digest = Sha256::digest([source, ty, subject, key].join("|"));
    hex(&digest[..16])
}

/// Lower-case digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Who an event is, and which release it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) correlation: String,
}

impl Identity {
    /// `derive` makes the id from the correlation id. The first event of a release has neither:
    /// one new UUID becomes both.
    pub(crate) fn new(
        id: Option<String>,
        correlation: Option<String>,
        derive: impl Fn(&str) -> String,
    ) -> Self {
        match (id, correlation) {
            (Some(id), Some(correlation)) => Self { id, correlation },
            (None, Some(correlation)) => Self { id: derive(&correlation), correlation },
            (Some(id), None) if rules::is_label(&id) => Self { correlation: id.clone(), id },
            (Some(id), None) => Self { id, correlation: Uuid::new_v4().to_string() },
            (None, None) => {
                let id = Uuid::new_v4().to_string();
                Self { correlation: id.clone(), id }
            }
        }
    }
}

/// The name that a type has on the wire: after the prefix, unless it begins with it already.
pub(crate) fn full_type(prefix: Option<&str>, ty: &str) -> String {
    let Some(prefix) =
        prefix.map(|prefix| prefix.trim_end_matches('.')).filter(|prefix| !prefix.is_empty())
    else {
        return ty.to_owned();
    };
    match ty.strip_prefix(prefix) {
        Some(rest) if rest.starts_with('.') => ty.to_owned(),
        _ => format!("{prefix}.{}", ty.trim_start_matches('.')),
    }
}

/// Reads an event in CloudEvents' JSON format.
pub(crate) fn read(text: &[u8]) -> Result<Draft, ReadError> {
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
            "data" => draft.data = value.get().into(),
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
pub(crate) enum ReadError {
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
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.iter().any(|(known, _)| *known == name) {
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
    fn the_derived_id_is_a_published_digest_cut_to_32_digits() {
        // printf '%s' 'a|b|c|d' | sha256sum
        assert_eq!(derived_id("a", "b", "c", "d"), "b54856b7a8705958e13238b3d67eac1c");
    }

    #[test]
    fn one_new_uuid_is_the_id_and_the_correlation_of_a_first_event() {
        let first = Identity::new(None, None, |_| unreachable!());
        assert_eq!(first.id, first.correlation);
        assert_ne!(first, Identity::new(None, None, |_| unreachable!()));
    }

    #[test]
    fn an_id_that_fits_a_label_is_its_own_correlation() {
        let told = |id: &str| Identity::new(Some(id.into()), None, |_| unreachable!());
        assert_eq!(told("build-7").correlation, "build-7");
        assert_ne!(told("build/7").correlation, "build/7");
    }

    #[test]
    fn a_known_release_gives_the_same_id_each_time() {
        let again = || {
            Identity::new(None, Some("r-1".into()), |key| derived_id("/s", "t.v1", "ns/iris", key))
        };
        assert_eq!(again(), again());
        assert_eq!(again().id.len(), 32);
    }

    #[test]
    fn a_type_is_joined_with_the_prefix_once() {
        let prefix = Some("build.canary.release");
        assert_eq!(
            full_type(prefix, "canary.created.v1"),
            "build.canary.release.canary.created.v1"
        );
        assert_eq!(full_type(prefix, ".failed.v1"), "build.canary.release.failed.v1");
        assert_eq!(
            full_type(prefix, "build.canary.release.failed.v1"),
            "build.canary.release.failed.v1"
        );
        assert_eq!(
            full_type(prefix, "build.canary.releases.v1"),
            "build.canary.release.build.canary.releases.v1"
        );
        assert_eq!(full_type(None, "com.example.order.v1"), "com.example.order.v1");
    }

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
