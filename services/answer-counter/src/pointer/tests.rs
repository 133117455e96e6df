use proptest::prelude::*;

use super::*;

/// The scalars below a pointer, as they are written
fn below(pointer: &str, document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let document = Document::read(document.as_bytes()).unwrap();
    Pointer::parse(pointer).unwrap().scalars(document, &mut |value| {
        found.push(value.source().to_owned());
    });
    found
}

#[test]
fn a_pointer_finds_scalars_and_those_of_arrays() {
    let document = r#"{"species": "setosa", "predictions": [{"label": "cat", "score": 0.9}, {"label": "dog"}],
        "flat": [1, [2, 3], {"x": 4}], "a/b": {"~": true, "*": null, "": 7}, "n": {"0": "zero"}}"#;
    let rows: [(&str, &[&str]); 17] = [
        ("/species", &[r#""setosa""#]),
        ("/predictions/0/label", &[r#""cat""#]),
        ("/predictions/*/label", &[r#""cat""#, r#""dog""#]),
        ("/predictions/*/score", &["0.9"]),
        ("/predictions/2/label", &[]),
        ("/predictions/label", &[]),
        ("/predictions", &[]),
        ("/flat", &["1", "2", "3"]),
        ("/flat/1", &["2", "3"]),
        ("/flat/01", &[]),
        ("/flat/*/x", &["4"]),
        ("/a~1b/~0", &["true"]),
        ("/a~1b/*", &["null"]),
        ("/a~1b/", &["7"]),
        ("/n/0", &[r#""zero""#]),
        ("/species/x", &[]),
        ("/missing", &[]),
    ];
    for (pointer, wanted) in rows {
        assert_eq!(below(pointer, document), wanted, "{pointer}");
    }
    assert_eq!(below("/", r#""setosa""#), [r#""setosa""#]);
    assert_eq!(below("/", "[1, 2]"), ["1", "2"]);
    assert_eq!(below("/*/label", r#"[{"label": 1}, {"label": 2}]"#), ["1", "2"]);
}

#[test]
fn an_output_is_found_by_its_name() {
    let document = r#"{"outputs": [{"name": "label", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
        {"data": [0.5], "name": "score", "more": {"x": 1}}]}"#;
    assert_eq!(below("/outputs/label", document), [r#""a""#, r#""b""#]);
    assert_eq!(below("/outputs/score", document), ["0.5"]);
    assert_eq!(below("/outputs/score/more/x", document), ["1"]);
    assert_eq!(below("/outputs/1/data", document), ["0.5"]);
    assert!(below("/outputs/nothing", document).is_empty());
}

#[test]
fn of_members_of_one_name_the_last_counts() {
    assert_eq!(below("/a", r#"{"a": 1, "b": 2, "a": 3}"#), ["3"]);
}

#[test]
fn what_is_no_pointer_is_told() {
    let long = format!("/{}", "a".repeat(128));
    for text in ["", "species", "#/species", "/a~", "/a~2", "/a\nb", "/1/2/3/4/5/6/7/8/9", &long] {
        assert!(Pointer::parse(text).is_err(), "{text}");
    }
}

/// Any document, from a small set of names, so that pointers meet something
fn documents() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,4}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[ab~/*0]{0,2}", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The scalars of a value, by hand
fn flat(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Array(all) => all.iter().flat_map(flat).collect(),
        serde_json::Value::Object(_) => Vec::new(),
        other => vec![other.to_string()],
    }
}

proptest! {
    #[test]
    fn without_stars_a_pointer_is_what_serde_json_takes_it_for(
        document in documents(), tokens in prop::collection::vec("[ab~/0]{0,2}", 1..4),
    ) {
        let escaped: Vec<_> = tokens.iter().map(|token| escaped(token)).collect();
        let pointer = format!("/{}", escaped.join("/"));
        prop_assume!(pointer != "/"); // is the whole document here
        let wanted = document.pointer(&pointer).map(flat).unwrap_or_default();
        prop_assert_eq!(below(&pointer, &document.to_string()), wanted);
    }

    #[test]
    fn any_text_is_a_pointer_or_an_error(text in any::<String>(), document in documents()) {
        if Pointer::parse(&text).is_ok() {
            below(&text, &document.to_string());
        }
    }
}
