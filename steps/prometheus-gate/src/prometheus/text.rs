//! Texts that come from servers, made fit for a log.

/// Longest text of a server that is shown.
const LONGEST: usize = 500;

/// A text of a server on one line, without what could act on a terminal or mislead a reader:
/// control characters, escapes, invisible characters and changes of the writing direction.
pub(crate) fn clean(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String =
        words.chars().take(LONGEST).map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect();
    if words.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The first words of a body that is not an answer, with a colon before them; empty for an empty body.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let short: String = clean(&text).chars().take(80).collect();
    if short.is_empty() { short } else { format!(": {short}") }
}

const fn is_plain(c: char) -> bool {
    !matches!(
        c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'            // C0, DEL, C1
        | '\u{ad}' | '\u{61c}' | '\u{180e}'          // soft hyphen, Arabic mark, vowel separator
        | '\u{200b}'..='\u{200f}'                    // zero width, direction marks
        | '\u{2028}'..='\u{202e}'                    // separators, direction overrides
        | '\u{2060}'..='\u{206f}'                    // invisible operators, isolates
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'       // variation selectors, byte order mark
        | '\u{fff9}'..='\u{fffb}'                    // annotations
        | '\u{e0000}'..='\u{e0fff}'                  // tags
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_server_s_text_acts_on_a_terminal() {
        for (text, shown) in [
            ("parse error: unexpected \"}\"", "parse error: unexpected \"}\""),
            ("größer als 5 % – 日本", "größer als 5 % – 日本"),
            ("a\nb\r\n\tc", "a b c"),
            ("\x1b[2J\x1b]0;owned\x07", "�[2J�]0;owned�"),
            ("\u{9b}31m", "�31m"),
            ("a\u{202e}b\u{2066}c\u{2069}", "a�b�c�"),
            ("a\u{200b}\u{feff}b\u{e0041}", "a��b�"),
            ("a\0b\x7f", "a�b�"),
            ("line\u{2028}paragraph\u{2029}next\u{85}line", "line paragraph next line"),
        ] {
            assert_eq!(clean(text), shown, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(clean(&"ü".repeat(LONGEST)).chars().count(), LONGEST);
        let long = clean(&"ü".repeat(LONGEST + 1));
        assert!(long.ends_with("ü…") && long.chars().count() == LONGEST + 1);
    }

    #[test]
    fn an_excerpt_is_short_and_clean() {
        assert_eq!(excerpt(b" \n "), "");
        assert_eq!(excerpt(b"<p>\x1b[1mno\xff"), ": <p>�[1mno�");
        assert_eq!(excerpt(&[b'x'; 1000]).len(), 82);
    }
}
