//! What a request brings for the model's container: `resources` and `env`, held to their forms.
//!
//! A refusal names a field or a variable and never its value, which may be a secret.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    forms::{is_quantity, is_variable},
    refusal::{Refusal, shown},
};

/// More than an event should carry
const LONGEST: usize = 16 << 10;

const HINT: &str = "write it as {\"resources\": {\"limits\": {\"memory\": \"2Gi\"}}, \"env\": [{\"name\": \"WORKERS\", \"value\": \"2\"}]}, as triggers/schemas has it";

/// Variables that Knative sets, and lets nobody else set
const OF_KNATIVE: [&str; 4] = ["PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"];

/// The text in which `canary-create` takes it.
pub(crate) fn container(raw: &str, service: &str) -> Result<String, Refusal> {
    let refused = |what| Refusal::invalid(what, HINT);
    if raw.len() > LONGEST {
        return Err(refused(format!("`container` has more than {LONGEST} bytes")));
    }
    let container: Value = serde_json::from_str(raw)
        .map_err(|error| refused(format!("`container` cannot be read: {error}")))?;
    check(&container, service).map_err(refused)?;
    // On its way Triggers, Tekton and Kubernetes each read `$(` as a reference.
    Ok(container.to_string().replace('$', "\\u0024"))
}

fn check(container: &Value, service: &str) -> Result<(), String> {
    for (name, value) in object("container", container)? {
        match name.as_str() {
            "resources" => resources(value)?,
            "env" => env(value, service)?,
            _ => {
                return Err(format!(
                    "`container` has `resources` and `env`, and not `{}`",
                    shown(name)
                ));
            }
        }
    }
    Ok(())
}

fn resources(value: &Value) -> Result<(), String> {
    for (kind, quantities) in object("container.resources", value)? {
        if !matches!(kind.as_str(), "requests" | "limits") {
            return Err(format!(
                "`container.resources` has `requests` and `limits`, and not `{}`",
                shown(kind)
            ));
        }
        let path = format!("container.resources.{kind}");
        for (name, value) in object(&path, quantities)? {
            let fits = match value {
                Value::String(text) => is_quantity(text),
                Value::Number(number) => is_quantity(&number.to_string()),
                other => other.is_null(),
            };
            if !fits {
                return Err(format!(
                    "`{}` of `{path}` is no quantity such as \"500m\" or \"2Gi\", nor null",
                    shown(name)
                ));
            }
        }
    }
    Ok(())
}

fn env(value: &Value, service: &str) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for variable in value.as_array().ok_or("`container.env` is no list")? {
        let variable = object("container.env[]", variable)?;
        let name = variable.get("name").and_then(Value::as_str).filter(|name| is_variable(name));
        let name = name
            .ok_or("one of `container.env` has no `name` of letters, digits, `_`, `-` and `.`")?;
        let what = if OF_KNATIVE.contains(&name) {
            Some("is Knative's own")
        } else if !names.insert(name) {
            Some("is there twice")
        } else {
            value_of(variable, service).err()
        };
        if let Some(what) = what {
            return Err(format!("variable `{name}` of `container.env` {what}"));
        }
    }
    Ok(())
}

fn value_of(variable: &Map<String, Value>, service: &str) -> Result<(), &'static str> {
    match (variable.len(), variable.get("value"), variable.get("valueFrom")) {
        (2, Some(Value::String(_) | Value::Null), None) => Ok(()),
        (2, Some(_), None) => Err("has a `value` that is no string: write it in quotes"),
        (2, None, Some(source)) => value_from(source, service),
        _ => Err("has not either `value`, where null takes it away, or `valueFrom`"),
    }
}

/// Whoever may send events may run an image, but shall not read the namespace's Secrets with it.
fn value_from(source: &Value, service: &str) -> Result<(), &'static str> {
    let kinds = ["secretKeyRef", "configMapKeyRef"];
    let reference = kinds.iter().find_map(|kind| source.get(*kind)).and_then(Value::as_object);
    let is_alone = source.as_object().is_some_and(|source| source.len() == 1);
    let reference = reference
        .filter(|_| is_alone)
        .ok_or("has a `valueFrom` without one `secretKeyRef` or `configMapKeyRef`")?;
    let fits = reference.iter().all(|(key, value)| match key.as_str() {
        "name" | "key" => value.is_string(),
        "optional" => value.is_boolean(),
        _ => false,
    });
    if !fits || !reference.contains_key("key") {
        return Err("has a `valueFrom` without the texts `name` and `key`");
    }
    let is_of_service =
        reference.get("name").and_then(Value::as_str) == Some(&format!("{service}-env"));
    if is_of_service {
        Ok(())
    } else {
        Err(
            "takes its value from another Secret or ConfigMap than SERVICE-env, the one that an event may name",
        )
    }
}

fn object<'a>(path: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("`{path}` is no object"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(value: &Value) -> Result<String, String> {
        container(&value.to_string(), "iris").map_err(|refusal| refusal.line())
    }

    #[test]
    fn what_a_release_can_bring_goes_on_as_a_text_that_nobody_expands_on_its_way() {
        for value in [
            json!({}),
            json!({"resources": {"requests": {"cpu": 2, "memory": "1.5e9"}, "limits": {"nvidia.com/gpu": "1", "cpu": null}}}),
            json!({"env": [{"name": "A", "value": ""}, {"name": "b.c-d_1", "value": "$(A) $$(B) \"quoted\" \\ {} 'x'\n"}]}),
            json!({"env": [{"name": "GONE", "value": null}]}),
            json!({"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "iris-env", "key": "k", "optional": true}}}]}),
            json!({"env": [{"name": "T", "valueFrom": {"configMapKeyRef": {"name": "iris-env", "key": "k"}}}]}),
        ] {
            let text = taken(&value).unwrap();
            assert!(!text.contains('$'), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn what_is_refused_is_named_and_its_value_is_not() {
        const SECRET: &str = "hunter2";
        let from = |source: Value| json!({"env": [{"name": "A", "valueFrom": source}]});
        for (value, why) in [
            (json!([SECRET]), "`container` is no object"),
            (json!({"image": SECRET}), "and not `image`"),
            (json!({"resources": {"claims": [SECRET]}}), "and not `claims`"),
            (
                json!({"resources": {"limits": {"memory": SECRET}}}),
                "`memory` of `container.resources.limits` is no quantity",
            ),
            (json!({"resources": {"limits": {"memory": -1}}}), "is no quantity"),
            (json!({"resources": {"limits": null}}), "`container.resources.limits` is no object"),
            (json!({"resources": null}), "`container.resources` is no object"),
            (json!({"env": {"A": SECRET}}), "`container.env` is no list"),
            (json!({"env": [SECRET]}), "`container.env[]` is no object"),
            (json!({"env": [{"name": "A=B", "value": SECRET}]}), "has no `name`"),
            (
                json!({"env": [{"name": "PORT", "value": SECRET}]}),
                "`PORT` of `container.env` is Knative's own",
            ),
            (
                json!({"env": [{"name": "A", "value": SECRET}, {"name": "A", "value": SECRET}]}),
                "`A` of `container.env` is there twice",
            ),
            (json!({"env": [{"name": "A", "value": 5}]}), "no string"),
            (json!({"env": [{"name": "A"}]}), "either `value`"),
            (json!({"env": [{"name": "A", "value": SECRET, "more": SECRET}]}), "either `value`"),
            (from(json!({"fieldRef": {"fieldPath": SECRET}})), "without one `secretKeyRef`"),
            (
                from(json!({"secretKeyRef": {"name": "iris-env"}})),
                "without the texts `name` and `key`",
            ),
            (
                from(json!({"secretKeyRef": {"name": "iris-env", "key": "k", "more": SECRET}})),
                "without the texts",
            ),
            (
                from(json!({"secretKeyRef": {"name": "canary-listener", "key": SECRET}})),
                "the one that an event may name",
            ),
            (from(json!({"secretKeyRef": {"key": "k"}})), "the one that an event may name"),
            (json!({"env": [{"name": "A", "value": "x".repeat(20_000)}]}), "more than 16384 bytes"),
        ] {
            let line = taken(&value).unwrap_err();
            assert!(line.contains(why) && !line.contains(SECRET), "{value}: {line}");
        }
    }
}
