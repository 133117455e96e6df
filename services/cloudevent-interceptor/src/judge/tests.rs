//! Events as strangers send them, and what becomes of each.

use std::collections::BTreeSet;

use cloudevent::{
    event::Draft,
    http_binding::{Mode, message},
};
use cloudevents::event::ExtensionValue;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::protocol::Headers;

const REQUESTED: &str = "build.canary.release.requested.v1";
const CREATED: &str = "build.canary.release.canary.created.v1";

fn open() -> Judge {
    Judge {
        keys: KeyRing::open(None).unwrap(),
        window: Duration::from_mins(5),
        types: Types::new("build.canary.release"),
    }
}

/// What the EventListener hands over.
fn request<'a>(headers: &[(&str, &str)], body: &'a str) -> Request<'a> {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.0.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    Request { body: body.into(), header: all, ..Request::default() }
}

fn verdict(headers: &[(&str, &str)], body: &str) -> Verdict {
    open().judge(&request(headers, body), SystemTime::now())
}

/// The event that goes on, or the line that says why none does.
fn outcome(headers: &[(&str, &str)], body: &str) -> Result<Event, String> {
    match verdict(headers, body) {
        Verdict::GoOn(event) => Ok(*event),
        Verdict::Stop { ty, .. } => Err(format!("stopped: {ty}")),
        Verdict::Refuse { refusal, .. } => Err(refusal.line()),
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
    assert!(outcome(&[JSON], &body("/w==", "")).unwrap_err().contains("no UTF-8"));
    let bytes = body(encoded, r#","datacontenttype":"application/octet-stream""#);
    assert!(outcome(&[JSON], &bytes).unwrap_err().contains("not JSON"));
}

#[test]
fn a_fault_of_an_attribute_is_named_with_what_to_write() {
    for (name, value, said) in [
        ("specversion", json!("(none)"), "`specversion` is missing; write `1.0`"),
        ("specversion", json!("0.3"), "`specversion` is `0.3`"),
        ("specversion", json!(1.0), "`specversion` is not a string"),
        ("id", json!("(none)"), "`id` is missing or empty; write a new UUID"),
        ("id", json!(""), "`id` is missing or empty"),
        ("id", json!(7), "`id` is not a string"),
        ("id", json!("a\nb"), "control character"),
        ("source", json!(""), "`source` is missing or empty"),
        ("source", json!("my notebook"), "not a valid URI reference"),
        ("source", json!("/größe"), "not a valid URI reference"),
        ("type", json!("(none)"), "`type` is missing or empty"),
        (
            "type",
            json!("build.canary.release.requested.v9"),
            "unknown here; write `build.canary.release.requested.v1`",
        ),
        ("type", json!("build.canary.release.requested.v10"), "unknown here"),
        ("type", json!("org.example.greeting"), "unknown here"),
        ("subject", json!(""), "`subject` is empty"),
        ("time", json!("yesterday"), "RFC 3339"),
        ("dataschema", json!("/v1"), "absolute"),
        ("datacontenttype", json!("json"), "media type"),
        ("datacontenttype", json!("text/plain"), "not JSON"),
        ("datacontenttype", json!("application/json; charset=utf-16"), "charset `utf-16`"),
        (
            "correlationid",
            json!("a/b"),
            "`correlationid` is `a/b`, which fits no label; write a UUID",
        ),
        ("correlationid", json!("x".repeat(64)), "fits no label"),
        ("chainhops", json!(8), "a loop"),
        ("chainhops", json!("10"), "a loop"),
        ("chainhops", json!(-1), "a loop"),
        ("chainhops", json!(true), "a loop"),
        ("chainhops", json!(1.5), "`chainhops` is neither"),
        ("Traced", json!("x"), "attribute name"),
        ("traced", json!({}), "`traced` is neither"),
        ("data_base64", json!("e30="), "both `data` and `data_base64`"),
    ] {
        let line = requested(name, value.clone()).unwrap_err();
        assert!(line.contains(said), "{name}: {value}: {line}");
    }
}

#[test]
fn a_fault_of_the_data_is_named_with_what_to_write() {
    let with = |more: Value| {
        let mut data = json!({ "serviceName": "iris", "serviceVersion": "v2" });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    for (data, said) in [
        (json!("(none)"), "`data` is missing; write a JSON object"),
        (Value::Null, "`data` is missing"),
        (json!("text"), "`data` is a string, not an object"),
        (json!([1]), "`data` is a list"),
        (json!(7), "`data` is a number"),
        (json!({}), "`serviceName` is missing; write the InferenceService's name"),
        (json!({ "serviceName": "iris" }), "`serviceVersion` is missing"),
        (
            json!({ "serviceName": "iris", "serviceVersion": 1.1 }),
            "`serviceVersion` is a number, not a string: `1.1`",
        ),
        (json!({ "serviceName": null, "serviceVersion": "v1" }), "`serviceName` is null"),
        (
            json!({ "serviceName": "$(rm -rf /)", "serviceVersion": "v1" }),
            "`serviceName` does not fit: `$(rm -rf /)`",
        ),
        (json!({ "serviceName": "", "serviceVersion": "v1" }), "`serviceName` is empty"),
        (
            json!({ "serviceName": "x".repeat(47), "serviceVersion": "v1" }),
            "`serviceName` does not fit",
        ),
        (with(json!({ "bento": null })), "`bento` is null, not an object"),
        (with(json!({ "bento": {} })), "`bento.tag` is missing"),
        (with(json!({ "bento": { "tag": "iris" } })), "`bento.tag` does not fit"),
        (
            with(json!({ "bento": { "tag": "a:b", "store": "http://x" } })),
            "`bento.store` does not fit",
        ),
        (with(json!({ "bento": { "tag": "a:b", "sha256": "x" } })), "`bento.sha256` does not fit"),
        (with(json!({ "container": null })), "`container` is not an object"),
        (with(json!({ "container": { "image": "x" } })), "and not `image`"),
    ] {
        let line = requested("data", data.clone()).unwrap_err();
        assert!(line.contains(said), "{data}: {line}");
    }
}

#[test]
fn a_request_that_is_no_event_is_told_what_one_is() {
    let event = format!(
        r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/s","data":{DATA}}}"#
    );
    for content_type in [
        "application/cloudevents+json; charset=utf-8",
        "Application/CloudEvents+JSON",
        " application/cloudevents+json;x=y",
    ] {
        assert!(outcome(&[("content-type", content_type)], &event).is_ok(), "{content_type}");
    }
    let repeated = [JSON, ("Ce-Id", "8"), ("Ce-Type", "other")];
    assert_eq!(outcome(&repeated, &event).unwrap().id, "7", "the body counts in structured mode");
    for (headers, body, said) in [
        (&[JSON][..], "", "the body is empty"),
        (&[JSON], "[]", "no event in JSON format"),
        (&[JSON], "{", "no event in JSON format"),
        (&[JSON], r#"{"id":"1","id":"2"}"#, "`id` is there twice"),
        (&[JSON], "\u{feff}{}", "byte order mark"),
        (
            &[("Content-Type", "application/cloudevents+json; charset=utf-16")],
            event.as_str(),
            "charset",
        ),
        (&[("Content-Type", "application/cloudevents-batch+json")], "[]", "batch"),
        (&[("Content-Type", "application/cloudevents+avro")], "x", "JSON format"),
        (&[("Content-Type", "application/json")], event.as_str(), "no CloudEvent"),
        (&[("Content-Type", "text/plain")], "hello", "no CloudEvent"),
        (&[], "", "no CloudEvent"),
        (&[JSON, JSON], event.as_str(), "more than once"),
    ] {
        let line = outcome(headers, body).unwrap_err();
        assert!(line.contains(said), "{headers:?} {body}: {line}");
    }
}

#[test]
fn headers_of_binary_mode_are_read_in_any_case_and_once() {
    assert!(binary(&[], DATA).is_ok());
    assert!(binary(&[("CE-ID", "8"), ("cE-correlationID", "r-1")], DATA).is_ok());
    assert_eq!(binary(&[("ce-id", "%E2%82%AC%20%2541")], DATA).unwrap().id, "€ %41");
    assert!(binary(&[("Content-Type", "(none)")], DATA).is_ok(), "no type is JSON");
    for (headers, body, said) in [
        (&[("Ce-Id", "7"), ("Ce-Id", "8")][..], DATA, "`Ce-Id` is there more than once"),
        (&[("Ce-Id", "7"), ("ce-id", "7")], DATA, "more than once"),
        (&[("Ce-X", "1"), ("ce-x", "1")], DATA, "more than once"),
        (&[("Ce-Id", "%C0%A0")], DATA, "no UTF-8"),
        (&[("Ce-Id", "100%")], DATA, "write `%25`"),
        (&[("Ce-Id", "(none)")], DATA, "`id` is missing"),
        (&[("Ce-Specversion", "0.3")], DATA, "`specversion` is `0.3`"),
        (&[("Ce-Specversion", "(none)")], DATA, "`specversion` is missing"),
        (&[("Ce-Datacontenttype", "application/json")], DATA, "shadow"),
        (&[("Ce-Data", "x")], DATA, "shadow"),
        (&[("Content-Type", "application/x-www-form-urlencoded")], DATA, "not JSON"),
        (&[], "", "`data` is missing"),
        (&[], "\u{feff}{}", "byte order mark"),
        (&[], "nonsense", "`data` is no JSON, not an object"),
        (&[], "{\"a\":}", "`data` cannot be read"),
        (&[], "[]", "not an object"),
    ] {
        let line = binary(headers, body).unwrap_err();
        assert!(line.contains(said), "{headers:?} {body}: {line}");
    }
}

#[test]
fn the_news_of_a_canary_hands_over_what_the_gate_needs() {
    let canary = json!({
        "image": format!("registry.local:5000/models/iris@sha256:{}", "0".repeat(64)),
        "weight": 10, "revision": "iris-predictor-00002", "baselineRevision": "iris-predictor-00001",
        "baselineImage": "registry.local:5000/models/iris:v1", "startedAt": "2026-11-24T06:10:40Z",
    });
    let send = |canary: Value| {
        let event = json!({
            "specversion": "1.0", "type": CREATED, "id": "7", "source": "/s", "chainhops": 1, "correlationid": "r-1",
            "data": { "serviceName": "iris", "serviceVersion": "v2", "canary": canary, "bento": 7 },
        });
        outcome(&[JSON], &event.to_string())
    };
    let event = send(canary.clone()).unwrap();
    assert_eq!(
        (event.weight.as_str(), event.revision.as_str(), event.hops.as_str(), event.bento.as_str()),
        ("10", "iris-predictor-00002", "1", "")
    );
    for (field, optional) in [
        ("image", false),
        ("revision", false),
        ("baselineRevision", false),
        ("startedAt", false),
        ("baselineImage", true),
        ("weight", true),
    ] {
        let mut without = canary.clone();
        without.as_object_mut().unwrap().remove(field);
        assert_eq!(send(without).is_ok(), optional, "{field}");
        let mut wrong = canary.clone();
        wrong[field] = json!("no such thing");
        let line = send(wrong).unwrap_err();
        assert!(line.contains(&format!("`canary.{field}`")), "{line}");
    }
    assert!(send(Value::Null).unwrap_err().contains("`canary` is null"));
}

#[test]
fn the_news_of_an_end_starts_nothing_and_is_no_fault() {
    for name in ["canary.promoted", "canary.rolledback", "gate.passed", "gate.failed", "failed"] {
        let said = requested("type", json!(format!("build.canary.release.{name}.v1"))).unwrap_err();
        assert!(said.starts_with("stopped"), "{name}: {said}");
    }
}

#[test]
fn what_is_refused_is_known_by_its_id_and_source_as_far_as_they_can_be_read() {
    let of = |headers: &[(&str, &str)], body: &str| match verdict(headers, body) {
        Verdict::Refuse { id, source, .. } => (id, source),
        other => panic!("{other:?}"),
    };
    let both = ("7".to_owned(), "/s".to_owned());
    assert_eq!(of(&[JSON], r#"{"specversion":"0.3","id":"7","source":"/s"}"#), both);
    assert_eq!(of(&[("ce-id", "7"), ("ce-source", "/s")], ""), both);
    assert_eq!(of(&[JSON], r#"{"id":7,"source":"/s"}"#), both);
    assert_eq!(of(&[JSON], "nonsense"), (String::new(), String::new()));
}

#[test]
fn a_stranger_is_told_of_the_signature_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hmac"), "key").unwrap();
    let judge = Judge { keys: KeyRing::open(Some(folder.path().into())).unwrap(), ..open() };
    for (headers, body) in [
        (&[JSON][..], "nonsense"),
        (&[], ""),
        (&[JSON, ("X-Hub-Signature-256", "sha256=00")], "{}"),
    ] {
        match judge.judge(&request(headers, body), SystemTime::now()) {
            Verdict::Refuse { refusal, .. } => {
                assert_eq!(refusal.code, crate::refusal::Code::Unauthenticated);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn attribute() -> impl Strategy<Value = String> {
    // Everything that the specification lets into a String.
    "[^\\p{C}]{1,40}".prop_filter("a non-character", |text| {
        !text.chars().any(|c| u32::from(c) & 0xfffe == 0xfffe)
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let extensions = prop::collection::btree_map(
        "x[a-z0-9]{0,19}",
        prop_oneof![
            attribute().prop_map(ExtensionValue::from),
            any::<i32>().prop_map(|number| i64::from(number).into()),
            any::<bool>().prop_map(ExtensionValue::from)
        ],
        0..5,
    );
    let correlation = prop::option::of("[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?");
    (
        (attribute(), "(/|urn:|https://)[a-z0-9~_.-]{1,30}(/%[0-9A-F]{2})?"),
        (
            prop::option::of(attribute()),
            prop::option::of(Just("application/json; charset=utf-8".to_owned())),
        ),
        (extensions, correlation, prop::option::of(0..8_i64)),
        ("[a-z]([a-z0-9-]{0,44}[a-z0-9])?", "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "\\PC{0,30}"),
    )
        .prop_map(
            |(
                (id, source),
                (subject, datacontenttype),
                (extensions, correlation, hops),
                (service, version, more),
            )| {
                let mut extensions: Vec<_> = extensions.into_iter().collect();
                extensions.extend(
                    correlation.map(|correlation| ("correlationid".to_owned(), correlation.into())),
                );
                extensions.extend(hops.map(|hops| ("chainhops".to_owned(), hops.into())));
                let data =
                    json!({ "serviceName": service, "serviceVersion": version, "more": more });
                Draft {
                    id,
                    source,
                    ty: REQUESTED.into(),
                    subject,
                    datacontenttype,
                    extensions,
                    data: data.to_string().into_bytes(),
                    ..Draft::default()
                }
            },
        )
}

/// The event as it goes over the wire.
fn sent(draft: &Draft, mode: Mode) -> Result<Event, String> {
    let message = message(&draft.clone().build().expect("a valid event"), mode, None);
    let headers: Vec<_> =
        message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    outcome(&headers, std::str::from_utf8(&message.body).expect("JSON"))
}

proptest! {
    #[test]
    fn any_valid_event_is_the_same_in_either_mode(draft in draft()) {
        let structured = sent(&draft, Mode::Structured);
        prop_assert!(structured.is_ok(), "{:?}", structured);
        prop_assert_eq!(&structured, &sent(&draft, Mode::Binary));
        let event = structured.unwrap();
        prop_assert_eq!(&event.id, &draft.id);
        prop_assert_eq!(&event.source, &draft.source);
    }

    #[test]
    fn distinct_events_have_distinct_names(mut all in prop::collection::vec(draft(), 2..6), shared in any::<bool>()) {
        if shared {
            let id = all[0].id.clone();
            for draft in &mut all {
                draft.id.clone_from(&id);
            }
        }
        let who: BTreeSet<_> = all.iter().map(|draft| (draft.source.clone(), draft.id.clone())).collect();
        let names: BTreeSet<_> = all.iter().map(|draft| sent(draft, Mode::Structured).unwrap().name).collect();
        prop_assert_eq!(who.len(), names.len());
    }

    #[test]
    fn nothing_in_a_request_panics(
        names in prop::collection::vec("(?i)(ce-(id|type|source|specversion|chainhops|[a-z-]{0,9})|content-type|authorization|x-hub-signature-256|webhook-(id|timestamp|signature)|\\PC{0,9})", 0..8),
        values in prop::collection::vec("(\\PC{0,20}|%[0-9a-fA-F%]{0,3}|1\\.0|v1,[A-Za-z0-9+/=]{0,50}|sha256=[0-9a-f\\PC]{0,64}|Bearer \\PC{0,9}|[0-9]{0,30}|(?i)application/(cloudevents)?(-batch)?\\+?json(; *charset=\"?[a-z0-9-]{0,9}\"?)?)", 8),
        body in "(\\PC{0,60}|[\\[\\]{}\":,0-9a-z\\\\u.eE+ -]{0,60}|\\{\"specversion\":\"1\\.0\",\"id\":\"\\PC{0,9}\",\"source\":\"/s\",\"type\":\"build\\.canary\\.release\\.requested\\.v1\",\"data\":[\\[\\]{}\":,0-9a-z.eE+ -]{0,40}\\})",
        keyed in any::<bool>(),
    ) {
        let mut headers = Headers::default();
        for (name, value) in names.into_iter().zip(values) {
            headers.0.entry(name).or_default().push(value);
        }
        let keys = if keyed {
            Keys { hmac: Some(crate::keys::HmacKey { text: b"k".into(), decoded: Some(b"d".into()) }), token: Some(b"t".into()) }
        } else {
            Keys::default()
        };
        let request = Request { body: body.into(), header: headers, ..Request::default() };
        let verdict = super::judge(&request, &keys, &open(), SystemTime::now());
        if let Err(refusal) = verdict {
            let _ = binding::glance(&request.header, &request.body);
            prop_assert!(!refusal.line().contains(char::is_control));
        }
    }

    #[test]
    fn one_byte_more_or_less_or_other_panics_nothing(draft in draft(), at in any::<prop::sample::Index>(), new in "\\PC{0,2}", gone in 0..3_usize) {
        let message = message(&draft.build().unwrap(), Mode::Structured, None);
        let text = String::from_utf8(message.body).unwrap();
        let at = at.index(text.chars().count());
        let changed: String = text.chars().take(at).chain(new.chars()).chain(text.chars().skip(at + gone)).collect();
        let _ = outcome(&[JSON], &changed);
    }
}

#[test]
fn a_hostile_shape_takes_no_longer_than_its_size() {
    let names: Vec<_> = (0..120_000).map(|number| format!(r#","x{number:x}":1"#)).collect();
    let many = names.concat();
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    for body in [
        format!(
            r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/s","data":{DATA}{many}}}"#
        ),
        format!(
            r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/s","data":{{"a":{deep},{}}}"#,
            &DATA[1..]
        ),
        deep.clone(),
        format!(
            r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/s","data":{{"serviceName":{deep}}}}}"#
        ),
    ] {
        let _ = outcome(&[JSON], &body); // quadratic or recursive, one of these would not end well
    }
}
