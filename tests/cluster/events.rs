//! What the EventListener makes of an event.

use std::time::Duration;

use demo::{Event, Mode, Site};
use serde_json::{Value, json};

use crate::namespace::in_namespace;

/// A listener that will not start a run has not done so after this time: one that does takes a tenth.
const QUIET: Duration = Duration::from_secs(5);

/// How many runs an event starts that must start none.
async fn runs_after(site: &Site, event: &Event, mode: Mode) -> usize {
    let before = site.runs("canary-release").await.unwrap().len();
    assert_eq!(site.send(event, mode).await.unwrap(), 202);
    tokio::time::sleep(QUIET).await;
    site.runs("canary-release").await.unwrap().len() - before
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
