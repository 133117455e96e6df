//! The schemas in `triggers/schemas` say what they should, and what this step sends keeps to them.
#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use assert_cmd::Command;
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

const PREFIX: &str = "build.canary.release";

/// All schema files by the name before `.schema.json`.
fn schemas() -> BTreeMap<String, Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../triggers/schemas");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".schema.json")?.to_owned();
            Some((name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()))
        })
        .collect()
}

fn validator(name: &str) -> Validator {
    let schemas = schemas();
    let mut registry = Registry::new();
    for schema in schemas.values() {
        registry = registry.add(schema["$id"].as_str().unwrap(), schema).unwrap();
    }
    let registry = registry.prepare().unwrap();
    jsonschema::options()
        .with_registry(&registry)
        .should_validate_formats(true)
        .build(&schemas[name])
        .unwrap()
}

/// The first example of a schema, changed.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut data = schemas()[name]["examples"][0].clone();
    change(&mut data);
    data
}

#[test]
fn each_file_is_named_after_its_id_and_its_type() {
    for (name, schema) in schemas() {
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let id = schema["$id"].as_str().unwrap();
        assert!(
            id.starts_with("https://") && id.ends_with(&format!("/release/v1/{name}.schema.json")),
            "{id}"
        );
        if name != "common" {
            assert_eq!(schema["title"], format!("{PREFIX}.{}.v1", name.replace('-', ".")));
        }
    }
    assert_eq!(schemas().len(), 9, "eight types and what they share");
}

#[test]
fn each_schema_accepts_its_examples() {
    for (name, schema) in schemas().into_iter().filter(|(name, _)| name != "common") {
        let examples = schema["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            if let Err(error) = validator(&name).validate(example) {
                panic!("{name}: {error} in {example}");
            }
        }
    }
}

#[test]
fn each_schema_needs_what_it_says_it_needs() {
    let required = [
        ("requested", &["serviceName", "serviceVersion"][..]),
        ("canary-created", &["serviceName", "serviceVersion", "canary"]),
        ("canary-advanced", &["serviceName", "serviceVersion", "canary"]),
        ("canary-promoted", &["serviceName", "serviceVersion", "canary"]),
        ("canary-rolledback", &["serviceName", "serviceVersion", "reason"]),
        ("failed", &["serviceName", "serviceVersion", "stage", "reason"]),
        ("decision-requested", &["serviceName", "serviceVersion", "decision", "by"]),
        ("rollback-requested", &["serviceName", "by"]),
    ];
    for (name, fields) in required {
        for field in fields {
            let data = changed(name, |data| {
                data.as_object_mut().unwrap().remove(*field);
            });
            assert!(!validator(name).is_valid(&data), "{name} without {field}");
        }
    }
}

#[test]
fn an_advanced_canary_needs_what_the_next_gate_reads() {
    for field in ["image", "weight", "revision", "baselineRevision", "startedAt", "climbed"] {
        let data = changed("canary-advanced", |data| {
            data["canary"].as_object_mut().unwrap().remove(field);
        });
        assert!(!validator("canary-advanced").is_valid(&data), "without canary.{field}");
    }
}

#[test]
fn a_rollback_has_one_of_the_reasons_that_the_readme_explains() {
    let readme = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../triggers/schemas/README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let reasons = schemas()["canary-rolledback"]["properties"]["reason"]["enum"].clone();
    for reason in reasons.as_array().unwrap() {
        let data = changed("canary-rolledback", |data| data["reason"] = reason.clone());
        assert!(validator("canary-rolledback").is_valid(&data), "{reason}");
        assert!(readme.contains(&format!("\n| `{}` |", reason.as_str().unwrap())), "{reason}");
    }
}

#[test]
fn a_wrong_value_is_refused() {
    type Case = (&'static str, &'static str, Value);
    let cases: &[Case] = &[
        ("requested", "/serviceName", json!("iris; rm -rf /")),
        ("requested", "/serviceName", json!("Iris")),
        ("requested", "/serviceVersion", json!("$(reboot)")),
        ("requested", "/serviceVersion", json!("")),
        ("requested", "/serviceVersion", json!(2)),
        ("canary-created", "/canary/image", json!("registry.local:5000/models/iris:v2")),
        ("canary-created", "/canary/weight", json!(101)),
        ("canary-created", "/canary/weight", json!("10")),
        ("canary-created", "/canary/startedAt", json!("yesterday")),
        ("canary-created", "/canary/revision", json!("Iris_2")),
        ("canary-advanced", "/canary/weight", json!(0)),
        ("canary-advanced", "/canary/weight", json!(101)),
        ("canary-advanced", "/canary/ladder", json!("10;25")),
        ("canary-advanced", "/canary/rung", json!(0)),
        ("canary-advanced", "/canary/climbed", json!("10@2026-11-24T06:10:40Z")),
        ("canary-advanced", "/canary/climbed/0/weight", json!(100)),
        ("canary-advanced", "/canary/climbed/0/startedAt", json!("yesterday")),
        ("canary-advanced", "/gate/reason", json!("a".repeat(1025))),
        ("decision-requested", "/decision", json!("maybe")),
        ("decision-requested", "/decision", json!("hold")), // and the percent of the example
        ("decision-requested", "/percent", json!(0)),
        ("decision-requested", "/percent", json!("50")),
        ("decision-requested", "/by", json!("")),
        ("decision-requested", "/by", json!("a".repeat(257))),
        ("decision-requested", "/reason", json!("a".repeat(1025))),
        ("rollback-requested", "/serviceVersion", json!(2)),
        ("rollback-requested", "/by", json!("")),
        ("canary-rolledback", "/reason", json!("because")),
        ("canary-rolledback", "/message", json!("a".repeat(1025))),
        ("failed", "/stage", json!("")),
        ("failed", "/reason", json!("")),
    ];
    for (name, place, value) in cases {
        let data = changed(name, |data| *data.pointer_mut(place).unwrap() = value.clone());
        assert!(!validator(name).is_valid(&data), "{name}: {place} = {value}");
    }
}

/// The data of the event that these arguments make, by the step's own dry run.
fn sent(stage: &str, fields: &[&str]) -> Value {
    let printed = Command::cargo_bin("cloudevent-send")
        .unwrap()
        .args(["--dry-run", "--sink=http://sink", "--subject=team/iris"])
        .args(["--namespace=team", "--pipeline=canary-release", "--pipeline-run=release-1"])
        .arg("--pipeline-run-uid=0c1d3f0e")
        .args([&format!("--type-prefix={PREFIX}"), &format!("--type={stage}.v1")])
        .arg("--field")
        .args(fields)
        .assert()
        .success();
    let request = String::from_utf8(printed.get_output().stdout.clone()).unwrap();
    let event: Value = serde_json::from_str(request.split_once("\n\n").unwrap().1).unwrap();
    assert_eq!(event["type"], format!("{PREFIX}.{stage}.v1"));
    event["data"].clone()
}

#[test]
fn what_the_fields_of_a_pipeline_make_keeps_to_the_schema() {
    let image = format!("canary.image=registry.local:5000/models/iris@sha256:{}", "0a".repeat(32));
    let common = ["serviceName=iris", "serviceVersion=v2"];
    let cases: &[(&str, &[&str])] = &[
        ("requested", &["bento.tag=iris:v2", "bento.store=s3://bentos", "requestedBy="]),
        (
            "canary.created",
            &[
                &image,
                "canary.weight:int=10",
                "canary.url=http://latest-iris.team.example.test",
                "canary.revision=iris-predictor-00002",
                "canary.baselineRevision=iris-predictor-00001",
                "canary.baselineImage=",
                "canary.startedAt=2026-11-24T06:10:40Z",
                "canary.ladder=10,25,50,100",
                "canary.rung:int=1",
            ],
        ),
        ("canary.promoted", &[&image, "canary.weight:int=100", "gate.reason=held for 60s"]),
        ("decision.requested", &["decision=approve", "percent:int=50", "by=ada", "reason=x=y"]),
        ("rollback.requested", &["by=ada", "reason="]),
        ("canary.rolledback", &["reason=gate-inconclusive", "message=no data", "canary.image="]),
        ("canary.rolledback", &["reason=changed", &image, "canary.weight:int=0"]),
        ("failed", &["stage=bento-build", "reason=Failed"]),
        ("failed", &["stage=canary-rollback", "reason=Failed", "message=the API server is away"]),
    ];
    for (stage, fields) in cases {
        let data = sent(stage, &[&common[..], fields].concat());
        assert_eq!(data["run"]["uid"], "0c1d3f0e");
        let name = stage.replace('.', "-");
        if let Err(error) = validator(&name).validate(&data) {
            panic!("{stage}: {error} in {data}");
        }
    }
}
