//! Tables for people.

use crate::text::short;

/// The longest tag of a bento has 257 characters.
const LONGEST_CELL: usize = 260;
/// Of the last column, which makes no other wider.
const LONGEST_LAST: usize = 2000;

/// Two spaces between columns as wide as what is in them. Strangers wrote it: what a cell holds is text and
/// nothing else, and no longer than leaves the other rows readable.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_what_is_in_it_and_no_cell_adds_a_line_or_a_colour() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [
            row(["BENTO", "SIZE", "LABELS"]),
            row(["iris:v1", "61 MB", "a\nb"]),
            row(["\x1b[1miris", "", ""]),
        ];
        assert_eq!(
            columns(&rows),
            "BENTO          SIZE   LABELS\n\
             iris:v1        61 MB  a | b\n\
             \\u{1b}[1miris\n"
        );
        let long = columns(&[["x".repeat(300), "y".repeat(3000)]]);
        assert_eq!(long.chars().count(), 260 + 2 + 2000 + 1);
    }
}
