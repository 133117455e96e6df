//! `resources` and `env`, held to their forms before anything is written.
//!
//! A message names a field or a variable and never its value, which may be a secret.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use step::text::short;

use crate::quantity::is_quantity;

/// Variables that Knative sets, and lets nobody else set
const OF_KNATIVE: [&str; 4] = ["PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"];

/// Longer, the name of a field only hides the rest of its line.
const LONGEST_NAME: usize = 120;

/// The kinds of object that a variable can take its value from
const SOURCES: [&str; 2] = ["secretKeyRef", "configMapKeyRef"];

/// What is wrong with what a release brings: `resources` and `env` of a container, where null takes a
/// quantity or a variable away.
pub fn check(container: &Value) -> Result<(), String> {
    for (name, value) in object("container", container)? {
        match name.as_str() {
            "resources" => resources(value)?,
            "env" => env(value)?,
            other => return Err(unknown("container", "`resources` and `env`", other)),
        }
    }
    Ok(())
}

/// Each variable that takes its value from a Secret or `ConfigMap`, and the name of that; of a container
/// that was checked.
pub fn references(container: &Value) -> impl Iterator<Item = (&str, &str)> {
    container["env"].as_array().into_iter().flatten().filter_map(|variable| {
        let source = variable.get("valueFrom")?;
        let reference = SOURCES.iter().find_map(|kind| source.get(*kind))?;
        Some((variable["name"].as_str()?, reference["name"].as_str()?))
    })
}

fn resources(value: &Value) -> Result<(), String> {
    for (kind, quantities) in object("container.resources", value)? {
        if !matches!(kind.as_str(), "requests" | "limits") {
            return Err(unknown("container.resources", "`requests` and `limits`", kind));
        }
        let path = format!("container.resources.{kind}");
        for (name, value) in object(&path, quantities)? {
            if !value.is_null() && !is_quantity(value) {
                let name = short(name, LONGEST_NAME);
                return Err(format!(
                    "`{name}` of `{path}` is not a valid quantity, such as \"500m\" or \"2Gi\", nor null"
                ));
            }
        }
    }
    Ok(())
}

fn env(value: &Value) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for variable in value.as_array().ok_or("`container.env` is not a list")? {
        let variable = object("container.env[]", variable)?;
        let name = variable.get("name").and_then(Value::as_str).filter(|name| is_variable(name));
        let name = name
            .ok_or("one of `container.env` has no `name` of letters, digits, `_`, `-` and `.`")?;
        let wrong = if OF_KNATIVE.contains(&name) {
            Err("is Knative's own")
        } else if !names.insert(name) {
            Err("is there twice")
        } else {
            value_of(variable)
        };
        wrong.map_err(|what| format!("variable `{name}` of `container.env` {what}"))?;
    }
    Ok(())
}

fn value_of(variable: &Map<String, Value>) -> Result<(), &'static str> {
    match (variable.len(), variable.get("value"), variable.get("valueFrom")) {
        (2, Some(Value::String(_) | Value::Null), None) => Ok(()),
        (2, Some(_), None) => Err("has a `value` that is not a string: write it in quotes"),
        (2, None, Some(source)) => value_from(source),
        _ => {
            Err("needs either `value`, where null takes it away, or `valueFrom`, and nothing else")
        }
    }
}

fn value_from(source: &Value) -> Result<(), &'static str> {
    let reference = SOURCES.iter().find_map(|kind| source.get(*kind)).and_then(Value::as_object);
    let is_alone = source.as_object().is_some_and(|source| source.len() == 1);
    let reference = reference
        .filter(|_| is_alone)
        .ok_or("has a `valueFrom` without one `secretKeyRef` or `configMapKeyRef`")?;
    let fits = reference.iter().all(|(field, value)| match field.as_str() {
        "name" | "key" => value.as_str().is_some_and(|text| !text.is_empty()),
        "optional" => value.is_boolean(),
        _ => false,
    });
    if fits && ["name", "key"].iter().all(|field| reference.contains_key(*field)) {
        Ok(())
    } else {
        Err(
            "has a `valueFrom` that needs the texts `name` and `key`, and takes only `optional` beside",
        )
    }
}

/// `^[A-Za-z_.-][A-Za-z0-9_.-]{0,252}$`: the name of an environment variable.
fn is_variable(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn object<'a>(path: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("`{path}` is not an object"))
}

fn unknown(path: &str, known: &str, name: &str) -> String {
    format!("`{path}` has {known}, and not `{}`", short(name, LONGEST_NAME))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_and_variables_of_every_kind_can_be_brought() {
        for container in [
            json!({}),
            json!({"resources": {"limits": {"memory": "2Gi"}}}),
            json!({"resources": {"requests": {"cpu": 2, "memory": "1e9"}, "limits": {"nvidia.com/gpu": "1", "cpu": null}}}),
            json!({"env": [{"name": "A", "value": " "}, {"name": "b.c-d_1", "value": "$(A) \"quoted\" \\ {} 'x'\n"}]}),
            json!({"env": [{"name": "GONE", "value": null}]}),
            json!({"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}}]}),
            json!({"env": [{"name": "T", "valueFrom": {"configMapKeyRef": {"name": "s", "key": "k"}}}]}),
        ] {
            assert_eq!(check(&container), Ok(()), "{container}");
        }
    }

    #[test]
    fn what_is_refused_is_named_and_its_value_is_not() {
        const SECRET: &str = "hunter2";
        let from = |source: Value| json!({"env": [{"name": "A", "valueFrom": source}]});
        for (container, why) in [
            (json!([SECRET]), "`container` is not an object"),
            (json!({"image": SECRET}), "and not `image`"),
            (json!({"resources": {"claims": [SECRET]}}), "and not `claims`"),
            (
                json!({"resources": {"limits": {"memory": SECRET}}}),
                "`memory` of `container.resources.limits` is not a valid quantity",
            ),
            (json!({"resources": {"limits": {"memory": "-1Gi"}}}), "is not a valid quantity"),
            (json!({"resources": {"limits": {"memory": "2GB"}}}), "is not a valid quantity"),
            (json!({"resources": {"limits": {"memory": -1}}}), "is not a valid quantity"),
            (
                json!({"resources": {"limits": null}}),
                "`container.resources.limits` is not an object",
            ),
            (json!({"resources": null}), "`container.resources` is not an object"),
            (json!({"env": {"A": SECRET}}), "`container.env` is not a list"),
            (json!({"env": [SECRET]}), "`container.env[]` is not an object"),
            (json!({"env": [{"value": SECRET}]}), "has no `name`"),
            (json!({"env": [{"name": "A=B", "value": SECRET}]}), "has no `name`"),
            (
                json!({"env": [{"name": "PORT", "value": SECRET}]}),
                "`PORT` of `container.env` is Knative's own",
            ),
            (
                json!({"env": [{"name": "A", "value": SECRET}, {"name": "A", "value": null}]}),
                "`A` of `container.env` is there twice",
            ),
            (json!({"env": [{"name": "A", "value": 5}]}), "has a `value` that is not a string"),
            (json!({"env": [{"name": "A"}]}), "needs either `value`"),
            (
                json!({"env": [{"name": "A", "value": SECRET, "valueFrom": {}}]}),
                "needs either `value`",
            ),
            (
                json!({"env": [{"name": "A", "value": SECRET, "more": SECRET}]}),
                "needs either `value`",
            ),
            (
                from(json!({"fieldRef": {"name": "a", "key": SECRET}})),
                "without one `secretKeyRef` or `configMapKeyRef`",
            ),
            (from(json!({"secretKeyRef": {"name": SECRET}})), "needs the texts `name` and `key`"),
            (from(json!({"secretKeyRef": {"key": "k"}})), "needs the texts `name` and `key`"),
            (
                from(json!({"secretKeyRef": {"name": "s", "key": "k", "more": SECRET}})),
                "takes only `optional` beside",
            ),
        ] {
            let error = check(&container).unwrap_err();
            assert!(error.contains(why) && !error.contains(SECRET), "{container}: {error}");
        }
    }

    #[test]
    fn a_variable_names_the_object_that_its_value_comes_from() {
        let from = |kind: &str| json!({kind: {"name": format!("of-{kind}"), "key": "k"}});
        let container = json!({"env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": from("secretKeyRef")},
            {"name": "C", "valueFrom": from("configMapKeyRef")},
        ]});
        let found: Vec<_> = references(&container).collect();
        assert_eq!(found, [("B", "of-secretKeyRef"), ("C", "of-configMapKeyRef")]);
    }

    proptest! {
        #[test]
        fn a_variable_s_name_is_its_pattern(name in "[-A-Za-z0-9_. =\u{e9}]{0,12}", more in 0..300_usize) {
            let name = name + &"x".repeat(more);
            let pattern = regex::Regex::new("^[A-Za-z_.-][A-Za-z0-9_.-]{0,252}$").unwrap();
            prop_assert_eq!(is_variable(&name), pattern.is_match(&name), "{}", name);
        }
    }
}
