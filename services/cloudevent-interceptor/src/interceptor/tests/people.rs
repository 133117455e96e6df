//! What people ask for: a decision about a release, or the version before.

use super::*;

/// An event of this type with one field of its data changed.
fn asked(ty: &str, field: &str, value: Value) -> Result<Event, String> {
    let mut data = json!({ "serviceName": "iris", "serviceVersion": "v2", "by": "ada" });
    if ty == "decision.requested" {
        data["decision"] = json!("approve");
    }
    match value {
        Value::String(word) if word == "(none)" => {
            data.as_object_mut().unwrap().remove(field);
        }
        value => data[field] = value,
    }
    told(ty, &data)
}

#[test]
fn a_decision_is_handed_over_with_who_and_why() {
    let data = json!({ "serviceName": "iris", "serviceVersion": "v2", "decision": "approve",
        "percent": 50, "by": "ada@example.org", "reason": "p99 is fine:\n0.2 s", "more": [1] });
    let event = told("decision.requested", &data).unwrap();
    assert_eq!(
        [&event.service, &event.version, &event.decision, &event.percent, &event.by, &event.reason],
        ["iris", "v2", "approve", "50", "ada@example.org", "p99 is fine: | 0.2 s"]
    );
    assert_eq!((event.hops.as_str(), event.weight.as_str()), ("1", ""));
    for decision in ["approve", "hold", "resume", "promote", "abort"] {
        let event = asked("decision.requested", "decision", json!(decision)).unwrap();
        assert_eq!(
            (event.decision.as_str(), event.percent.as_str(), event.reason.as_str()),
            (decision, "", "")
        );
    }
}

#[test]
fn a_rollback_may_name_the_version_that_is_to_go() {
    let event = asked("rollback.requested", "reason", json!("wrong labels")).unwrap();
    assert_eq!((event.version.as_str(), event.reason.as_str()), ("v2", "wrong labels"));
    let event = asked("rollback.requested", "serviceVersion", json!("(none)")).unwrap();
    assert_eq!(
        (event.version.as_str(), event.version_label.as_str(), event.by.as_str()),
        ("", "", "ada")
    );
}

#[test]
fn a_fault_of_what_people_ask_for_is_named_with_what_to_write() {
    let long = |length: usize| json!("ö".repeat(length));
    for ty in ["decision.requested", "rollback.requested"] {
        for (field, value, text) in [
            ("serviceName", json!("(none)"), "`serviceName` is missing"),
            ("serviceVersion", json!("$(reboot)"), "`serviceVersion` does not fit"),
            ("by", json!("(none)"), "`by` is missing; write who asks"),
            ("by", json!(""), "`by` is empty"),
            ("by", json!(" \n\t"), "`by` is empty"),
            ("by", json!(7), "`by` is a number, not a string: `7`"),
            ("by", Value::Null, "`by` is null"),
            ("by", long(257), "`by` has more than 256 characters; write who asks"),
            ("reason", json!(["a"]), "`reason` is a list, not a string"),
            ("reason", long(1025), "`reason` has more than 1024 characters; write why"),
        ] {
            let line = asked(ty, field, value.clone()).unwrap_err();
            assert!(line.contains(text), "{ty}: {field}: {value}: {line}");
        }
        assert!(asked(ty, "by", long(256)).is_ok() && asked(ty, "reason", long(1024)).is_ok());
    }
    for (field, value, text) in [
        ("serviceVersion", json!("(none)"), "`serviceVersion` is missing"),
        ("decision", json!("(none)"), "`decision` is missing; write approve, hold, resume"),
        ("decision", json!("Approve"), "`decision` does not fit: `Approve`"),
        ("decision", json!(""), "`decision` is empty"),
        ("decision", json!(true), "`decision` is a boolean"),
        ("percent", json!(0), "`percent` is not a whole number from 1 to 100: `0`"),
        ("percent", json!(101), "from 1 to 100"),
        ("percent", json!("50"), "from 1 to 100: `\"50\"`"),
        ("percent", Value::Null, "from 1 to 100: `null`"),
    ] {
        let line = asked("decision.requested", field, value.clone()).unwrap_err();
        assert!(line.contains(text), "{field}: {value}: {line}");
    }
}

#[test]
fn a_percent_goes_with_what_counts_up_to_one() {
    let data = |decision: &str| json!({ "serviceName": "iris", "serviceVersion": "v2", "by": "ada", "decision": decision, "percent": 50 });
    for decision in ["approve", "promote"] {
        assert_eq!(told("decision.requested", &data(decision)).unwrap().percent, "50");
    }
    for decision in ["hold", "resume", "abort"] {
        let line = told("decision.requested", &data(decision)).unwrap_err();
        assert!(line.starts_with(&format!("`percent` has no meaning for `{decision}`")), "{line}");
    }
}

#[test]
fn what_people_write_is_data_and_no_text_of_ours() {
    for (written, handed) in [
        ("ada\u{1b}[31m", "ada\\u{1b}[31m"),
        ("ada\r\nhint: obey", "ada | hint: obey"),
        ("\u{202e}ada", "\\u{202e}ada"),
        ("$(params.sink) $$(HOME)", "$ (params.sink) $$ (HOME)"),
        ("$(", "$ ("),
        ("\"ada\" \\ 'x' {}", "\"ada\" \\ 'x' {}"),
        ("größe 😀", "größe 😀"),
    ] {
        for field in ["by", "reason"] {
            let event = asked("decision.requested", field, json!(written)).unwrap();
            let found = if field == "by" { event.by } else { event.reason };
            assert_eq!(found, handed);
        }
    }
}
