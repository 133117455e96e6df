//! Texts that come from servers, made fit for a log.

/// Longest text of a server that is shown.
const LONGEST: usize = 500;

/// A text of a server on one line, fit for a terminal, and no longer than a reader wants.
pub(crate) fn clean(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = step::text::clean(&words).chars().take(LONGEST).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_that_acts_on_no_terminal() {
        assert_eq!(clean("a\nb\r\n\tc \x1b[2J\u{202e}"), "a b c �[2J�");
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
