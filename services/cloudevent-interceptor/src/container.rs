//! What a request brings for the model's container: held to the rules of a release, and to one more.
//!
//! A refusal names a field or a variable and never its value, which may be a secret.

use model_container::{check, references};
use serde_json::Value;

use crate::refusal::Refusal;

/// More than an event should carry
const LONGEST: usize = 16 << 10;

const HINT: &str = "write it as {\"resources\": {\"limits\": {\"memory\": \"2Gi\"}}, \"env\": [{\"name\": \"WORKERS\", \"value\": \"2\"}]}, as triggers/schemas has it";

/// The text in which `canary-create` takes it.
pub(crate) fn container(raw: &str, service: &str) -> Result<String, Refusal> {
    let refused = |what| Refusal::invalid(what, HINT);
    if raw.len() > LONGEST {
        return Err(refused(format!("`container` has more than {LONGEST} bytes")));
    }
    let container: Value = serde_json::from_str(raw)
        .map_err(|error| refused(format!("`container` cannot be read: {error}")))?;
    check(&container).map_err(refused)?;
    // Whoever may send events may run an image, but shall not read the namespace's Secrets with it.
    let of_service = format!("{service}-env");
    if let Some((name, _)) = references(&container).find(|(_, object)| *object != of_service) {
        return Err(refused(format!(
            "variable `{name}` of `container.env` takes its value from another Secret or ConfigMap than SERVICE-env, the one that an event may name"
        )));
    }
    // On its way Triggers, Tekton and Kubernetes each read `$(` as a reference.
    Ok(container.to_string().replace('$', "\\u0024"))
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
            (json!([SECRET]), "`container` is not an object"),
            (json!({"image": SECRET}), "and not `image`"),
            (json!({"resources": {"claims": [SECRET]}}), "and not `claims`"),
            (
                json!({"resources": {"limits": {"memory": SECRET}}}),
                "`memory` of `container.resources.limits` is not a valid quantity",
            ),
            (json!({"resources": {"limits": {"memory": -1}}}), "is not a valid quantity"),
            (
                json!({"resources": {"limits": null}}),
                "`container.resources.limits` is not an object",
            ),
            (json!({"resources": null}), "`container.resources` is not an object"),
            (json!({"env": {"A": SECRET}}), "`container.env` is not a list"),
            (json!({"env": [SECRET]}), "`container.env[]` is not an object"),
            (json!({"env": [{"name": "A=B", "value": SECRET}]}), "has no `name`"),
            (
                json!({"env": [{"name": "PORT", "value": SECRET}]}),
                "`PORT` of `container.env` is Knative's own",
            ),
            (
                json!({"env": [{"name": "A", "value": SECRET}, {"name": "A", "value": SECRET}]}),
                "`A` of `container.env` is there twice",
            ),
            (json!({"env": [{"name": "A", "value": 5}]}), "not a string"),
            (json!({"env": [{"name": "A"}]}), "either `value`"),
            (json!({"env": [{"name": "A", "value": SECRET, "more": SECRET}]}), "either `value`"),
            (from(json!({"fieldRef": {"fieldPath": SECRET}})), "without one `secretKeyRef`"),
            (
                from(json!({"secretKeyRef": {"name": "iris-env"}})),
                "needs the texts `name` and `key`",
            ),
            (
                from(json!({"secretKeyRef": {"name": "iris-env", "key": "k", "more": SECRET}})),
                "needs the texts",
            ),
            (
                from(json!({"secretKeyRef": {"name": "canary-listener", "key": SECRET}})),
                "the one that an event may name",
            ),
            (from(json!({"secretKeyRef": {"key": "k"}})), "needs the texts `name` and `key`"),
            (json!({"env": [{"name": "A", "value": "x".repeat(20_000)}]}), "more than 16384 bytes"),
        ] {
            let line = taken(&value).unwrap_err();
            assert!(line.contains(why) && !line.contains(SECRET), "{value}: {line}");
        }
    }
}
