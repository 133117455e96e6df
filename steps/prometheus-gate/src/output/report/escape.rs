//! Text of strangers on a page.

use step::text::{clean, clean_lines};

/// Text of strangers as text of one line, on the page and within an attribute.
pub(super) fn escaped(text: &str) -> String {
    markup_free(&clean(text))
}

/// The same where lines stay lines.
pub(super) fn escaped_lines(text: &str) -> String {
    markup_free(&clean_lines(text))
}

fn markup_free(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
        .replace(" %", "&nbsp;%")
}
