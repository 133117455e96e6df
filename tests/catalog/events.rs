//! The events that Pipelines send keep to the schemas.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{faults::Faults, tree::*};

#[test]
fn an_event_that_a_pipeline_sends_keeps_to_the_schema_of_its_type() {
    let mut faults = Faults::default();
    let schemas = schemas();
    for (pipeline, spec) in specs("pipelines") {
        for (task, ty, data) in sent_events(&spec) {
            let here = format!("pipelines/{pipeline}, task {task}");
            let Some(schema) = schemas.get(&ty) else {
                faults.add(&here, format!("no schema in triggers/schemas has the title `{ty}`"));
                continue;
            };
            for error in schema.iter_errors(&data) {
                faults.add(&here, format!("{error} at `{}` of its data", error.instance_path()));
            }
            let written = data.to_string();
            faults.unless(
                !written.contains("$("),
                &here,
                format!("this test has no example for a value in {written}"),
            );
        }
    }
    faults.none();
}

/// Name, type and data of each event, with an example for every value that is known at run time only.
pub(crate) fn sent_events(spec: &Value) -> Vec<(String, String, Value)> {
    let sends = |task: &&Value| text(task, "/taskRef/name") == "cloudevent-send";
    pipeline_tasks(spec)
        .into_iter()
        .filter(sends)
        .map(|task| {
            let param = |name: &str| {
                list(task.get("params"))
                    .iter()
                    .find(|param| param["name"] == name)
                    .map(|param| &param["value"])
            };
            let ty = param("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let mut data = Map::new();
            for field in strings(param("fields")) {
                if let Some((path, value)) = field.split_once('=') {
                    set(&mut data, path, &example(value));
                }
            }
            (text(task, "/name").to_owned(), ty, Value::Object(data))
        })
        .collect()
}

/// `canary.weight:int=10` as `cloudevent-send` reads it.
fn set(data: &mut Map<String, Value>, path: &str, value: &str) {
    let (path, kind) = path.split_once(':').unwrap_or((path, "string"));
    let value = match kind {
        "string" => json!(value),
        _ => serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
    };
    match path.split_once('.') {
        Some((outer, inner)) => {
            let object = data.entry(outer).or_insert_with(|| json!({}));
            object.as_object_mut().expect("an object").insert(inner.to_owned(), value);
        }
        None => {
            data.insert(path.to_owned(), value);
        }
    }
}

fn example(value: &str) -> String {
    let digest = "sha256:5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592";
    let image = format!("registry.local:5000/models/iris@{digest}");
    let examples = [
        ("IMAGE_DIGEST", digest),
        ("tasks.canary-create.results.baseline-image", image.as_str()),
        ("canary-image", image.as_str()),
        ("params.image", "registry.local:5000/models/iris"),
        ("url", "http://latest-iris-predictor.team.example.test"),
        ("revision", "iris-predictor-00002"),
        ("started-at", "2026-11-24T09:30:00Z"),
        ("service", "iris"),
        ("version", "v2"),
        ("percent", "10"),
        ("ladder", "10,25,50,100"),
        ("namespace", "team"),
        ("uid", "6e8bc430-9c3a-11d9-9669-0800200c9a66"),
        ("name", "release-6e8bc430"),
        ("status", "Failed"),
        ("reason", "StepFailed"),
        ("answers", "compared"),
    ];
    let mut value = value.to_owned();
    for reference in references(&value.clone()) {
        let example = examples.iter().find(|(end, _)| reference.ends_with(end));
        if let Some((_, example)) = example {
            value = value.replace(&format!("$({reference})"), example);
        }
    }
    value
}

/// Validators by the type of the event, which is a schema's title.
fn schemas() -> BTreeMap<String, jsonschema::Validator> {
    let all: Vec<Value> = files("triggers/schemas", "json")
        .iter()
        .map(|file| {
            serde_json::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
        })
        .collect();
    let registry = all.iter().fold(jsonschema::Registry::new(), |registry, schema| {
        registry.add(text(schema, "/$id"), schema.clone()).expect("an absolute $id")
    });
    let registry = registry.prepare().expect("schemas that refer to each other");
    all.iter()
        .filter(|schema| text(schema, "/title").starts_with("build.canary."))
        .map(|schema| {
            let title = text(schema, "/title").to_owned();
            let validator = jsonschema::options()
                .with_registry(&registry)
                .should_validate_formats(true)
                .build(schema)
                .unwrap_or_else(|error| panic!("triggers/schemas, {title}: {error}"));
            (title, validator)
        })
        .collect()
}
