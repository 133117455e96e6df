//! UTF-8, without a byte order mark: how JSON is written.

use crate::refusal::{Refusal, shown};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// JSON is UTF-8 on the wire (RFC 8259), so another charset says that something was not understood.
pub(crate) fn require_utf8(name: &str, content_type: &str) -> Result<(), Refusal> {
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let charset = name.trim().eq_ignore_ascii_case("charset");
        charset.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    match charset.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
        Some(other) => Err(Refusal::invalid(
            format!("`{name}` says charset `{}`", shown(other)),
            "JSON is sent in UTF-8: encode it so, and leave the charset out",
        )),
    }
}

/// Tekton itself reads the body too, and cannot with this in front.
pub(crate) fn refuse_mark(what: &str, text: &str) -> Result<(), Refusal> {
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err(Refusal::invalid(
            format!("{what} begins with a byte order mark"),
            "save the JSON as UTF-8 without one",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charset_of_json_is_utf_8() {
        for good in [
            "a/json",
            "a/json; charset=UTF-8",
            "a/json;x=y;Charset=\"utf-8\"",
            "a/json; charset=us-ascii",
        ] {
            require_utf8("Content-Type", good).unwrap();
        }
        assert!(require_utf8("Content-Type", "a/json; charset=utf-16").is_err());
    }
}
