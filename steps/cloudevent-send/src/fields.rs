//! `NAME[:KIND]=VALUE` arguments, of which a Task makes JSON data and extensions without a shell.

use std::str::FromStr;

use cloudevents::event::ExtensionValue;
use serde_json::{Map, Number, Value};
use step::Usage;

/// One value and its place in the data: `serviceName=iris`, `canary.weight:int=10`.
///
/// A field with an empty value is left out, because that is how Tekton passes what was not given;
/// `note:json=""` sends an empty string on purpose.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    path: String,
    value: Option<Value>,
}

/// `NAME=VALUE`, `NAME:int=VALUE` or `NAME:bool=VALUE`. No value: not given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extension {
    pub(crate) name: String,
    pub(crate) value: Option<ExtensionValue>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum FieldError {
    #[error("expected {0}")]
    NoValue(&'static str),
    #[error("`{0}` is not a valid path: keys of letters, digits, `_` and `-`, joined by dots")]
    Path(String),
    #[error("`{0}` is not a valid kind: write {1}, or nothing for a string")]
    Kind(String, &'static str),
    #[error("`{0}` is not {1}")]
    Value(String, &'static str),
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        const KINDS: &str = "`string`, `int`, `number`, `bool` or `json`";
        let (path, kind, value) =
            split(text, FieldError::NoValue("PATH=VALUE, such as `serviceName=iris`"))?;
        if !path.split('.').all(is_key) {
            return Err(FieldError::Path(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), value: typed(kind, value, KINDS)? })
    }
}

impl FromStr for Extension {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        const KINDS: &str = "`string`, `int` or `bool`";
        let (name, kind, value) =
            split(text, FieldError::NoValue("NAME=VALUE, such as `partitionkey=team/iris`"))?;
        if matches!(kind, "number" | "json") {
            return Err(FieldError::Kind(kind.to_owned(), KINDS));
        }
        let value = typed(kind, value, KINDS)?.map(|value| match value {
            Value::Bool(value) => value.into(),
            Value::Number(number) => number.as_i64().unwrap_or_default().into(),
            text => text.as_str().unwrap_or_default().into(),
        });
        Ok(Self { name: name.to_owned(), value })
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Name, kind and value.
fn split(text: &str, error: FieldError) -> Result<(&str, &str, &str), FieldError> {
    let (name, value) = text.split_once('=').ok_or(error)?;
    let (name, kind) = name.split_once(':').unwrap_or((name, "string"));
    Ok((name, kind, value))
}

/// An empty value is of any kind: it will be left out.
fn typed(kind: &str, value: &str, kinds: &'static str) -> Result<Option<Value>, FieldError> {
    let (parsed, wanted) = match kind {
        "string" => (Some(value.into()), "a string"),
        "int" => (value.parse::<i64>().ok().map(Value::from), "a whole number"),
        "number" => (value.parse::<Number>().ok().map(Value::from), "a number"),
        "bool" => (value.parse::<bool>().ok().map(Value::from), "`true` or `false`"),
        "json" => (serde_json::from_str(value).ok(), "JSON"),
        _ => return Err(FieldError::Kind(kind.to_owned(), kinds)),
    };
    if value.is_empty() {
        return Ok(None);
    }
    parsed.map(Some).ok_or_else(|| FieldError::Value(value.to_owned(), wanted))
}

/// The object that the fields describe; none when every one of them is left out.
pub(crate) fn object(fields: Vec<Field>) -> Result<Option<Map<String, Value>>, Usage> {
    let mut root = Map::new();
    for Field { path, value } in fields {
        if let Some(value) = value {
            insert(&mut root, &path, value).ok_or_else(|| Usage {
                what: format!("field `{path}` is given twice, or is both a value and an object"),
                hint: "give each path one value; an empty value counts as not given".into(),
            })?;
        }
    }
    Ok((!root.is_empty()).then_some(root))
}

/// None when the place is taken.
fn insert(mut object: &mut Map<String, Value>, path: &str, value: Value) -> Option<()> {
    let mut keys = path.split('.');
    let last = keys.next_back()?;
    for key in keys {
        object = object.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
    }
    object.insert(last.to_owned(), value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn data(fields: &[&str]) -> Option<Value> {
        object(fields.iter().map(|field| field.parse().unwrap()).collect())
            .unwrap()
            .map(Value::Object)
    }

    #[test]
    fn fields_become_nested_json_of_their_kinds() {
        assert_eq!(
            data(&[
                "serviceName=iris",
                "serviceVersion=1.10",
                "canary.weight:int=10",
                "canary.image=registry.local:5000/models/iris@sha256:00",
                "share:number=0.1",
                "first:bool=false",
                "gate:json={\"name\": \"errors\"}",
                "query=a=b:c",
            ]),
            Some(json!({
                "serviceName": "iris", "serviceVersion": "1.10", "share": 0.1, "first": false,
                "canary": {"weight": 10, "image": "registry.local:5000/models/iris@sha256:00"},
                "gate": {"name": "errors"}, "query": "a=b:c",
            }))
        );
    }

    #[test]
    fn an_empty_field_is_left_out_and_leaves_no_empty_object() {
        assert_eq!(data(&["canary.revision=", "canary.weight:int=", "gate:json="]), None);
        assert_eq!(
            data(&["reason=", "reason=gate-failed"]),
            Some(json!({"reason": "gate-failed"}))
        );
        assert_eq!(data(&["note:json=\"\""]), Some(json!({"note": ""})));
    }

    #[test]
    fn a_path_has_one_value() {
        for twice in [["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=1", "a=2"]] {
            let fields = twice.iter().map(|field| field.parse().unwrap()).collect();
            assert!(object(fields).is_err(), "{twice:?}");
        }
    }

    #[test]
    fn a_field_that_makes_no_sense_is_refused() {
        let refused = [
            "serviceName",
            "=iris",
            "a..b=1",
            "a b=1",
            "a:int=1.5",
            "a:int=ten",
            "a:bool=yes",
            "a:number=NaN",
            "a:json={",
            "a:date=x",
        ];
        for field in refused {
            assert!(field.parse::<Field>().is_err(), "{field}");
        }
    }

    #[test]
    fn an_extension_has_a_kind() {
        let value = |text: &str| text.parse::<Extension>().map(|extension| extension.value);
        assert_eq!(value("a=5"), Ok(Some("5".into())));
        assert_eq!(value("a:int=5"), Ok(Some(5.into())));
        assert_eq!(value("a:bool=true"), Ok(Some(true.into())));
        assert_eq!(value("a="), Ok(None));
        for refused in ["a", "a:int=x", "a:bool=1", "a:time=now"] {
            assert!(value(refused).is_err(), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn a_string_arrives_as_it_was_given(value in "\\PC{1,40}") {
            prop_assert_eq!(data(&[&format!("a.b={value}")]), Some(json!({"a": {"b": value}})));
        }
    }
}
