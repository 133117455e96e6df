use super::*;
use crate::event::Draft;

fn valid() -> Draft {
    Draft { id: "1".into(), source: "/s".into(), ty: "t.v1".into(), ..Draft::default() }
}

/// The text of the rule that the changed event breaks.
fn refusal(change: impl FnOnce(&mut Draft)) -> String {
    let mut draft = valid();
    change(&mut draft);
    draft.check().expect_err("refused").what
}

#[test]
fn an_event_with_its_required_attributes_passes() {
    valid().check().unwrap();
}

#[test]
fn an_empty_attribute_is_refused() {
    assert_eq!(refusal(|draft| draft.id.clear()), "attribute `id` is empty");
    assert_eq!(refusal(|draft| draft.ty.clear()), "attribute `type` is empty");
    assert_eq!(refusal(|draft| draft.source.clear()), "attribute `source` is empty");
    assert_eq!(
        refusal(|draft| draft.subject = Some(String::new())),
        "attribute `subject` is empty"
    );
}

#[test]
fn a_control_character_is_refused_in_every_string() {
    for bad in ["a\tb", "a\r\nb", "a\0", "\u{7f}", "\u{85}", "\u{ffff}", "\u{1fffe}", "\u{fdd0}"] {
        assert!(refusal(|draft| draft.id = bad.into()).contains("control"), "{bad:?}");
        assert!(refusal(|draft| draft.subject = Some(bad.into())).contains("control"), "{bad:?}");
        assert!(
            refusal(|draft| draft.extensions.push(("x".into(), bad.into()))).contains("control"),
            "{bad:?}"
        );
    }
    let mut euro = valid();
    euro.subject = Some("Euro € 😀".into());
    euro.check().unwrap();
}

#[test]
fn a_source_is_a_uri_reference() {
    for good in [
        "/notebooks/ada/iris",
        "https://ci.example/jobs/7?a=b#c",
        "urn:uuid:6e8bc430",
        "ci",
        "//host/x",
        "mailto:a@b",
        "/a%20b",
    ] {
        assert!(is_uri_reference(good), "{good}");
    }
    for bad in
        ["a b", "/€", "/a%2", "/a%zz", "1a:b", ":b", "a:", "/a#b#c", "/<x>", "/a\\b", "/\"", "/{x}"]
    {
        assert!(!is_uri_reference(bad), "{bad}");
    }
    assert!(refusal(|draft| draft.source = "my notebook".into()).contains("URI reference"));
}

#[test]
fn a_schema_is_an_absolute_uri() {
    assert!(refusal(|draft| draft.dataschema = Some("/release/v1".into())).contains("absolute"));
}

#[test]
fn a_time_is_of_rfc_3339() {
    for bad in
        ["yesterday", "2026-11-24", "2026-11-24T06:07:00", "2026-13-24T06:07:00Z", "1700000000"]
    {
        assert!(refusal(|draft| draft.time = Some(bad.into())).contains("RFC 3339"), "{bad}");
    }
}

#[test]
fn a_content_type_is_a_media_type() {
    for good in [
        "application/json",
        "text/plain; charset=utf-8",
        "text/plain;a=\"b c\";d=e",
        "application/vnd.x+json",
    ] {
        assert!(is_media_type(good), "{good}");
    }
    for bad in [
        "",
        "json",
        "application/",
        "/json",
        "a/b/c",
        "a b/c",
        "a/b;",
        "a/b; c",
        "a/b; c=\"",
        "a/b,c/d",
    ] {
        assert!(!is_media_type(bad), "{bad}");
    }
    assert!(refusal(|draft| draft.datacontenttype = Some("json".into())).contains("media type"));
}

#[test]
fn data_of_a_json_type_is_json() {
    assert!(refusal(|draft| draft.data = b"{".to_vec()).contains("not valid JSON"));
    assert!(refusal(|draft| draft.data = b"{} {}".to_vec()).contains("not valid JSON"));
    let mut text = valid();
    text.data = b"{".to_vec();
    text.datacontenttype = Some("text/plain".into());
    text.check().unwrap();
}

#[test]
fn an_extension_name_is_short_lower_case_and_alphanumeric() {
    for bad in ["", "Correlation", "a-b", "a_b", "ä", "abcdefghijklmnopqrstu", "data_base64"] {
        assert!(
            refusal(|draft| draft.extensions.push((bad.into(), 1.into())))
                .contains("attribute name"),
            "{bad}"
        );
    }
}

#[test]
fn a_stranger_s_extension_may_have_a_long_name() {
    let mut draft = valid();
    draft.extensions.push(("abcdefghijklmnopqrstuvwxyz".into(), 1.into()));
    draft.check_received().unwrap();
    draft.extensions.push(("a-b".into(), 1.into()));
    assert!(draft.check_received().unwrap_err().what.contains("attribute name"));
}

#[test]
fn an_extension_shadows_nothing() {
    for core in CORE {
        assert!(
            refusal(|draft| draft.extensions.push((core.into(), "x".into()))).contains("shadow"),
            "{core}"
        );
    }
}

#[test]
fn an_extension_is_given_once() {
    assert!(
        refusal(|draft| draft.extensions.extend([("a".into(), 1.into()), ("a".into(), 1.into())]))
            .contains("twice")
    );
}

#[test]
fn an_integer_has_32_bits() {
    assert!(
        refusal(|draft| draft.extensions.push(("n".into(), 2_147_483_648_i64.into())))
            .contains("32 bits")
    );
    let mut least = valid();
    least.extensions = vec![("n".into(), i64::from(i32::MIN).into())];
    least.check().unwrap();
}

#[test]
fn json_is_told_by_the_media_type_in_any_case() {
    for yes in [
        "application/json",
        "text/JSON; charset=utf-8",
        "application/ld+json",
        "Application/Problem+JSON;x=y",
    ] {
        assert!(is_json(yes), "{yes}");
    }
    for no in ["text/plain", "application/jsonl", "application/xml; a=/json", ""] {
        assert!(!is_json(no), "{no}");
    }
}
