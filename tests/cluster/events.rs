//! What the EventListener makes of an event.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use demo::{Event, Mode, Site};
use hmac::{Hmac, KeyInit as _, Mac as _};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};
use sha2::Sha256;
use step::text::hex;

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

/// A structured event of this sender, signed or not by the headers.
async fn post(site: &Site, headers: &[(&str, &str)], body: &str) {
    let mut request = reqwest::Client::new().post(&site.listener).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    assert_eq!(request.send().await.unwrap().status(), 202, "received, which is all that it says");
}

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");

fn requested(id: &str, source: &str, version: &str) -> String {
    json!({ "specversion": "1.0", "type": "build.canary.release.requested.v1", "id": id, "source": source,
            "data": { "serviceName": "iris", "serviceVersion": version } })
    .to_string()
}

/// What the interceptor's pods said.
fn interceptor_log(site: &Site) -> String {
    let pods = "app.kubernetes.io/name=cloudevent-interceptor";
    site.cluster.kubectl(["logs", "-n", &site.namespace, "-l", pods, "--tail=200"]).unwrap()
}

/// The messages of the Events on the EventListener.
fn notices(site: &Site) -> String {
    let about = "involvedObject.kind=EventListener,involvedObject.name=canary,reason=EventRefused";
    let line = r#"jsonpath={range .items[*]}{.type}{" "}{.message}{"\n"}{end}"#;
    let args = ["get", "events", "-n", &site.namespace, "--field-selector", about, "-o", line];
    site.cluster.kubectl(args).unwrap()
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
        tokio::time::sleep(QUIET).await;
        let runs = site.objects("PipelineRun").list(&ListParams::default()).await.unwrap();
        // Tekton doubles the `$` of `$(` on the way.
        let cause = |run: &DynamicObject| {
            run.annotations()["kanaria.dev/causation-id"].replace("$$(", "$(")
        };
        let mut told: Vec<_> = runs.iter().map(cause).collect();
        let mut ids: Vec<_> = events.iter().map(|(id, _)| (*id).to_owned()).collect();
        told.sort();
        ids.sort();
        assert_eq!(told, ids, "each run knows its event's id as it was sent");
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
async fn what_is_refused_is_told_on_the_listener_with_its_field() {
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
            (text, "hello".into(), "an event", "no CloudEvent"),
            (batch, format!("[{}]", requested("batched", "/ci", "v1")), "an event", "batch"),
        ];
        for (header, body, ..) in &cases {
            post(&site, &[*header], body).await;
        }
        tokio::time::sleep(QUIET).await;
        assert_eq!(site.runs("canary-release").await.unwrap(), [""; 0]);
        let (log, notices) = (interceptor_log(&site), notices(&site));
        for (_, _, who, what) in &cases {
            for (place, text) in [("log", &log), ("Events", &notices)] {
                let told = text.lines().filter(|line| line.contains(who) && line.contains(what));
                assert_eq!(told.count(), 1, "{who}: {what}: {place}:\n{text}");
            }
        }
        assert!(notices.lines().all(|line| line.starts_with("Warning refused")), "{notices}");
    })
    .await;
}

/// Lets this many interceptors serve, and waits until they do and no other does.
fn scale_interceptor(site: &Site, replicas: u8) {
    let kubectl = |args: &[&str]| {
        site.cluster.kubectl([&["-n", site.namespace.as_str()], args].concat()).unwrap();
    };
    let (deployment, replicas) =
        ("deployment/cloudevent-interceptor", format!("--replicas={replicas}"));
    kubectl(&["scale", deployment, &replicas]);
    if replicas.ends_with("=0") {
        let pods = "app.kubernetes.io/name=cloudevent-interceptor";
        kubectl(&["wait", "--for=delete", "pod", "-l", pods, "--timeout=60s"]);
    } else {
        kubectl(&["rollout", "status", deployment, "--timeout=60s"]);
    }
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn while_the_interceptor_is_away_nothing_starts_and_the_listener_says_so() {
    in_namespace("away", async |site| {
        scale_interceptor(&site, 0);
        let event = Event::requested("away", "iris", "v1");
        assert_eq!(runs_after(&site, &event, Mode::Structured).await, 0);
        // Where nothing answers at all, Tekton gives up connecting after 30 s.
        let args = ["logs", "-n", &site.namespace, "-l", "eventlistener=canary", "--tail=40"];
        let mut log = String::new();
        for _ in 0..60 {
            log = site.cluster.kubectl(args).unwrap();
            if log.contains("cloudevent-interceptor:8080") {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(log.contains("cloudevent-interceptor:8080"), "{log}");
        assert_eq!(site.runs("canary-release").await.unwrap(), [""; 0]);

        scale_interceptor(&site, 1);
        assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
        site.run_of("canary-release", &[]).await.unwrap();
    })
    .await;
}

const KEY: &[u8] = b"a key of thirty-two bytes, or so";
const TOKEN: &str = "a-token";

/// The key as Secret and sender have it.
fn secret() -> String {
    format!("whsec_{}", BASE64.encode(KEY))
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac
}

/// The value of `X-Hub-Signature-256`.
fn github(key: &str, body: &str) -> String {
    format!("sha256={}", hex(&mac(key.as_bytes(), body).finalize().into_bytes()))
}

/// A request for a release, with these headers beside its own.
async fn send(site: &Site, id: &str, headers: &[(&str, &str)]) {
    post(site, &[&[STRUCTURED], headers].concat(), &requested(id, "/ci", "v1")).await;
}

/// The same, with what Standard Webhooks signs for the event `signed` at this time.
async fn send_stamped(site: &Site, id: &str, signed: &str, time: u64) {
    let text = format!("m-1.{time}.{}", requested(signed, "/ci", "v1"));
    let signature = format!("v1,{}", BASE64.encode(mac(KEY, &text).finalize().into_bytes()));
    let time = time.to_string();
    let headers =
        [("webhook-id", "m-1"), ("webhook-timestamp", &time), ("webhook-signature", &signature)];
    send(site, id, &headers).await;
}

/// The same in binary mode.
async fn send_binary(site: &Site, id: &str, proof: (&str, &str)) {
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "/ci"),
        ("ce-type", "build.canary.release.requested.v1"),
        proof,
    ];
    post(site, &headers, BINARY_DATA).await;
}

const BINARY_DATA: &str = r#"{"serviceName":"iris","serviceVersion":"v1"}"#;

/// Events that prove nothing; returns their ids.
async fn send_unproved(site: &Site, now: u64) -> Vec<&'static str> {
    let header = "x-hub-signature-256";
    let body = |id: &str| requested(id, "/ci", "v1");
    let bearer = format!("Bearer {TOKEN}");
    send(site, "unsigned", &[]).await;
    let forged = github("another key", &body("wrong-key"));
    send(site, "wrong-key", &[(header, &forged)]).await;
    let other = github(&secret(), &body("signed"));
    send(site, "other-body", &[(header, &other)]).await;
    send(site, "wrong-token", &[("authorization", "Bearer a-tokem")]).await;
    let both = [("authorization", bearer.as_str()), (header, "sha256=00")];
    send(site, "token-and-forged", &both).await;
    send_stamped(site, "replayed", "replayed", now - 600).await;
    send_stamped(site, "tomorrow", "tomorrow", now + 86400).await;
    send_stamped(site, "stamp-of-another", "stamped", now).await;
    send_binary(site, "binary-signed", (header, &github(&secret(), BINARY_DATA))).await;
    vec![
        "unsigned",
        "wrong-key",
        "other-body",
        "wrong-token",
        "token-and-forged",
        "replayed",
        "tomorrow",
        "stamp-of-another",
        "binary-signed",
    ]
}

/// Events of somebody who has the keys.
async fn send_proved(site: &Site, now: u64) -> Vec<&'static str> {
    let signature = github(&secret(), &requested("as-github", "/ci", "v1"));
    let bearer = format!("Bearer {TOKEN}");
    send(site, "as-github", &[("x-hub-signature-256", &signature)]).await;
    send_stamped(site, "as-webhook", "as-webhook", now).await;
    send(site, "by-token", &[("authorization", &bearer)]).await;
    send_binary(site, "by-token-binary", ("authorization", &bearer)).await;
    vec!["as-github", "as-webhook", "by-token", "by-token-binary"]
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn with_the_secret_only_who_has_the_key_starts_something() {
    in_namespace("signed", async |site| {
        let literals =
            [format!("--from-literal=hmac={}", secret()), format!("--from-literal=token={TOKEN}")];
        let make = ["create", "secret", "generic", "canary-listener", "-n", &site.namespace];
        let literals = literals.each_ref().map(String::as_str);
        site.cluster.kubectl([&make[..], &literals].concat()).unwrap();
        // A pod that runs sees the Secret within a minute or two; a new one at once.
        scale_interceptor(&site, 0);
        scale_interceptor(&site, 1);

        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let refused = send_unproved(&site, now).await;
        let taken = send_proved(&site, now).await;
        // Sent last, so what was sent before has been decided.
        site.run_of("canary-release", &[]).await.unwrap();
        tokio::time::sleep(QUIET).await;
        let runs = site.objects("PipelineRun").list(&ListParams::default()).await.unwrap();
        let mut started: Vec<_> =
            runs.iter().map(|run| run.annotations()["kanaria.dev/causation-id"].clone()).collect();
        started.sort();
        assert_eq!(started, taken);
        let log = interceptor_log(&site);
        for id in refused {
            assert!(log.contains(&format!("refused event `{id}` from `/ci`")), "{id}:\n{log}");
        }
        assert!(!log.contains(TOKEN) && !log.contains(&secret()), "{log}");
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
            let asked = ["auth", "can-i", verb, what, "-n", &site.namespace, &account];
            site.cluster.kubectl(asked).is_ok_and(|answer| answer.trim() == "yes")
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
