//! Quantities of Kubernetes, such as `500m`, `2Gi` or 1.

use serde_json::Value;

/// `^([0-9]{1,18}|[0-9]{1,18}[.][0-9]{1,9})([numkMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?$`, or a number that is
/// written so.
pub(crate) fn is_quantity(value: &Value) -> bool {
    match value {
        Value::String(text) => is_form(text),
        Value::Number(number) => is_form(&number.to_string()),
        _ => false,
    }
}

fn is_form(text: &str) -> bool {
    let (number, suffix) = split(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let are_digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_suffix = match suffix.as_bytes() {
        [] => true,
        [one] => b"numkMGTPE".contains(one),
        [one, b'i'] => b"KMGTPE".contains(one),
        _ => suffix.strip_prefix(['e', 'E']).is_some_and(|exponent| are_digits(exponent, 2)),
    };
    are_digits(whole, 18) && are_digits(fraction, 9) && is_suffix
}

/// Its amount, also of one that the API server has written its own way: `2Gi` for `2048Mi`.
pub fn quantity(value: &Value) -> Option<f64> {
    let Value::String(text) = value else { return value.as_f64() };
    let (number, suffix) = split(text);
    let power = |suffixes: &[&str]| {
        suffixes.iter().zip(0..).find(|(one, _)| **one == suffix).map(|(_, power)| power)
    };
    let factor = if let Some(power) = power(&["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]) {
        1000_f64.powi(power - 3)
    } else if let Some(power) = power(&["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
        1024_f64.powi(power + 1)
    } else {
        10_f64.powi(suffix.strip_prefix(['e', 'E'])?.parse().ok()?)
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// The number, and what stands behind it.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};
    use regex::Regex;

    use super::*;

    const PATTERN: &str =
        "([0-9]{1,18}|[0-9]{1,18}[.][0-9]{1,9})([numkMGTPE]|[KMGTPE]i|[eE][0-9]{1,2})?";

    /// A text of the pattern, and what becomes of it when one place changes.
    fn near() -> impl Strategy<Value = String> {
        let text = string_regex(PATTERN).expect("a pattern");
        let change = (any::<prop::sample::Index>(), "[-a.:/@_Z0 \n\u{e9}A]{0,2}", 0..3_usize);
        (text, change).prop_map(|(text, (at, new, gone))| {
            let at = at.index(text.len() + 1);
            let tail = text.get(at + gone..).unwrap_or_default();
            format!("{}{new}{tail}", &text[..at])
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_quantity_is_its_pattern_and_has_an_amount(
            text in prop_oneof![string_regex(PATTERN).unwrap(), near(), "\\PC{0,20}".boxed()],
        ) {
            let pattern = Regex::new(&format!("^(?:{PATTERN})$")).unwrap();
            prop_assert_eq!(is_form(&text), pattern.is_match(&text), "{:?}", text);
            let amount = quantity(&Value::from(text.as_str()));
            prop_assert!(!is_form(&text) || amount.is_some_and(f64::is_finite), "{:?}", text);
        }
    }
}
