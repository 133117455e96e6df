//! What a release brings for the model's container: checked before anything is written.
//!
//! A message names a field or a variable and never its value, which may be a secret.

use std::collections::BTreeSet;

use inference_service::{Fields, quantity};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use step::text::hex;

/// Variables that Knative sets, and lets nobody else set
const OF_KNATIVE: [&str; 4] = ["PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"];

/// Reads `resources` and `env` of a container, where null takes a quantity or a variable away.
pub(crate) fn container(text: &str) -> Result<Fields, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let fields = map("the container", &value)?;
    for (name, value) in fields {
        match name.as_str() {
            "resources" => resources(value)?,
            "env" => env(value)?,
            _ => return Err(format!("a release brings `resources` and `env`, and not `{name}`")),
        }
    }
    let is_empty = |value: &Value| *value == json!({}) || *value == json!([]);
    let stored = fields.iter().filter(|(_, value)| !is_empty(value));
    Ok(Fields(stored.map(|(name, value)| (name.clone(), as_stored(value.clone()))).collect()))
}

/// The API server leaves out the value of a variable that is empty.
fn as_stored(mut value: Value) -> Value {
    for variable in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if variable.get("value").and_then(Value::as_str) == Some("") {
            variable.remove("value");
        }
    }
    value
}

fn resources(value: &Value) -> Result<(), String> {
    for (kind, quantities) in map("`resources`", value)? {
        if !matches!(kind.as_str(), "requests" | "limits") {
            return Err(format!("`resources` has `requests` and `limits`, and not `{kind}`"));
        }
        for (name, value) in map(&format!("`resources.{kind}`"), quantities)? {
            let is_quantity =
                quantity(value).is_some_and(|number| number >= 0.0 && number.is_finite());
            if !value.is_null() && !is_quantity {
                return Err(format!(
                    "`{name}` of `resources.{kind}` is no quantity, such as 500m or 2Gi"
                ));
            }
        }
    }
    Ok(())
}

fn env(value: &Value) -> Result<(), String> {
    let variables = value.as_array().ok_or("`env` is no list")?;
    let mut names = BTreeSet::new();
    for variable in variables {
        let variable = map("one of `env`", variable)?;
        let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
        if !is_name(name) {
            return Err("one of `env` has no `name` of letters, digits, `_`, `-` and `.`".into());
        }
        if OF_KNATIVE.contains(&name) {
            return Err(format!("Knative sets the variable `{name}` itself"));
        }
        if !names.insert(name) {
            return Err(format!("the variable `{name}` is there twice"));
        }
        value_of(variable).map_err(|what| format!("the variable `{name}` {what}"))?;
    }
    Ok(())
}

fn value_of(variable: &Map<String, Value>) -> Result<(), &'static str> {
    let others = || variable.keys().filter(|key| *key != "name").map(String::as_str);
    match (others().next(), others().nth(1)) {
        (Some("value"), None) => match variable["value"] {
            Value::String(_) | Value::Null => Ok(()),
            _ => Err("has a `value` that is no string: write it in quotes"),
        },
        (Some("valueFrom"), None) => source(&variable["valueFrom"]),
        _ => {
            Err("needs either `value`, where null takes it away, or `valueFrom`, and nothing else")
        }
    }
}

fn source(value: &Value) -> Result<(), &'static str> {
    const WRONG: &str =
        "has a `valueFrom` that is no `secretKeyRef` or `configMapKeyRef` with `name` and `key`";
    let only = value
        .as_object()
        .filter(|source| source.len() == 1)
        .and_then(|source| source.iter().next());
    let (kind, reference) = only.ok_or(WRONG)?;
    let is_text = |field: &str| reference[field].as_str().is_some_and(|text| !text.is_empty());
    let is_known = reference.as_object().is_some_and(|reference| {
        reference.keys().all(|key| matches!(key.as_str(), "name" | "key" | "optional"))
    });
    let fits = matches!(kind.as_str(), "secretKeyRef" | "configMapKeyRef")
        && is_known
        && is_text("name")
        && is_text("key")
        && matches!(reference["optional"], Value::Null | Value::Bool(_));
    if fits { Ok(()) } else { Err(WRONG) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn map<'a>(what: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} is no map"))
}

/// Tells two releases of one image apart; empty for one that brings nothing.
pub(crate) fn fingerprint(brings: &Fields) -> String {
    if brings.is_empty() {
        return String::new();
    }
    hex(&Sha256::digest(serde_json::to_vec(brings).unwrap_or_default())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_and_variables_of_every_kind_can_be_brought() {
        for fields in [
            json!({}),
            json!({"resources": {"limits": {"memory": "2Gi"}}}),
            json!({"resources": {"requests": {"cpu": 2, "memory": "1e9"}, "limits": {"nvidia.com/gpu": "1", "cpu": null}}}),
            json!({"env": [{"name": "A", "value": " "}, {"name": "b.c-d_1", "value": "$(A) \"quoted\" \\ {} 'x'\n"}]}),
            json!({"env": [{"name": "GONE", "value": null}]}),
            json!({"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}}]}),
            json!({"env": [{"name": "T", "valueFrom": {"configMapKeyRef": {"name": "s", "key": "k"}}}]}),
        ] {
            assert_eq!(container(&fields.to_string()).map(|fields| json!(fields)), Ok(fields));
        }
    }

    #[test]
    fn an_empty_value_is_written_as_the_api_server_stores_it() {
        let fields = container(r#"{"env": [{"name": "A", "value": ""}]}"#).unwrap();
        assert_eq!(json!(fields), json!({"env": [{"name": "A"}]}));
    }

    #[test]
    fn what_is_refused_is_named_and_its_value_is_not() {
        const SECRET: &str = "hunter2";
        for (fields, why) in [
            (json!([SECRET]), "the container is no map"),
            (json!({"image": SECRET}), "and not `image`"),
            (json!({"resources": {"claims": [SECRET]}}), "and not `claims`"),
            (
                json!({"resources": {"limits": {"memory": SECRET}}}),
                "`memory` of `resources.limits` is no quantity",
            ),
            (json!({"resources": {"limits": {"memory": "-1Gi"}}}), "is no quantity"),
            (json!({"resources": {"limits": {"memory": "2GB"}}}), "is no quantity"),
            (json!({"resources": null}), "`resources` is no map"),
            (json!({"env": {"A": SECRET}}), "`env` is no list"),
            (json!({"env": [SECRET]}), "one of `env` is no map"),
            (json!({"env": [{"value": SECRET}]}), "has no `name`"),
            (json!({"env": [{"name": "A=B", "value": SECRET}]}), "has no `name`"),
            (
                json!({"env": [{"name": "PORT", "value": SECRET}]}),
                "Knative sets the variable `PORT`",
            ),
            (
                json!({"env": [{"name": "A", "value": SECRET}, {"name": "A", "value": null}]}),
                "`A` is there twice",
            ),
            (json!({"env": [{"name": "A", "value": 5}]}), "`A` has a `value` that is no string"),
            (json!({"env": [{"name": "A"}]}), "`A` needs either `value`"),
            (
                json!({"env": [{"name": "A", "value": SECRET, "valueFrom": {}}]}),
                "`A` needs either `value`",
            ),
            (
                json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"name": "a", "key": SECRET}}}]}),
                "`A` has a `valueFrom`",
            ),
            (
                json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": SECRET}}}]}),
                "`A` has a `valueFrom`",
            ),
        ] {
            let error = container(&fields.to_string()).unwrap_err();
            assert!(error.contains(why) && !error.contains(SECRET), "{fields}: {error}");
        }
        let error = container("{\"env\": [hunter2]}").unwrap_err();
        assert!(error.starts_with("it is no JSON") && !error.contains(SECRET), "{error}");
    }

    #[test]
    fn what_brings_nothing_has_no_fingerprint_and_every_other_its_own() {
        let of = |fields: Value| fingerprint(&container(&fields.to_string()).unwrap());
        assert_eq!(fingerprint(&Fields::default()), "");
        assert_eq!(of(json!({"env": [], "resources": {}})), "");
        let one = of(json!({"env": [{"name": "A", "value": "1"}]}));
        assert_eq!(one.len(), 16);
        assert_ne!(one, of(json!({"env": [{"name": "A", "value": "2"}]})));
    }
}
