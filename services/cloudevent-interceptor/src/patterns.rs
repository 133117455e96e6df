//! The patterns that a value must have before it ends in a name, a command, a query or JSON.
//!
//! Written by hand, because a library for patterns weighs more than this whole program; the tests
//! hold each one to its pattern.

use step::text::is_sha256;

/// `^[a-z]([a-z0-9-]{0,44}[a-z0-9])?$`: what KServe and a canary's address leave of a label.
pub(crate) fn is_service(text: &str) -> bool {
    let inner = |byte: u8| is_lower(byte) || byte == b'-';
    text.len() <= 46
        && text.bytes().all(inner)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
}

/// `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`: an OCI tag.
pub(crate) fn is_version(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(is_word) && !text.starts_with(['.', '-'])
}

/// The version as a label can carry it.
pub(crate) fn version_label(version: &str) -> String {
    version.chars().take(63).collect::<String>().trim_matches(['_', '.', '-']).to_owned()
}

/// `^[A-Za-z0-9_.-]{1,63}:[A-Za-z0-9_.-]{1,128}$`
pub(crate) fn is_bento(text: &str) -> bool {
    text.split_once(':').is_some_and(|(name, version)| {
        (1..=63).contains(&name.len())
            && (1..=128).contains(&version.len())
            && name.bytes().chain(version.bytes()).all(is_word)
    })
}

/// `^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]{0,200})?$`
pub(crate) fn is_store(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("s3://") else { return false };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|byte| is_lower(byte) || b".-".contains(&byte))
        && has_ends(bucket)
        && prefix.len() <= 200
        && prefix.bytes().all(|byte| is_word(byte) || byte == b'/')
}

/// `^[a-z0-9][a-z0-9._:/-]{0,440}@sha256:[a-f0-9]{64}$`
pub(crate) fn is_image(text: &str) -> bool {
    text.split_once("@sha256:").is_some_and(|(name, digest)| {
        (1..=441).contains(&name.len())
            && name.starts_with(|first: char| is_lower(u8::try_from(first).unwrap_or_default()))
            && name.bytes().all(|byte| is_lower(byte) || b"._:/-".contains(&byte))
            && is_sha256(digest)
    })
}

/// `^[A-Za-z0-9._:/@-]{0,512}$`: of any image that ran before, also one that is named by a tag.
pub(crate) fn is_any_image(text: &str) -> bool {
    text.len() <= 512
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte))
}

/// `^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`: a name of Kubernetes.
pub(crate) fn is_revision(text: &str) -> bool {
    text.len() <= 253
        && text.bytes().all(|byte| is_lower(byte) || b".-".contains(&byte))
        && has_ends(text)
}

/// `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$`:
/// what a gate can read as RFC 3339.
pub(crate) fn is_time(text: &str) -> bool {
    let shape = text.replace(|c: char| c.is_ascii_digit(), "0");
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let zone = rest.strip_prefix('.').map_or(rest, |fraction| {
        let zone = fraction.trim_start_matches('0');
        if (1..=9).contains(&(fraction.len() - zone.len())) { zone } else { "" }
    });
    matches!(zone, "Z" | "+00:00" | "-00:00")
}

/// `^(approve|hold|resume|promote|abort)$`
pub(crate) fn is_decision(text: &str) -> bool {
    matches!(text, "approve" | "hold" | "resume" | "promote" | "abort")
}

/// `a` to `z` and `0` to `9`
const fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}

/// Begins and ends with a lower-case letter or a digit.
fn has_ends(text: &str) -> bool {
    text.as_bytes().first().copied().is_some_and(is_lower)
        && text.as_bytes().last().copied().is_some_and(is_lower)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex, test_runner::TestRunner};
    use regex::Regex;

    use super::*;

    type Pattern = (fn(&str) -> bool, &'static str);

    const PATTERNS: [Pattern; 10] = [
        (is_service, "[a-z]([a-z0-9-]{0,44}[a-z0-9])?"),
        (is_version, "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"),
        (is_bento, "[A-Za-z0-9_.-]{1,63}:[A-Za-z0-9_.-]{1,128}"),
        (is_store, "s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]{0,200})?"),
        (is_sha256, "[0-9a-f]{64}"),
        (is_image, "[a-z0-9][a-z0-9._:/-]{0,440}@sha256:[a-f0-9]{64}"),
        (is_any_image, "[A-Za-z0-9._:/@-]{0,512}"),
        (is_revision, "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"),
        (is_decision, "approve|hold|resume|promote|abort"),
        (
            is_time,
            "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})",
        ),
    ];

    /// A text of the pattern, and what becomes of it when one place changes.
    fn near(pattern: &str) -> impl Strategy<Value = String> {
        let change = (any::<prop::sample::Index>(), "[-a.:/@_Z0 \n\u{e9}A]{0,2}", 0..3_usize);
        (string_regex(pattern).expect("a pattern"), change).prop_map(|(text, (at, new, gone))| {
            let at = at.index(text.chars().count() + 1);
            let head: String = text.chars().take(at).collect();
            let tail: String = text.chars().skip(at + gone).collect();
            format!("{head}{new}{tail}")
        })
    }

    #[test]
    fn each_function_is_its_pattern() {
        for (fits, pattern) in PATTERNS {
            let regex = Regex::new(&format!("^(?:{pattern})$")).unwrap();
            let check = |text: String| {
                prop_assert_eq!(fits(&text), regex.is_match(&text), "{} {:?}", pattern, text);
                Ok(())
            };
            let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
            runner.run(&string_regex(pattern).unwrap(), check).unwrap();
            runner.run(&near(pattern), check).unwrap();
            runner.run(&"\\PC{0,20}", check).unwrap();
            for text in ["", "a", "-", "a-", "s3://", "A", "@sha256:", ":", "a:b", "v1\n"] {
                assert_eq!(fits(text), regex.is_match(text), "{pattern} {text:?}");
            }
        }
    }

    #[test]
    fn a_pattern_has_a_length() {
        for (fits, most) in [
            (is_service as fn(&str) -> bool, 46),
            (is_version, 128),
            (is_any_image, 512),
            (is_revision, 253),
        ] {
            assert!(fits(&"a".repeat(most)) && !fits(&"a".repeat(most + 1)), "{most}");
        }
    }

    proptest! {
        #[test]
        fn a_version_s_label_is_one_of_kubernetes(version in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}") {
            let label = version_label(&version);
            prop_assert!(label.is_empty() || cloudevent::id::is_label(&label), "{}", label);
        }
    }
}
