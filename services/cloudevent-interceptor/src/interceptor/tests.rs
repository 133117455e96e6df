//! Events as strangers send them, and what becomes of each.

use serde_json::{Value, json};

use super::*;
use crate::protocol::Headers;

mod ladder;
mod people;
mod properties;
mod refusals;

const REQUESTED: &str = "build.canary.release.requested.v1";

fn open() -> Interceptor {
    Interceptor {
        credentials: CredentialFolder::open(None).unwrap(),
        window: Duration::from_mins(5),
        types: EventTypes::new("build.canary.release"),
    }
}

/// What the EventListener hands over.
fn request(headers: &[(&str, &str)], body: &str) -> Request {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.0.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    Request { body: body.into(), header: all, ..Request::default() }
}

fn decision(headers: &[(&str, &str)], body: &str) -> Decision {
    open().process(&request(headers, body), SystemTime::now())
}

/// The event that goes on, or the line that says why none does.
fn outcome(headers: &[(&str, &str)], body: &str) -> Result<Event, String> {
    match decision(headers, body) {
        Decision::Continue(event) => Ok(*event),
        Decision::Ignore { ty, .. } => Err(format!("stopped: {ty}")),
        Decision::Refuse { refusal, .. } => Err(refusal.line()),
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/cloudevents+json");

/// A request for a release as the shortest sender writes it, with one member changed.
fn requested(name: &str, value: Value) -> Result<Event, String> {
    let mut event = json!({
        "specversion": "1.0", "type": REQUESTED, "id": "7", "source": "/people/ada",
        "data": { "serviceName": "iris", "serviceVersion": "v2" },
    });
    match value {
        Value::String(word) if word == "(none)" => {
            event.as_object_mut().unwrap().remove(name);
        }
        value => event[name] = value,
    }
    outcome(&[JSON], &event.to_string())
}

/// The same in binary mode, with these headers beside or instead of its own.
fn binary(changed: &[(&str, &str)], body: &str) -> Result<Event, String> {
    let usual = [
        ("Content-Type", "application/json"),
        ("Ce-Specversion", "1.0"),
        ("Ce-Type", REQUESTED),
        ("Ce-Id", "7"),
        ("Ce-Source", "/people/ada"),
    ];
    let kept = usual
        .iter()
        .filter(|(name, _)| !changed.iter().any(|(other, _)| name.eq_ignore_ascii_case(other)));
    let sent = changed.iter().filter(|(_, value)| *value != "(none)");
    outcome(&kept.chain(sent).copied().collect::<Vec<_>>(), body)
}

/// An event of this type with this data, within a release.
fn told(ty: &str, data: &Value) -> Result<Event, String> {
    let event = json!({
        "specversion": "1.0", "type": format!("build.canary.release.{ty}.v1"), "id": "7",
        "source": "/s", "chainhops": 1, "correlationid": "r-1", "data": data,
    });
    outcome(&[JSON], &event.to_string())
}

const DATA: &str = r#"{"serviceName":"iris","serviceVersion":"v2"}"#;

#[test]
fn name_and_version_are_enough_and_name_the_rest() {
    let event = requested("id", json!("Build 7")).unwrap();
    let wanted = Event {
        ty: REQUESTED.into(),
        id: "Build 7".into(),
        source: "/people/ada".into(),
        name: cloudevent::id::object_name("/people/ada", "Build 7"),
        correlation_id: cloudevent::id::object_name("/people/ada", "Build 7"),
        hops: "0".into(),
        service: "iris".into(),
        version: "v2".into(),
        version_label: "v2".into(),
        bento: "iris:v2".into(),
        ..Event::default()
    };
    assert_eq!(event, wanted);
}

#[test]
fn a_shift_that_is_meant_is_a_text_for_the_triggers() {
    let with = |shift: Value| {
        let data =
            json!({ "serviceName": "iris", "serviceVersion": "v2", "expectAnswerShift": shift });
        requested("data", data).unwrap().expect_answer_shift
    };
    assert_eq!((with(json!(true)).as_str(), with(json!(false)).as_str()), ("true", ""));
    assert_eq!(requested("id", json!("7")).unwrap().expect_answer_shift, "");
}

#[test]
fn every_field_that_a_binding_may_read_is_a_text() {
    let event = serde_json::to_value(requested("id", json!("7")).unwrap()).unwrap();
    let names: Vec<_> = event.as_object().unwrap().keys().cloned().collect();
    assert!(event.as_object().unwrap().values().all(Value::is_string), "{event}");
    let help = <crate::Args as clap::CommandFactory>::command().render_long_help().to_string();
    let untold: Vec<_> = names.iter().filter(|name| !help.contains(&format!(" {name}"))).collect();
    assert!(untold.is_empty(), "--help does not name {untold:?}");
}

#[test]
fn events_as_strangers_send_them_are_taken() {
    for (name, value) in [
        ("id", json!("größe 7 \u{1f600}")),
        ("id", json!("a b")),
        ("id", json!("…")),
        ("id", json!("$(params.x) \"quoted\" \\ 'x' {}")),
        ("id", json!("x".repeat(5000))),
        ("source", json!("urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66")),
        ("source", json!("https://ci.example/jobs/7?a=b#c")),
        ("subject", Value::Null),
        ("subject", json!("team/iris größe")),
        ("time", json!("2026-11-24T06:07:00.123456789+05:30")),
        ("datacontenttype", json!("Application/JSON; charset=UTF-8")),
        ("datacontenttype", json!("application/vnd.acme.release+json")),
        ("datacontenttype", Value::Null),
        ("dataschema", json!("https://acme.example/schema.json")),
        ("correlationid", Value::Null),
        ("correlationid", json!("")),
        ("correlationid", json!(42)),
        ("chainhops", json!(7)),
        ("chainhops", json!("3")),
        ("chainhops", Value::Null),
        ("traced", json!(true)),
        ("averylongextensionnameofthirtyx", json!("x")),
        ("data_base64", Value::Null),
        (
            "data",
            json!({ "serviceName": "iris", "serviceVersion": "v2", "more": { "x": [1, null, 1.5] } }),
        ),
        (
            "data",
            json!({ "serviceName": "iris", "serviceVersion": "v2", "bento": { "tag": "iris_classifier:V2" } }),
        ),
        (
            "data",
            json!({ "serviceName": "iris", "serviceVersion": "v2", "container": { "env": [{ "name": "A", "value": "$(B)" }] } }),
        ),
    ] {
        assert!(
            requested(name, value.clone()).is_ok(),
            "{name}: {value}: {:?}",
            requested(name, value.clone())
        );
    }
    assert_eq!(requested("correlationid", json!(42)).unwrap().correlation_id, "42");
    assert_eq!(requested("chainhops", json!(7)).unwrap().hops, "7");
}

#[test]
fn data_may_travel_as_base64() {
    // printf '%s' '{"serviceName":"iris","serviceVersion":"v2"}' | base64
    let encoded = "eyJzZXJ2aWNlTmFtZSI6ImlyaXMiLCJzZXJ2aWNlVmVyc2lvbiI6InYyIn0=";
    let body = |data: &str, more: &str| {
        format!(
            r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/s","data_base64":"{data}"{more}}}"#
        )
    };
    assert_eq!(outcome(&[JSON], &body(encoded, "")).unwrap().service, "iris");
    assert!(outcome(&[JSON], &body("?", "")).unwrap_err().contains("base64"));
    assert!(outcome(&[JSON], &body("/w==", "")).unwrap_err().contains("not valid UTF-8"));
    let bytes = body(encoded, r#","datacontenttype":"application/octet-stream""#);
    assert!(outcome(&[JSON], &bytes).unwrap_err().contains("not JSON"));
}

#[test]
fn an_outcome_starts_nothing_and_is_no_fault() {
    for name in ["canary.promoted", "canary.rolledback", "failed"] {
        let text = requested("type", json!(format!("build.canary.release.{name}.v1"))).unwrap_err();
        assert!(text.starts_with("stopped"), "{name}: {text}");
    }
}

#[test]
fn what_is_refused_is_known_by_its_id_and_source_as_far_as_they_can_be_read() {
    let of = |headers: &[(&str, &str)], body: &str| match decision(headers, body) {
        Decision::Refuse { id, source, .. } => (id, source),
        other => panic!("{other:?}"),
    };
    let both = ("7".to_owned(), "/s".to_owned());
    assert_eq!(of(&[JSON], r#"{"specversion":"0.3","id":"7","source":"/s"}"#), both);
    assert_eq!(of(&[("ce-id", "7"), ("ce-source", "/s")], ""), both);
    assert_eq!(of(&[JSON], r#"{"id":7,"source":"/s"}"#), both);
    assert_eq!(of(&[JSON], "nonsense"), (String::new(), String::new()));
}

#[test]
fn a_stranger_learns_of_the_signature_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hmac"), "key").unwrap();
    let folder = step::SecretFolder::from(folder.path().as_os_str().to_owned());
    let interceptor =
        Interceptor { credentials: CredentialFolder::open(Some(folder)).unwrap(), ..open() };
    for (headers, body) in [
        (&[JSON][..], "nonsense"),
        (&[], ""),
        (&[JSON, ("X-Hub-Signature-256", "sha256=00")], "{}"),
    ] {
        match interceptor.process(&request(headers, body), SystemTime::now()) {
            Decision::Refuse { refusal, .. } => {
                assert_eq!(refusal.code, crate::refusal::Code::Unauthenticated);
            }
            other => panic!("{other:?}"),
        }
    }
}
