//! A canary's first percent, and the rungs that it climbs.

use proptest::prelude::*;

use super::*;

fn canary() -> Value {
    json!({
        "image": format!("registry.local:5000/models/iris@sha256:{}", "0".repeat(64)),
        "weight": 10, "revision": "iris-predictor-00002", "baselineRevision": "iris-predictor-00001",
        "baselineImage": "registry.local:5000/models/iris:v1", "startedAt": "2026-11-24T06:10:40Z",
    })
}

fn created(canary: &Value) -> Result<Event, String> {
    told(
        "canary.created",
        &json!({ "serviceName": "iris", "serviceVersion": "v2", "canary": canary, "bento": 7 }),
    )
}

/// A canary on the third rung, with one field changed.
fn advanced(field: &str, value: Value) -> Result<Event, String> {
    let mut canary = canary();
    canary["weight"] = json!(50);
    canary["ladder"] = json!("10,25,50");
    canary["rung"] = json!(3);
    canary["climbed"] = json!([rung(10, "05:50:00Z"), rung(25, "06:00:00+00:00")]);
    match value {
        Value::String(word) if word == "(none)" => {
            canary.as_object_mut().unwrap().remove(field);
        }
        value => canary[field] = value,
    }
    told(
        "canary.advanced",
        &json!({ "serviceName": "iris", "serviceVersion": "v2", "canary": canary, "gate": { "reason": "held" } }),
    )
}

fn rung(weight: u8, time: &str) -> Value {
    json!({ "weight": weight, "startedAt": format!("2026-11-24T{time}") })
}

#[test]
fn a_canary_s_event_hands_over_what_the_gate_needs() {
    let event = created(&canary()).unwrap();
    assert_eq!(
        (event.weight.as_str(), event.revision.as_str(), event.hops.as_str(), event.bento.as_str()),
        ("10", "iris-predictor-00002", "1", "")
    );
    assert_eq!((event.ladder.as_str(), event.climbed.as_str()), ("", ""));
    for (field, optional) in [
        ("image", false),
        ("revision", false),
        ("baselineRevision", false),
        ("startedAt", false),
        ("baselineImage", true),
        ("weight", true),
    ] {
        let mut without = canary();
        without.as_object_mut().unwrap().remove(field);
        assert_eq!(created(&without).is_ok(), optional, "{field}");
        let mut wrong = canary();
        wrong[field] = json!("no such thing");
        let line = created(&wrong).unwrap_err();
        assert!(line.contains(&format!("`canary.{field}`")), "{line}");
    }
    assert!(created(&Value::Null).unwrap_err().contains("`canary` is null"));
}

#[test]
fn a_canary_without_a_share_has_no_weight_to_judge_by() {
    let mut canary = canary();
    canary["weight"] = json!(0);
    canary["ladder"] = json!("0,100");
    let event = created(&canary).unwrap();
    assert_eq!((event.weight.as_str(), event.ladder.as_str()), ("", "0,100"));
}

#[test]
fn a_rung_s_event_hands_over_the_ladder_and_what_was_climbed_of_it() {
    let event = advanced("baselineImage", json!("(none)")).unwrap();
    assert_eq!(
        (event.weight.as_str(), event.started_at.as_str()),
        ("50", "2026-11-24T06:10:40Z"),
        "{event:?}"
    );
    assert_eq!(event.ladder, "10,25,50,100");
    assert_eq!(event.climbed, "10@2026-11-24T05:50:00Z,25@2026-11-24T06:00:00Z");
    assert_eq!(event.hops, "1");
}

#[test]
fn whether_answers_are_compared_is_handed_over_in_one_line() {
    for (written, read) in [
        ("compared", "compared"),
        ("observed", "observed"),
        ("", "the event does not say whether answers are counted"),
        ("(none)", "the event does not say whether answers are counted"),
        ("the service has\na $(logger) of its own", "the service has | a $ (logger) of its own"),
    ] {
        assert_eq!(advanced("answers", json!(written)).unwrap().answers, read, "{written:?}");
    }
    let mut canary = canary();
    canary["answers"] = json!("é".repeat(200));
    assert_eq!(created(&canary).unwrap().answers, "é".repeat(200));
}

#[test]
fn all_requests_may_be_a_rung_that_is_watched() {
    assert_eq!(advanced("weight", json!(100)).unwrap().weight, "100");
    let mut canary = canary();
    canary["weight"] = json!(100);
    let line = created(&canary).unwrap_err();
    assert!(line.contains("`canary.weight` is not a whole number from 0 to 99"), "{line}");
}

#[test]
fn a_rung_may_come_without_a_ladder_or_with_nothing_below_it() {
    for nothing in ["(none)", ""] {
        assert_eq!(advanced("ladder", json!(nothing)).unwrap().ladder, "");
    }
    assert_eq!(advanced("climbed", json!([])).unwrap().climbed, "");
    assert_eq!(
        advanced("climbed", json!([rung(0, "06:00:00Z")])).unwrap().climbed,
        "0@2026-11-24T06:00:00Z"
    );
}

#[test]
fn a_fault_of_a_rung_is_named_with_what_to_write() {
    let twice = rung(10, "06:00:00Z");
    for (field, value, text) in [
        ("image", json!("(none)"), "`canary.image` is missing"),
        ("startedAt", json!("(none)"), "`canary.startedAt` is missing"),
        (
            "weight",
            json!("(none)"),
            "`canary.weight` is missing; write what canary-promote reports",
        ),
        ("weight", json!(0), "`canary.weight` is not a whole number from 1 to 100: `0`"),
        ("weight", json!(101), "from 1 to 100"),
        ("ladder", json!(50), "`canary.ladder` is a number, not a string: `50`"),
        ("ladder", json!("50,25"), "each percent has to be above the one before"),
        ("ladder", json!("100"), "`canary.ladder` does not fit"),
        ("ladder", json!("10;25"), "`10;25` is not a valid percent"),
        ("ladder", json!("9".repeat(9999)), "`canary.ladder` does not fit"),
        ("answers", json!(true), "`canary.answers` is a boolean, not a string: `true`"),
        ("answers", Value::Null, "`canary.answers` is null"),
        (
            "answers",
            json!("é".repeat(201)),
            "`canary.answers` has more than 200 characters; write what canary-create reports",
        ),
        ("climbed", json!("(none)"), "`canary.climbed` is missing; write the rungs below this one"),
        ("climbed", Value::Null, "`canary.climbed` is null, not a list"),
        ("climbed", json!("10@2026-11-24T05:50:00Z"), "`canary.climbed` is a string, not a list"),
        ("climbed", json!([10]), "`canary.climbed[0]` is a number, not an object"),
        ("climbed", json!([{}]), "`canary.climbed[0].startedAt` is missing"),
        (
            "climbed",
            json!([{ "startedAt": "2026-11-24T05:50:00Z" }]),
            "`canary.climbed[0].weight` is missing",
        ),
        ("climbed", json!([rung(100, "05:50:00Z")]), "`canary.climbed[0].weight` is not a whole"),
        ("climbed", json!([rung(10, "25:50:00Z")]), "`canary.climbed[0].startedAt` does not fit"),
        ("climbed", json!([twice, twice]), "does not ascend: 10 follows 10"),
        (
            "climbed",
            json!([rung(25, "05:50:00Z"), rung(10, "06:00:00Z")]),
            "does not ascend: 10 follows 25",
        ),
        (
            "climbed",
            json!([rung(10, "06:00:00Z"), rung(25, "05:50:00Z")]),
            "goes back in time: 2026-11-24T05:50:00Z follows 2026-11-24T06:00:00Z",
        ),
        ("climbed", json!([rung(50, "05:50:00Z")]), "ends at 50, which is not below"),
        ("climbed", json!(["x".repeat(20_000)]), "has more than 16384 bytes"),
    ] {
        let line = advanced(field, value.clone()).unwrap_err();
        assert!(line.contains(text), "{field}: {value}: {line}");
    }
}

proptest! {
    #[test]
    fn what_was_climbed_is_handed_over_as_the_steps_read_it(
        percents in prop::collection::btree_set(0..50_u8, 0..9), minute in 0..50_u8,
    ) {
        let at = |(number, percent): (u8, &u8)| rung(*percent, &format!("05:{:02}:00Z", minute + number));
        let rungs: Vec<_> = (0..).zip(&percents).map(at).collect();
        let event = advanced("climbed", json!(rungs)).unwrap();
        let read: ::ladder::Climbed = event.climbed.parse().unwrap();
        let read: Vec<_> = read.0.iter().map(|rung| json!({
            "weight": rung.percent, "startedAt": rung.started_at.to_string(),
        })).collect();
        prop_assert_eq!(read, rungs);
    }

    /// From rung to rung it goes through a Trigger and the step that climbs.
    #[test]
    fn what_is_said_of_answers_is_one_line_and_the_same_on_every_rung(
        text in "(\\PC|[$(\n\t\r\u{1b}\u{202e}\u{200b}\"\\\\]){0,200}",
    ) {
        let first = advanced("answers", json!(text)).unwrap().answers;
        prop_assert!(!first.contains(char::is_control) && !first.contains("$("), "{:?}", first);
        prop_assert!(first.chars().count() <= 200, "{:?}", first);
        prop_assert_eq!(&advanced("answers", json!(first)).unwrap().answers, &first);
    }

    #[test]
    fn no_list_of_rungs_panics(list in "\\[[\\[\\]{}\":,0-9a-z.eE+ -]{0,40}\\]|\\[(\\{\"weight\":-?[0-9.e]{0,5},\"startedAt\":\"[0-9TZ:.+-]{0,30}\"\\},?){0,3}\\]") {
        let body = format!(
            r#"{{"specversion":"1.0","type":"build.canary.release.canary.advanced.v1","id":"7","source":"/s","data":{{"serviceName":"iris","serviceVersion":"v2","canary":{{"image":"i@sha256:{}","weight":50,"revision":"r","baselineRevision":"r","startedAt":"2026-11-24T06:10:40Z","climbed":{list}}}}}}}"#,
            "0".repeat(64)
        );
        let _ = outcome(&[JSON], &body);
    }
}
