//! What the EventListener makes of an event.

use std::time::Duration;

use demo::{Event, Mode, Site};
use serde_json::{Value, json};

use crate::namespace::in_namespace;

/// A listener that will not start a run has not done so after this time: one that does takes a tenth.
const QUIET: Duration = Duration::from_secs(5);

/// How many releases an event starts that must start none.
async fn runs_after(site: &Site, event: &Event, mode: Mode) -> usize {
    started(site, "canary-release", event, mode).await
}

async fn started(site: &Site, pipeline: &str, event: &Event, mode: Mode) -> usize {
    let before = site.runs(pipeline).await.unwrap().len();
    assert_eq!(site.send(event, mode).await.unwrap(), 202);
    tokio::time::sleep(QUIET).await;
    site.runs(pipeline).await.unwrap().len() - before
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_repeated_event_starts_one_run_in_each_mode() {
    in_namespace("repeated", async |site| {
        for (mode, id) in [(Mode::Structured, "one"), (Mode::Binary, "two")] {
            let event = Event::requested(id, "repeated", "v1");
            let known = site.runs("canary-release").await.unwrap();
            assert_eq!(site.send(&event, mode).await.unwrap(), 202);
            site.run_of("canary-release", &known).await.unwrap();
            assert_eq!(runs_after(&site, &event, mode).await, 0, "{mode:?}, again");
        }
        let other = Event::requested("one", "repeated", "v1");
        assert_eq!(
            runs_after(&site, &other, Mode::Binary).await,
            0,
            "the same event in the other mode"
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn an_event_with_a_missing_or_malformed_field_starts_nothing_and_leaves_a_trace() {
    in_namespace("malformed", async |site| {
        let cases: [(&str, Value, &str); 3] = [
            ("no-version", json!({ "serviceName": "iris" }), "serviceVersion"),
            ("number", json!({ "serviceName": "iris", "serviceVersion": 1.1 }), "serviceVersion"),
            (
                "shell",
                json!({ "serviceName": "$(rm -rf /)", "serviceVersion": "v1" }),
                "serviceName",
            ),
        ];
        for (id, data, field) in cases {
            let event = Event { data, ..Event::requested(id, "", "") };
            assert_eq!(runs_after(&site, &event, Mode::Structured).await, 0, "{id}");
            let log = site.cluster.kubectl([
                "logs",
                "-n",
                &site.namespace,
                "-l",
                "eventlistener=canary",
                "--tail=40",
            ]);
            let log = log.unwrap();
            assert!(log.contains(field), "{id}: the listener's log names `{field}`:\n{log}");
        }
        let other = Event {
            r#type: "build.canary.release.requested.v9".into(),
            ..Event::requested("type", "iris", "v1")
        };
        assert_eq!(
            runs_after(&site, &other, Mode::Structured).await,
            0,
            "a type of another version"
        );
    })
    .await;
}

/// The news of a canary that nobody has, with this weight.
fn created(id: &str, weight: &Value) -> Event {
    let mut canary = json!({
        "image": format!("registry.local:5000/models/nobody@sha256:{}", "0".repeat(64)),
        "revision": "nobody-predictor-00002", "baselineRevision": "nobody-predictor-00001",
        "startedAt": "2026-11-24T09:30:00Z",
    });
    if !weight.is_null() {
        canary["weight"] = weight.clone();
    }
    Event {
        r#type: "build.canary.release.canary.created.v1".into(),
        data: json!({ "serviceName": "nobody", "serviceVersion": "v2", "canary": canary }),
        ..Event::requested(id, "nobody", "v2")
    }
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn the_gate_is_told_the_weight_of_a_canary_where_it_is_a_percent() {
    in_namespace("weight", async |site| {
        for (id, weight) in [("all", json!(100)), ("half", json!(10.5)), ("text", json!("10"))] {
            let event = created(id, &weight);
            let runs = started(&site, "canary-promotion", &event, Mode::Structured).await;
            assert_eq!(runs, 0, "{weight}");
        }
        for (id, weight, percent) in [("ten", json!(10), "10"), ("none", Value::Null, "")] {
            let known = site.runs("canary-promotion").await.unwrap();
            site.send(&created(id, &weight), Mode::Structured).await.unwrap();
            let run = site.run_of("canary-promotion", &known).await.unwrap();
            assert_eq!(run.params().await.unwrap()["percent"], percent, "{weight}");
        }
    })
    .await;
}
