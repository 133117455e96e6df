//! What the EventListener makes of an event.

use std::time::Duration;

use demo::{Event, Mode, Site, within};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use crate::namespace::in_namespace;

/// Long enough for a pod that starts, and for the 30 s after which Tekton gives up connecting.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_repeated_event_starts_one_run_in_each_mode() {
    in_namespace("repeated", async |site| {
        for (mode, id) in [(Mode::Structured, "one"), (Mode::Binary, "two")] {
            let event = Event::requested(id, "repeated", "v1");
            let known = site.runs("canary-release").await.unwrap();
            assert_eq!(site.send(&event, mode).await.unwrap(), 202);
            site.run_of("canary-release", &known).await.unwrap();
            assert_eq!(site.send(&event, mode).await.unwrap(), 202);
        }
        let other = Event::requested("one", "repeated", "v1");
        assert_eq!(site.send(&other, Mode::Binary).await.unwrap(), 202, "in the other mode");
        let listener = "eventlistener=canary";
        // Two lines for each of the three repetitions.
        logged(&site, listener, |log| log.matches("already exists").count() >= 3 * 2).await;
        assert_eq!(site.runs("canary-release").await.unwrap().len(), 2);
    })
    .await;
}

/// A structured event of this sender, signed or not by the headers.
pub(crate) async fn post(site: &Site, headers: &[(&str, &str)], body: &str) {
    let mut request = reqwest::Client::new().post(&site.listener).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    assert_eq!(request.send().await.unwrap().status(), 202, "received, which is all that it says");
}

pub(crate) const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");

pub(crate) fn requested(id: &str, source: &str, version: &str) -> String {
    json!({ "specversion": "1.0", "type": "build.canary.release.requested.v1", "id": id, "source": source,
            "data": { "serviceName": "iris", "serviceVersion": version } })
    .to_string()
}

pub(crate) const INTERCEPTOR: &str = "app.kubernetes.io/name=cloudevent-interceptor";

/// Waits until this holds of what the pods with this label logged, and returns that.
pub(crate) async fn logged(site: &Site, pods: &str, holds: impl Fn(&str) -> bool) -> String {
    within(LIMIT, &format!("it in the log of {pods}"), async || {
        let log = site.kubectl(["logs", "-l", pods, "--tail=-1"])?;
        Ok(holds(&log).then_some(log))
    })
    .await
    .unwrap()
}

/// All runs, as soon as there are so many.
pub(crate) async fn started(site: &Site, count: usize) -> Vec<DynamicObject> {
    within(LIMIT, &format!("{count} runs"), async || {
        let runs = site.objects("PipelineRun").list(&ListParams::default()).await?.items;
        Ok((runs.len() >= count).then_some(runs))
    })
    .await
    .unwrap()
}

/// The messages of the Events on the EventListener, as soon as there are so many.
async fn notices(site: &Site, count: usize) -> String {
    let about = "involvedObject.kind=EventListener,involvedObject.name=canary,reason=EventRefused";
    let line = r#"jsonpath={range .items[*]}{.type}{" "}{.message}{"\n"}{end}"#;
    within(LIMIT, &format!("{count} Events"), async || {
        let notices = site.kubectl(["get", "events", "--field-selector", about, "-o", line])?;
        Ok((notices.lines().count() >= count).then_some(notices))
    })
    .await
    .unwrap()
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn events_that_differ_in_what_a_name_cannot_show_start_a_run_each() {
    in_namespace("distinct", async |site| {
        let long = "x".repeat(60);
        let (one, other) = (format!("{long}1"), format!("{long}2"));
        let events = [
            ("Build 7", "/ci"),
            ("build-7", "/ci"),
            ("build.7", "/ci"),
            ("build-7", "/notebooks/ada"),
            (one.as_str(), "/ci"),
            (other.as_str(), "/ci"),
            ("größe \"7\" \\ 😀 $(params.service)", "/ci"),
        ];
        for (id, source) in events {
            post(&site, &[STRUCTURED], &requested(id, source, "v1")).await;
        }
        let runs = started(&site, events.len()).await;
        // Tekton doubles the `$` of `$(` on the way.
        let cause = |run: &DynamicObject| {
            run.annotations()["kanaria.dev/causation-id"].replace("$$(", "$(")
        };
        let mut causes: Vec<_> = runs.iter().map(cause).collect();
        let mut ids: Vec<_> = events.iter().map(|(id, _)| (*id).to_owned()).collect();
        causes.sort();
        ids.sort();
        assert_eq!(causes, ids, "each run knows its event's id as it was sent");
        for run in &runs {
            let labels = run.labels();
            let name = format!("release-{}", labels["kanaria.dev/event"]);
            assert_eq!(run.name_any(), name);
            assert_eq!(labels["kanaria.dev/correlation-id"], labels["kanaria.dev/event"]);
            assert_eq!(run.annotations()["kanaria.dev/chainhops"], "0");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn what_is_refused_is_an_event_on_the_listener_that_names_its_field() {
    in_namespace("refused", async |site| {
        let event = |id: &str, name: &str, value: Value| {
            let mut event: Value = serde_json::from_str(&requested(id, "/ci", "v1")).unwrap();
            event[name] = value;
            event.to_string()
        };
        let version = json!({ "serviceName": "iris" });
        let number = json!({ "serviceName": "iris", "serviceVersion": 1.1 });
        let shell = json!({ "serviceName": "$(rm -rf /)", "serviceVersion": "v1" });
        let other = json!("build.canary.release.requested.v9");
        let batch = ("content-type", "application/cloudevents-batch+json");
        let text = ("content-type", "text/plain");
        let cases = [
            (
                STRUCTURED,
                event("no-version", "data", version),
                "`no-version`",
                "`serviceVersion` is missing",
            ),
            (
                STRUCTURED,
                event("number", "data", number),
                "`number`",
                "`serviceVersion` is a number",
            ),
            (STRUCTURED, event("shell", "data", shell), "`shell`", "`serviceName` does not fit"),
            (
                STRUCTURED,
                event("other", "type", other),
                "`other`",
                "`build.canary.release.requested.v9`",
            ),
            (
                STRUCTURED,
                event("old", "specversion", json!("0.3")),
                "`old`",
                "`specversion` is `0.3`",
            ),
            (STRUCTURED, event("loop", "chainhops", json!(8)), "`loop`", "`chainhops` is `8`"),
            (STRUCTURED, event("nobody", "source", json!("")), "`nobody`", "`source` is missing"),
            (STRUCTURED, String::new(), "an event", "the body is empty"),
            (text, "hello".into(), "an event", "not a CloudEvent"),
            (batch, format!("[{}]", requested("batched", "/ci", "v1")), "an event", "batch"),
        ];
        for (header, body, ..) in &cases {
            post(&site, &[*header], body).await;
        }
        let is_whole = |log: &str| log.matches("refused ").count() >= cases.len();
        let log = logged(&site, INTERCEPTOR, is_whole).await;
        assert_eq!(site.runs("canary-release").await.unwrap(), [""; 0]);
        let notices = notices(&site, cases.len()).await;
        for (_, _, who, what) in &cases {
            for (place, text) in [("log", &log), ("Events", &notices)] {
                let lines = text.lines().filter(|line| line.contains(who) && line.contains(what));
                assert_eq!(lines.count(), 1, "{who}: {what}: {place}:\n{text}");
            }
        }
        assert!(notices.lines().all(|line| line.starts_with("Warning refused")), "{notices}");
    })
    .await;
}

/// Lets this many interceptors serve, and waits until they do and no other does.
pub(crate) fn scale_interceptor(site: &Site, replicas: u8) {
    let kubectl = |args: &[&str]| site.kubectl(args.iter().copied()).unwrap();
    let (deployment, replicas) =
        ("deployment/cloudevent-interceptor", format!("--replicas={replicas}"));
    kubectl(&["scale", deployment, &replicas]);
    if replicas.ends_with("=0") {
        kubectl(&["wait", "--for=delete", "pod", "-l", INTERCEPTOR, "--timeout=3m"]);
    } else {
        kubectl(&["rollout", "status", deployment, "--timeout=3m"]);
    }
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn while_the_interceptor_is_away_nothing_starts_and_the_listener_says_so() {
    in_namespace("away", async |site| {
        scale_interceptor(&site, 0);
        let event = Event::requested("away", "iris", "v1");
        assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
        let listener = "eventlistener=canary";
        logged(&site, listener, |log| log.contains("cloudevent-interceptor:8080")).await;
        assert_eq!(site.runs("canary-release").await.unwrap(), [""; 0]);

        scale_interceptor(&site, 1);
        // A node learns of a Service's new endpoint a moment after its pod is ready.
        within(Duration::from_mins(2), "a run of the event that is sent again", async || {
            assert_eq!(site.send(&event, Mode::Structured).await?, 202);
            Ok((!site.runs("canary-release").await?.is_empty()).then_some(()))
        })
        .await
        .unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn the_interceptor_may_write_events_and_nothing_else() {
    in_namespace("least", async |site| {
        let account =
            format!("--as=system:serviceaccount:{}:cloudevent-interceptor", site.namespace);
        let may = |verb: &str, what: &str| {
            let asked = ["auth", "can-i", verb, what, &account];
            site.kubectl(asked).is_ok_and(|answer| answer.trim() == "yes")
        };
        assert!(may("create", "events"));
        for (verb, what) in [
            ("get", "events"),
            ("patch", "events"),
            ("get", "secrets"),
            ("get", "pods"),
            ("create", "pipelineruns.tekton.dev"),
            ("get", "eventlisteners.triggers.tekton.dev"),
        ] {
            assert!(!may(verb, what), "{verb} {what}");
        }
    })
    .await;
}

/// An event about a canary that nobody has, with this weight.
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
async fn the_gate_gets_the_weight_of_a_canary_where_it_is_a_percent() {
    in_namespace("weight", async |site| {
        for (id, weight) in [("all", json!(100)), ("half", json!(10.5)), ("text", json!("10"))] {
            site.send(&created(id, &weight), Mode::Structured).await.unwrap();
            logged(&site, INTERCEPTOR, |log| log.contains(&format!("refused event `{id}`"))).await;
        }
        assert_eq!(site.runs("canary-promotion").await.unwrap(), [""; 0]);
        for (id, weight, percent) in [("ten", json!(10), "10"), ("none", Value::Null, "")] {
            let known = site.runs("canary-promotion").await.unwrap();
            site.send(&created(id, &weight), Mode::Structured).await.unwrap();
            let run = site.run_of("canary-promotion", &known).await.unwrap();
            assert_eq!(run.params().await.unwrap()["percent"], percent, "{weight}");
        }
    })
    .await;
}
