//! What is refused, and what the line says to write instead.

use super::*;

#[test]
fn a_fault_of_an_attribute_is_named_with_what_to_write() {
    for (name, value, text) in [
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
        assert!(line.contains(text), "{name}: {value}: {line}");
    }
}

#[test]
fn a_fault_of_the_data_is_named_with_what_to_write() {
    let with = |more: Value| {
        let mut data = json!({ "serviceName": "iris", "serviceVersion": "v2" });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    for (data, text) in [
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
        (
            with(json!({ "expectAnswerShift": "true" })),
            "`expectAnswerShift` is a string, not a boolean: `\"true\"`; write true without quotes",
        ),
        (with(json!({ "expectAnswerShift": 1 })), "`expectAnswerShift` is a number"),
        (with(json!({ "expectAnswerShift": null })), "`expectAnswerShift` is null"),
    ] {
        let line = requested("data", data.clone()).unwrap_err();
        assert!(line.contains(text), "{data}: {line}");
    }
}

#[test]
fn a_request_that_is_no_event_learns_what_one_is() {
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
    for (headers, body, text) in [
        (&[JSON][..], "", "the body is empty"),
        (&[JSON], "[]", "not a valid event in JSON format"),
        (&[JSON], "{", "not a valid event in JSON format"),
        (&[JSON], r#"{"id":"1","id":"2"}"#, "`id` is there twice"),
        (&[JSON], "\u{feff}{}", "byte order mark"),
        (
            &[("Content-Type", "application/cloudevents+json; charset=utf-16")],
            event.as_str(),
            "charset",
        ),
        (&[("Content-Type", "application/cloudevents-batch+json")], "[]", "batch"),
        (&[("Content-Type", "application/cloudevents+avro")], "x", "JSON format"),
        (&[("Content-Type", "application/json")], event.as_str(), "not a CloudEvent"),
        (&[("Content-Type", "text/plain")], "hello", "not a CloudEvent"),
        (&[], "", "not a CloudEvent"),
        (&[JSON, JSON], event.as_str(), "more than once"),
    ] {
        let line = outcome(headers, body).unwrap_err();
        assert!(line.contains(text), "{headers:?} {body}: {line}");
    }
}

#[test]
fn headers_of_binary_mode_are_read_in_any_case_and_once() {
    assert!(binary(&[], DATA).is_ok());
    assert!(binary(&[("CE-ID", "8"), ("cE-correlationID", "r-1")], DATA).is_ok());
    assert_eq!(binary(&[("ce-id", "%E2%82%AC%20%2541")], DATA).unwrap().id, "€ %41");
    assert!(binary(&[("Content-Type", "(none)")], DATA).is_ok(), "no type is JSON");
    for (headers, body, text) in [
        (&[("Ce-Id", "7"), ("Ce-Id", "8")][..], DATA, "`Ce-Id` is there more than once"),
        (&[("Ce-Id", "7"), ("ce-id", "7")], DATA, "more than once"),
        (&[("Ce-X", "1"), ("ce-x", "1")], DATA, "more than once"),
        (&[("Ce-Id", "%C0%A0")], DATA, "not valid UTF-8"),
        (&[("Ce-Id", "100%")], DATA, "write `%25`"),
        (&[("Ce-Id", "(none)")], DATA, "`id` is missing"),
        (&[("Ce-Specversion", "0.3")], DATA, "`specversion` is `0.3`"),
        (&[("Ce-Specversion", "(none)")], DATA, "`specversion` is missing"),
        (&[("Ce-Datacontenttype", "application/json")], DATA, "shadow"),
        (&[("Ce-Data", "x")], DATA, "shadow"),
        (&[("Content-Type", "application/x-www-form-urlencoded")], DATA, "not JSON"),
        (&[], "", "`data` is missing"),
        (&[], "\u{feff}{}", "byte order mark"),
        (&[], "nonsense", "`data` is not valid JSON, not an object"),
        (&[], "{\"a\":}", "`data` cannot be read"),
        (&[], "[]", "not an object"),
    ] {
        let line = binary(headers, body).unwrap_err();
        assert!(line.contains(text), "{headers:?} {body}: {line}");
    }
}
