//! Text for people: tables, times, pairs.

use std::collections::BTreeMap;

use step::text::short;

/// The longest tag has 257 characters.
const LONGEST_CELL: usize = 260;
/// Of the last column, which makes no other wider.
const LONGEST_LAST: usize = 2000;

/// Two spaces between columns as wide as what is in them. Whoever shares the store wrote it: what a
/// cell holds is text and nothing else, and no longer than leaves the other rows readable.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let shown = |row: &[String; N]| {
        let most = |column| if column + 1 == N { LONGEST_LAST } else { LONGEST_CELL };
        std::array::from_fn::<_, N, _>(|column| short(&row[column], most(column)))
    };
    let rows: Vec<_> = rows.iter().map(shown).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// `2026-11-24 06:00`, in UTC as manifests write it.
pub(crate) fn minutes(created: &str) -> String {
    created.replace('T', " ").chars().take(16).collect()
}

/// `key=value`, with blanks between.
pub(crate) fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}
