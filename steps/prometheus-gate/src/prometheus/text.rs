//! Texts that come from servers, no longer than a reader wants.

use step::text::short;

pub(crate) fn clean(text: &str) -> String {
    short(text, 500)
}

/// The first words of a body that is not an answer, with a colon before them; empty for an empty body.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = short(&String::from_utf8_lossy(body), 80);
    if text.is_empty() { text } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_clean() {
        assert_eq!(excerpt(b" \n "), "");
        assert_eq!(excerpt(b"<p>\x1b[1mno\xff"), ": <p>\\u{1b}[1mno�");
        assert_eq!(excerpt(&[b'x'; 1000]).chars().count(), 82);
    }
}
