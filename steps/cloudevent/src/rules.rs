//! What an event must keep to before a byte is sent: the specification's rules, which the SDK
//! checks only in part.

use std::collections::BTreeSet;

use cloudevents::event::ExtensionValue;
use serde_json::value::RawValue;
use step::Usage;

use crate::event::{Draft, is_json};

/// Names that mean something else on the wire; an extension of that name would shadow it.
const CORE: [&str; 9] = [
    "id",
    "source",
    "type",
    "specversion",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
];

/// Longer names are legal, and the specification asks nobody to write them.
const LONGEST_NAME: usize = 20;

/// The first rule that an event to be sent breaks.
pub fn check(draft: &Draft) -> Result<(), Usage> {
    let long = |(name, _): &&(String, ExtensionValue)| name.len() > LONGEST_NAME;
    if let Some((name, _)) = draft.extensions.iter().find(long) {
        return Err(not_a_name(name));
    }
    check_received(draft)
}

/// The first rule that somebody else's event breaks.
pub fn check_received(draft: &Draft) -> Result<(), Usage> {
    let Draft { id, source, ty, subject, time, datacontenttype, dataschema, extensions, data } =
        draft;
    required("id", id)?;
    required("type", ty)?;
    required("source", source)?;
    if !is_uri_reference(source) {
        return Err(broken(
            format!("source `{source}` is no URI reference"),
            "write a path such as `/tekton/team/pipelines/canary-release`, or a URL; other characters as `%20`",
        ));
    }
    if let Some(subject) = subject {
        required("subject", subject)?;
    }
    if let Some(time) = time
        && chrono::DateTime::parse_from_rfc3339(time).is_err()
    {
        return Err(broken(
            format!("time `{time}` is not of RFC 3339"),
            "write it as `2026-11-24T06:07:00Z`",
        ));
    }
    if let Some(schema) = dataschema
        && !(has_scheme(schema) && is_uri_reference(schema))
    {
        return Err(broken(
            format!("dataschema `{schema}` is no absolute URI"),
            "write it as `https://schemas.example.com/release/v1/requested.schema.json`",
        ));
    }
    check_data(datacontenttype.as_deref(), data)?;
    check_extensions(extensions)
}

fn check_data(media_type: Option<&str>, data: &[u8]) -> Result<(), Usage> {
    let media_type = media_type.unwrap_or("application/json");
    if !is_media_type(media_type) {
        return Err(broken(
            format!("datacontenttype `{media_type}` is no media type"),
            "write it as `application/json` or `text/plain; charset=utf-8`",
        ));
    }
    if is_json(media_type)
        && !data.is_empty()
        && let Err(error) = serde_json::from_slice::<&RawValue>(data)
    {
        return Err(broken(
            format!("data is no JSON: {error}"),
            "mend it, or name its type with `datacontenttype`",
        ));
    }
    Ok(())
}

fn check_extensions(extensions: &[(String, ExtensionValue)]) -> Result<(), Usage> {
    let mut known = BTreeSet::new();
    for (name, value) in extensions {
        let fits = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        if !fits {
            return Err(not_a_name(name));
        }
        if CORE.contains(&name.as_str()) {
            return Err(broken(
                format!("extension `{name}` would shadow the attribute of that name"),
                "use the attribute's own flag, or another name",
            ));
        }
        if !known.insert(name) {
            return Err(broken(
                format!("extension `{name}` is given twice"),
                "give it once; `correlationid`, `causationid` and `chainhops` have flags of their own",
            ));
        }
        match value {
            ExtensionValue::String(text) => required(name, text)?,
            ExtensionValue::Integer(number) if i32::try_from(*number).is_err() => {
                return Err(broken(
                    format!("extension `{name}` is {number}, which is no Integer of 32 bits"),
                    "send it as a string",
                ));
            }
            ExtensionValue::Integer(_) | ExtensionValue::Boolean(_) => {}
        }
    }
    Ok(())
}

fn not_a_name(name: &str) -> Usage {
    broken(
        format!("extension `{name}` is no attribute name"),
        "use 1 to 20 lower-case letters and digits",
    )
}

/// Present, and nothing that would end a header or hide in a log.
fn required(name: &str, value: &str) -> Result<(), Usage> {
    if value.is_empty() {
        return Err(broken(
            format!("attribute `{name}` is empty"),
            "leave it out, or give it a value",
        ));
    }
    if value.chars().any(is_forbidden) {
        return Err(broken(
            format!("attribute `{name}` has a control character: `{}`", value.escape_default()),
            "attributes are one line of text; what has lines or tabs belongs in the data",
        ));
    }
    Ok(())
}

/// Control characters and Unicode's non-characters.
fn is_forbidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{fdd0}'..='\u{fdef}')
        || u32::from(char) & 0xfffe == 0xfffe
}

/// RFC 3986, section 4.1, by its characters: enough to keep a log or a template from breaking.
fn is_uri_reference(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let escapes_whole = text.split('%').skip(1).all(|rest| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    // A colon in the first segment ends a scheme.
    let first = text.split(['/', '?', '#']).next().unwrap_or_default();
    text.bytes().all(allowed)
        && text.matches('#').count() <= 1
        && escapes_whole
        && (!first.contains(':') || has_scheme(text))
}

fn has_scheme(text: &str) -> bool {
    let follows = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|char: char| char.is_ascii_alphabetic())
            && scheme.bytes().all(follows)
            && !rest.is_empty()
    })
}

/// RFC 2046: `type/subtype`, then parameters.
fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let quoted = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.is_some_and(|inner| {
            inner.bytes().all(|byte| byte != b'"' && (byte == b' ' || byte.is_ascii_graphic()))
        })
    };
    let mut parts = text.split(';');
    let essence = parts.next().and_then(|essence| essence.trim().split_once('/'));
    essence.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parts.all(|part| {
            part.trim()
                .split_once('=')
                .is_some_and(|(name, value)| token(name) && (token(value) || quoted(value)))
        })
}

fn broken(what: String, hint: &str) -> Usage {
    Usage { what, hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Draft {
        Draft { id: "1".into(), source: "/s".into(), ty: "t.v1".into(), ..Draft::default() }
    }

    /// The text of the rule that the changed event breaks.
    fn refusal(change: impl FnOnce(&mut Draft)) -> String {
        let mut draft = valid();
        change(&mut draft);
        check(&draft).expect_err("refused").what
    }

    #[test]
    fn an_event_with_its_required_attributes_passes() {
        check(&valid()).unwrap();
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
        for bad in
            ["a\tb", "a\r\nb", "a\0", "\u{7f}", "\u{85}", "\u{ffff}", "\u{1fffe}", "\u{fdd0}"]
        {
            assert!(refusal(|draft| draft.id = bad.into()).contains("control"), "{bad:?}");
            assert!(
                refusal(|draft| draft.subject = Some(bad.into())).contains("control"),
                "{bad:?}"
            );
            assert!(
                refusal(|draft| draft.extensions.push(("x".into(), bad.into())))
                    .contains("control"),
                "{bad:?}"
            );
        }
        let mut euro = valid();
        euro.subject = Some("Euro € 😀".into());
        check(&euro).unwrap();
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
        for bad in [
            "a b", "/€", "/a%2", "/a%zz", "1a:b", ":b", "a:", "/a#b#c", "/<x>", "/a\\b", "/\"",
            "/{x}",
        ] {
            assert!(!is_uri_reference(bad), "{bad}");
        }
        assert!(refusal(|draft| draft.source = "my notebook".into()).contains("URI reference"));
    }

    #[test]
    fn a_schema_is_an_absolute_uri() {
        assert!(
            refusal(|draft| draft.dataschema = Some("/release/v1".into())).contains("absolute")
        );
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
        assert!(
            refusal(|draft| draft.datacontenttype = Some("json".into())).contains("media type")
        );
    }

    #[test]
    fn data_of_a_json_type_is_json() {
        assert!(refusal(|draft| draft.data = b"{".to_vec()).contains("no JSON"));
        assert!(refusal(|draft| draft.data = b"{} {}".to_vec()).contains("no JSON"));
        let mut text = valid();
        text.data = b"{".to_vec();
        text.datacontenttype = Some("text/plain".into());
        check(&text).unwrap();
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
        check_received(&draft).unwrap();
        draft.extensions.push(("a-b".into(), 1.into()));
        assert!(check_received(&draft).unwrap_err().what.contains("attribute name"));
    }

    #[test]
    fn an_extension_shadows_nothing() {
        for core in CORE {
            assert!(
                refusal(|draft| draft.extensions.push((core.into(), "x".into())))
                    .contains("shadow"),
                "{core}"
            );
        }
    }

    #[test]
    fn an_extension_is_given_once() {
        assert!(
            refusal(|draft| draft
                .extensions
                .extend([("a".into(), 1.into()), ("a".into(), 1.into())]))
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
        check(&least).unwrap();
    }
}
