//! One field of an event's data: a text, a percent, an object, as it was written.

use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use step::text::short;

use crate::refusal::{Refusal, shown};

/// A field's JSON, if it is there.
pub(crate) type Field<'a> = Option<&'a RawValue>;

/// There, even when it is `null`, which is no value of any field here.
pub(crate) fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<'de>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

pub(crate) fn required(
    name: &str,
    field: Field<'_>,
    fits: fn(&str) -> bool,
    hint: &str,
) -> Result<String, Refusal> {
    let text = text(name, field, hint)?.ok_or_else(|| missing(name, hint))?;
    if fits(&text) {
        return Ok(text);
    }
    let what = if text.is_empty() {
        format!("`{name}` is empty")
    } else {
        format!("`{name}` does not fit: `{}`", shown(&text))
    };
    Err(Refusal::invalid(what, hint))
}

pub(crate) fn optional(
    name: &str,
    field: Field<'_>,
    fits: fn(&str) -> bool,
    hint: &str,
) -> Result<String, Refusal> {
    if field.is_none() { Ok(String::new()) } else { required(name, field, fits, hint) }
}

/// A string, whatever is in it; nothing where the field is not there.
pub(crate) fn text(name: &str, field: Field<'_>, hint: &str) -> Result<Option<String>, Refusal> {
    let Some(raw) = field.map(RawValue::get) else { return Ok(None) };
    serde_json::from_str(raw).map(Some).map_err(|_| {
        Refusal::invalid(format!("`{name}` is {}, not a string: `{}`", kind(raw), shown(raw)), hint)
    })
}

/// What a person wrote, of at most so many characters, as one line that may stand in an annotation
/// and in a param; empty where the field is not there.
pub(crate) fn prose(
    name: &str,
    field: Field<'_>,
    most: usize,
    hint: &str,
) -> Result<String, Refusal> {
    let text = text(name, field, hint)?.unwrap_or_default();
    if text.chars().nth(most).is_some() {
        return Err(Refusal::invalid(format!("`{name}` has more than {most} characters"), hint));
    }
    // On its way Triggers, Tekton and Kubernetes each read `$(` as a reference.
    Ok(short(&text.replace("$(", "$ ("), most))
}

/// `true` or `false`, which a field that is not there means.
pub(crate) fn boolean(name: &str, field: Field<'_>, hint: &str) -> Result<bool, Refusal> {
    let Some(raw) = field.map(RawValue::get) else { return Ok(false) };
    serde_json::from_str(raw).map_err(|_| {
        let what = format!("`{name}` is {}, not a boolean: `{}`", kind(raw), shown(raw));
        Refusal::invalid(what, hint)
    })
}

/// A whole number in this range; nothing where the field is not there.
pub(crate) fn percent(
    name: &str,
    field: Field<'_>,
    range: RangeInclusive<u8>,
) -> Result<Option<u8>, Refusal> {
    let Some(raw) = field.map(RawValue::get) else { return Ok(None) };
    let number = serde_json::from_str::<f64>(raw).ok();
    let (from, to) = (*range.start(), *range.end());
    let mut wholes = range;
    wholes.find(|whole| number == Some(f64::from(*whole))).map(Some).ok_or_else(|| {
        Refusal::invalid(
            format!("`{name}` is not a whole number from {from} to {to}: `{}`", shown(raw)),
            "write the percent as a JSON number",
        )
    })
}

pub(crate) fn object<'a, T: Deserialize<'a>>(name: &str, raw: &'a RawValue) -> Result<T, Refusal> {
    if !raw.get().starts_with('{') {
        return Err(Refusal::invalid(
            format!("`{name}` is {}, not an object", kind(raw.get())),
            "leave it out, or write it as triggers/schemas has it",
        ));
    }
    serde_json::from_str(raw.get()).map_err(|error| unreadable(name, &error))
}

pub(crate) fn missing(name: &str, hint: &str) -> Refusal {
    Refusal::invalid(format!("`{name}` is missing"), hint)
}

pub(crate) fn unreadable(name: &str, error: &serde_json::Error) -> Refusal {
    Refusal::invalid(
        format!("`{name}` cannot be read: {error}"),
        "write each member once, as triggers/schemas has it",
    )
}

/// What a JSON value is, by its beginning.
pub(crate) fn kind(raw: &str) -> &'static str {
    match raw.trim() {
        "null" => "null",
        "true" | "false" => "a boolean",
        raw if raw.starts_with('"') => "a string",
        raw if raw.starts_with('{') => "an object",
        raw if raw.starts_with('[') => "a list",
        raw if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => "a number",
        _ => "not valid JSON",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_percent_is_a_whole_number_of_its_range() {
        let of = |json: &str, range| percent("percent", Some(&raw(json)), range).ok().flatten();
        for (json, wanted) in
            [("10", 10), ("10.0", 10), ("1e1", 10), ("99", 99), ("1", 1), ("0", 0), ("-0.0", 0)]
        {
            assert_eq!(of(json, 0..=99), Some(wanted), "{json}");
        }
        for bad in ["100", "-1", "10.5", "\"10\"", "null", "1e400", "[]", "true"] {
            assert_eq!(of(bad, 0..=99), None, "{bad}");
        }
        assert_eq!((of("100", 1..=100), of("0", 1..=100)), (Some(100), None));
        assert_eq!(percent("percent", None, 1..=100), Ok(None));
    }

    #[test]
    fn a_boolean_is_written_as_one() {
        let of = |json: &str| boolean("expectAnswerShift", Some(&raw(json)), "write true or false");
        assert_eq!((of("true"), of(" false "), of("false")), (Ok(true), Ok(false), Ok(false)));
        assert_eq!(boolean("expectAnswerShift", None, ""), Ok(false));
        for other in ["\"true\"", "1", "null", "{}", "[true]"] {
            let line = of(other).unwrap_err().line();
            assert!(
                line.contains("not a boolean") && line.ends_with("write true or false"),
                "{line}"
            );
        }
    }

    #[test]
    fn what_a_person_writes_has_a_length() {
        let of = |most| prose("by", Some(&raw(r#""Zoë B.""#)), most, "shorten it");
        assert_eq!(of(6), Ok("Zoë B.".into()));
        assert_eq!(of(5).unwrap_err().line(), "`by` has more than 5 characters; shorten it");
    }

    proptest! {
        #[test]
        fn what_a_person_writes_is_one_line_that_nobody_expands(
            text in "(\\PC|[$(\n\t\r\u{1b}\u{202e}\u{200b}]){0,40}",
        ) {
            let json = raw(&serde_json::to_string(&text).unwrap());
            let line = prose("reason", Some(&json), 40, "").unwrap();
            prop_assert!(!line.contains(char::is_control) && !line.contains("$("), "{:?}", line);
            prop_assert!(line.chars().count() <= 40, "{:?}", line);
            let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric());
            prop_assert!(!is_plain || line == text, "{:?}", line);
        }
    }
}
