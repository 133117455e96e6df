//! Text for people: times, pairs.

use std::collections::BTreeMap;

/// `2026-11-24 06:00`, in UTC as manifests write it.
pub(crate) fn minutes(created: &str) -> String {
    created.replace('T', " ").chars().take(16).collect()
}

/// `key=value`, with blanks between.
pub(crate) fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}
