//! Ids of events, and the names of objects that are made from them.

use sha2::{Digest as _, Sha256};
use step::text::hex;

/// Enough of an id to recognise it by.
const LONGEST_PREFIX: usize = 15;
/// 80 bits: two events that share a name are not to be expected in the life of a cluster.
const HASH_DIGITS: usize = 20;

/// The id that an event about these things always has: the first 32 hex digits of SHA-256 over them,
/// joined by `|`. A sender that is retried or run again names the same event.
pub fn derived_id(about: &[&str]) -> String {
    let digest = Sha256::digest(about.join("|"));
    hex(&digest[..16])
}

/// The name that every object made for this event has, and that no other event's has: the beginning
/// of the id, readable, and a hash of source and id, which together tell events apart. At most 36
/// characters of DNS-1123 (RFC 1123): `a` to `z`, `0` to `9` and `-`, beginning and ending without `-`.
pub fn object_name(source: &str, id: &str) -> String {
    let mut prefix = String::new();
    for char in id.chars() {
        if char.is_ascii_alphanumeric() {
            prefix.push(char.to_ascii_lowercase());
        } else if !prefix.is_empty() && !prefix.ends_with('-') {
            prefix.push('-');
        }
        if prefix.len() == LONGEST_PREFIX {
            break;
        }
    }
    let prefix = Some(prefix.trim_end_matches('-')).filter(|prefix| !prefix.is_empty());
    // The length in front keeps `a` + `bc` and `ab` + `c` apart.
    let digest = Sha256::digest(format!("{}:{source}{id}", source.len()));
    let hash = &hex(&digest)[..HASH_DIGITS];
    format!("{}-{hash}", prefix.unwrap_or("event"))
}

/// Whether a PipelineRun can carry the value as a label.
pub fn is_label(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inner)
        && outer(bytes.first())
        && outer(bytes.last())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_derived_id_is_a_published_digest_cut_to_32_digits() {
        // printf '%s' 'a|b|c|d' | sha256sum
        assert_eq!(derived_id(&["a", "b", "c", "d"]), "b54856b7a8705958e13238b3d67eac1c");
    }

    #[test]
    fn a_name_is_the_beginning_of_the_id_and_a_hash() {
        // printf '%s' '2:/sIris Release: v2' | sha256sum
        assert_eq!(object_name("/s", "Iris Release: v2"), "iris-release-v2-edcc1f557b092a4a701d");
        assert!(object_name("/s", "größe").starts_with("gr-e-"));
        assert!(object_name("/s", "…").starts_with("event-"));
        assert!(
            object_name("/s", "6e8bc430-9c3a-11d9-9669-0800200c9a66")
                .starts_with("6e8bc430-9c3a-1-")
        );
    }

    #[test]
    fn a_label_follows_kubernetes() {
        assert!(is_label("Build_7.1"));
        for bad in ["", "a/b", "-a", "a.", &"a".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn two_events_never_share_a_name(one in ("\\PC{1,9}", "\\PC{1,9}"), other in ("\\PC{1,9}", "\\PC{1,9}")) {
            let same = object_name(&one.0, &one.1) == object_name(&other.0, &other.1);
            prop_assert_eq!(same, one == other);
        }

        #[test]
        fn moving_a_character_between_source_and_id_gives_another_name(text in "\\PC{2,30}", at in 1..30_usize) {
            let at = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
            let names: std::collections::BTreeSet<_> = text.char_indices().map(|(end, _)| object_name(&text[..end], &text[end..])).collect();
            prop_assert_eq!(names.len(), text.chars().count(), "{}", at);
        }

        #[test]
        fn a_name_is_one_of_kubernetes(source in "\\PC{1,60}", id in "\\PC{1,60}") {
            let name = object_name(&source, &id);
            prop_assert!(name.len() <= LONGEST_PREFIX + 1 + HASH_DIGITS);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
            prop_assert!(!name.starts_with('-'));
            prop_assert!(!name.contains("--"));
        }
    }
}
