use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::Config;

/// What is counted of an answer of version `v2`, as `FIELD ANSWER` lines
fn counted(config: &str, body: &str) -> Vec<String> {
    of_version("v2", config, body.as_bytes()).unwrap()
}

fn of_version(version: &str, config: &str, body: &[u8]) -> Result<Vec<String>, Unreadable> {
    let config = Config::parse(config).unwrap();
    let mut found = Vec::new();
    answers(config.of("models", "iris").unwrap(), version, body, |field, answer| {
        found.push(match answer {
            Answer::Category(text) => format!("{field} {text}"),
            Answer::Number(number, bounds) => format!("{field} {number} of {bounds:?}"),
        });
    })?;
    Ok(found)
}

fn by_itself(body: &str) -> Vec<String> {
    counted("", body)
}

#[test]
fn short_texts_booleans_and_small_integers_are_counted_by_themselves() {
    let body = r#"{"species": "setosa", "sure": true, "class": 7, "score": 0.93, "price": 249000, "n": null,
        "reasons": ["small", "light"], "detail": {"inner": "no"}, "boxes": [[1, 2]], "": "x", "minus": -1}"#;
    assert_eq!(
        by_itself(body),
        [
            "/species setosa",
            "/sure true",
            "/class 7",
            "/reasons small",
            "/reasons light",
            "/minus -1"
        ]
    );
    assert!(by_itself(&format!(r#"{{"text": "{}"}}"#, "x".repeat(65))).is_empty());
    assert_eq!(by_itself(r#"{"a/b~c": 1}"#), ["/a~1b~0c 1"]);
    assert!(
        by_itself(r#"{"a": 1.0, "b": 1e2, "c": -0, "d": 1000, "e\u202e": 1, "f": []}"#).is_empty()
    );
}

#[test]
fn an_answer_that_is_no_object_is_the_field_of_a_slash() {
    assert_eq!(by_itself(r#""setosa""#), ["/ setosa"]);
    assert_eq!(by_itself(" [0, 2] "), ["/ 0", "/ 2"]);
    assert_eq!(by_itself(r#"[{"label": "POSITIVE", "score": 0.9}]"#), ["/*/label POSITIVE"]);
    assert!(by_itself("3.14").is_empty());
}

#[test]
fn the_v1_protocol_is_its_predictions() {
    assert_eq!(
        by_itself(r#"{"predictions": [0, 2], "status": "ok"}"#),
        ["/predictions 0", "/predictions 2"]
    );
    assert_eq!(
        by_itself(r#"{"predictions": [{"label": "cat", "score": 0.9}, {"label": "dog"}]}"#),
        ["/predictions/*/label cat", "/predictions/*/label dog"]
    );
    assert_eq!(by_itself(r#"{"predictions": "cat"}"#), ["/predictions cat"]);
    assert_eq!(by_itself(r#"{"predictions": {"label": "cat"}}"#), ["/predictions/label cat"]);
    assert!(by_itself(r#"{"predictions": [[0.1, 0.9], [1, 0]]}"#).is_empty());
}

#[test]
fn the_v2_protocol_is_its_outputs_by_name_but_for_floats() {
    let body = r#"{"model_name": "iris", "model_version": "7", "id": "x", "outputs": [
        {"data": ["setosa"], "name": "label", "datatype": "BYTES", "shape": [1]},
        {"name": "class", "datatype": "INT64", "shape": [1, 2], "data": [[0, 1]]},
        {"name": "sure", "datatype": "BOOL", "shape": [1], "data": [true]},
        {"name": "small", "datatype": "UINT8", "shape": [1], "data": [3]},
        {"name": "p", "datatype": "FP32", "shape": [1], "data": [1]},
        {"name": "id", "datatype": "BYTES", "shape": [1], "data": ["x"]}]}"#;
    assert_eq!(
        by_itself(body),
        [
            "/outputs/label setosa",
            "/outputs/class 0",
            "/outputs/class 1",
            "/outputs/sure true",
            "/outputs/small 3"
        ]
    );
    let plain = r#"{"outputs": ["a", "b"], "kind": "x"}"#;
    assert_eq!(by_itself(plain), ["/outputs a", "/outputs b", "/kind x"]);
}

#[test]
fn what_tells_of_the_version_is_no_answer() {
    assert_eq!(by_itself(r#"{"species": "setosa", "version": "v2"}"#), ["/species setosa"]);
    assert_eq!(
        by_itself(r#"{"species": "setosa", "served": "v2", "Model-Name": "m"}"#),
        ["/species setosa"]
    );
    assert_eq!(by_itself(r#"{"served": "v1"}"#), ["/served v1"]);
    // Else no answer of this class would be counted for this version, and all of it for the others.
    for version in ["2", "blue", "42"] {
        let body = format!(r#"{{"class": "{version}"}}"#);
        assert_eq!(
            of_version(version, "", body.as_bytes()).unwrap(),
            [format!("/class {version}")]
        );
    }
    assert!(of_version("20261124", "", br#"{"build_of": "20261124"}"#).unwrap().is_empty());
}

#[test]
fn a_config_names_what_is_counted() {
    let config = "services: [{fields: [{pointer: /version}, {pointer: /predictions/*/score, kind: number, buckets: [0.5, 0.9]}]}]";
    assert_eq!(
        counted(
            config,
            r#"{"version": "v2", "species": "x", "predictions": [{"score": 0.7}, {"score": "no"}]}"#
        ),
        ["/version v2", "/predictions/*/score 0.7 of [0.5, 0.9]"]
    );
    assert_eq!(
        counted(
            "services: [{fields: [/a]}]".replace("/a", "{pointer: /a}").as_str(),
            r#"{"a": [null, 1.50, "x", {}, ""]}"#
        ),
        ["/a null", "/a 1.50", "/a x", "/a (empty)"]
    );
    assert!(counted("services: [{fields: []}]", r#"{"a": 1}"#).is_empty());
    assert_eq!(counted("services: [{except: [/a]}]", r#"{"a": 1, "b": 2}"#), ["/b 2"]);
}

#[test]
fn a_category_is_one_line_of_64_bytes_that_nothing_obeys() {
    let config = "services: [{fields: [{pointer: /a}]}]";
    let of = |text: &str| counted(config, &serde_json::json!({ "a": text }).to_string()).remove(0);
    assert_eq!(of("a\nb\t\u{202e}c"), "/a a | b \\u{202e}c");
    let cut = of(&"ö".repeat(50));
    assert!(cut.len() <= 3 + 64 && cut.ends_with('…'), "{cut}");
    assert_eq!(of(&"x".repeat(64)), format!("/a {}", "x".repeat(64)));
    assert_eq!(of("größe"), "/a größe");
}

#[test]
fn of_what_is_no_json_nothing_is_counted() {
    for body in [
        "",
        "{",
        r#"{"species": "setosa""#,
        r#"{"species": "setosa"} x"#,
        r#"{"a": "\ud800", "b": 1}"#,
        r#"{"b": 1, "a": 1e999}"#,
        "setosa",
        "{'a': 1}",
        "\u{feff}{}",
    ] {
        assert_eq!(of_version("v2", "", body.as_bytes()), Err(Unreadable), "{body}");
    }
    assert_eq!(of_version("v2", "", b"{\"a\": \"\xff\"}"), Err(Unreadable));
    let deep = "[".repeat(200_000);
    assert_eq!(of_version("v2", "", deep.as_bytes()), Err(Unreadable));
}

fn tally(body: &[u8]) -> Option<BTreeMap<String, usize>> {
    let found = of_version("v2", "", body).ok()?;
    Some(found.into_iter().fold(BTreeMap::new(), |mut all, answer| {
        *all.entry(answer).or_default() += 1;
        all
    }))
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = tally(&body);
    }

    #[test]
    fn any_text_near_json_is_read_or_refused(body in r#"([\[\]{},:]|"[a-z\\u]{0,3}"|[0-9.e-]{1,3}|true|null| ){0,30}"#) {
        let is_json = serde_json::from_str::<serde_json::Value>(&body).is_ok();
        prop_assert_eq!(tally(body.as_bytes()).is_some(), is_json);
    }

    #[test]
    fn the_order_of_members_changes_no_count(
        members in prop::collection::btree_map("[a-e]{1,2}", "(\"[a-c]{1,2}\"|[0-9]{1,4}|true|\\[1,2\\])", 0..6),
        turn in 0usize..6,
    ) {
        let mut lines: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let one = tally(format!("{{{}}}", lines.join(",")).as_bytes());
        lines.rotate_left(turn.min(members.len()));
        prop_assert_eq!(tally(format!("{{{}}}", lines.join(",")).as_bytes()), one);
    }
}
