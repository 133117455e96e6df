//! An event in CloudEvents' JSON format, read so that nothing of it changes.
//!
//! The SDK's own reader is not used: it takes the last of two members of one name, sorts the keys of
//! the data and rounds its numbers.

use std::{collections::BTreeSet, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use cloudevents::event::ExtensionValue;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{event::Draft, validate::is_json};

pub fn read(text: &[u8]) -> Result<Draft, FormatError> {
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
            "data" | "data_base64" if !draft.data.is_empty() => return Err(FormatError::TwoData),
            "data" => draft.data = Box::<str>::from(value).into_string().into_bytes(),
            "data_base64" => {
                let encoded = string(&name, &value)?;
                draft.data = BASE64.decode(encoded).map_err(|_| FormatError::Base64)?;
            }
            _ => draft.extensions.push((name.clone(), extension(&name, &value)?)),
        }
    }
    if version.as_deref() != Some("1.0") {
        return Err(FormatError::Version(version.unwrap_or_default()));
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
pub enum FormatError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("`specversion` is `{0}`, not `1.0`")]
    Version(String),
    #[error("attribute `{0}` is not a string")]
    NotAString(String),
    #[error("attribute `{0}` is neither a string, a whole number of 64 bits nor a boolean")]
    NotAnAttribute(String),
    #[error("`data_base64` is not valid base64")]
    Base64,
    #[error("it has both `data` and `data_base64`")]
    TwoData,
}

fn string(name: &str, value: &RawValue) -> Result<String, FormatError> {
    serde_json::from_str(value.get()).map_err(|_| FormatError::NotAString(name.to_owned()))
}

fn extension(name: &str, value: &RawValue) -> Result<ExtensionValue, FormatError> {
    serde_json::from_str(value.get()).map_err(|_| FormatError::NotAnAttribute(name.to_owned()))
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
}
