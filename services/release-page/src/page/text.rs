//! Texts of strangers: of one line, bounded, and fit for where they stand.

use maud::{Markup, html};
use step::text::short;

/// Names and versions are this long at most where others wrote them.
pub(super) const NAME: usize = 64;
/// A sentence for people.
pub(super) const SENTENCE: usize = 600;

/// What people call it: the version, or the revision where no release is known that made it.
pub(super) fn version_or_revision(version: &str, revision: &str) -> String {
    short(if version.is_empty() { revision } else { version }, NAME)
}

/// A text as one word of a shell, whatever it has in it.
pub(super) fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+~:=@,".contains(c);
    if !text.is_empty() && !text.starts_with('~') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A command that can be copied: by the script's button, or by hand.
pub(super) fn command(what: &str, text: &str) -> Markup {
    html! {
        div.command {
            pre { code { (step::text::clean_lines(text)) } }
            button type="button" data-copy hidden aria-label=(format!("Copy: {}", short(what, NAME))) { "Copy" }
        }
    }
}

/// Labels, `NAME=VALUE` each.
pub(super) fn labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Markup {
    html! {
        @for (name, value) in labels.into_iter().take(20) {
            span.label { (short(name, NAME)) "=" (short(value, NAME)) } " "
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_shell_is_one_word() {
        for (text, word) in [
            ("v1.2", "v1.2"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(rm -rf /)`x`", "'$(rm -rf /)`x`'"),
            ("it's", r"'it'\''s'"),
            ("~root", "'~root'"),
        ] {
            assert_eq!(shell(text), word);
        }
    }
}
