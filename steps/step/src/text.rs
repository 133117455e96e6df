//! What strangers wrote, made fit for a log, a terminal, a result and a page.
//!
//! A stranger is whoever is not this program: a server that answers, the maker of an archive, a
//! model that logs, the sender of an event. All of them go through [`short`] or [`within`] where
//! their text is taken in, and [`clean`] once more where a line is written.

use std::{borrow::Cow, fmt::Write as _};

use crate::secret;

/// The kubelet breaks longer lines of a log; a sentence that long is read by nobody.
const LONGEST: usize = 16 << 10;

/// The same as one line in which everything is seen and nothing acts: at most 16,384 characters.
///
/// Line breaks become ` | `, tabs a space. What a terminal or a browser would obey or hide stands as
/// its escape: control characters (and with them colours, titles and cursor moves), marks that turn
/// the direction of writing, and characters that are shown as nothing. What people write stays, with
/// the joiners inside of words and emoji.
pub fn clean(text: &str) -> String {
    cut(text, LONGEST)
}

/// The same in at most `most` characters, the last of them `…` if some are left out, and without any
/// secret of ours that the other side repeats.
pub fn short(text: &str, most: usize) -> String {
    cut(&secret::hide(text), most)
}

/// The same in at most `most` bytes of UTF-8: what a Tekton result has room for.
pub fn within(text: &str, most: usize) -> String {
    let text = short(text, most);
    if text.len() <= most {
        return text;
    }
    let end = text.floor_char_boundary(most.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

/// The same for a text whose lines stay lines, with their indentation.
pub fn clean_lines(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let text = line.trim_start_matches(' ');
        " ".repeat(line.len() - text.len()) + &clean(text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// JSON that no terminal obeys and that reads as the same value: what [`clean`] would escape is
/// written as JSON's own `\u202e`.
pub fn json(text: &str) -> String {
    let mut units = [0; 2];
    let escape = |c: char, out: &mut String| {
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(out, "\\u{unit:04x}"); // writing to a string cannot fail
        }
    };
    // The line breaks and blanks of its layout are not within a string, where JSON allows none.
    let is_layout = |c: char| c == '\n' || c == '\t' || c == '\r';
    escape_some(text, |c, seen| !is_layout(c) && !is_shown(c, seen), escape)
}

/// Lower-case hexadecimal digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}"); // writing to a string cannot fail
        digits
    })
}

/// Whether it can be a SHA-256: 64 digits, `0` to `9` and `a` to `f`.
pub fn is_sha256(digits: &str) -> bool {
    digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// An address without what may be secret in it: user and password, query and fragment.
pub fn address(url: &str) -> String {
    let shown = |end: usize, rest: &str| format!("{}{rest}", &url[..end]);
    let plain = match url.find(['?', '#']) {
        Some(at) if url[at..].starts_with('?') => shown(at, "?…"),
        Some(at) => shown(at, "#…"),
        None => url.to_owned(),
    };
    let Some((scheme, rest)) = plain.split_once("://") else { return clean(&plain) };
    let host = rest.find('/').unwrap_or(rest.len());
    let from = rest[..host].rfind('@').map_or(0, |at| at + 1);
    clean(&format!("{scheme}://{}", &rest[from..]))
}

/// An address whose path may be a secret, too, as that of a webhook: scheme, host and port.
pub fn origin(url: &str) -> String {
    let address = address(url);
    let Some((scheme, rest)) = address.split_once("://") else { return "…".into() };
    match rest.split_once(['/', '?', '#']) {
        Some((host, "")) => format!("{scheme}://{host}/"),
        Some((host, _)) => format!("{scheme}://{host}/…"),
        None => address,
    }
}

/// Whether it can be nothing but a path, which may be shown: no address, header or document.
pub fn is_plain_path(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "/._-+~".contains(c))
}

/// What a reader of JSON or YAML has against a document, without the document's own values: serde puts
/// these into double quotes, and the names of fields into backticks.
pub fn without_values(complaint: &str) -> String {
    let mut out = String::with_capacity(complaint.len());
    let mut chars = complaint.chars();
    let mut inside = false;
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out += if inside { "…\"" } else { "\"" };
                inside = !inside;
            }
            '\\' if inside => drop(chars.next()),
            _ if inside => {}
            c => out.push(c),
        }
    }
    clean(&out)
}

/// A value of an event as it was before Tekton Triggers wrote it into a run: there, each `$(` becomes
/// `$$(`, so that Tekton does not read a variable in it.
pub fn from_trigger(text: &str) -> String {
    text.replace("$$(", "$(")
}

/// One line of at most `most` characters.
fn cut(text: &str, most: usize) -> String {
    // Each character read gives one or more that are shown.
    let read =
        text.char_indices().nth(most.saturating_mul(4)).map_or(text, |(end, _)| &text[..end]);
    let line = escape_some(
        &one_line(read),
        |c, seen| !is_shown(c, seen),
        |c, out| {
            out.extend(c.escape_unicode());
        },
    );
    if line.chars().nth(most).is_none() && read.len() == text.len() {
        return line;
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    if most == 0 { kept } else { kept + "…" }
}

/// Breaks between lines become ` | `; lines without text are left out.
fn one_line(text: &str) -> Cow<'_, str> {
    let is_break = |c: char| matches!(c, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    if !text.contains(is_break) && !text.contains('\t') && text.trim().len() == text.len() {
        return text.into();
    }
    let lines = text.split(is_break).map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" | ").replace('\t', " ").into()
}

/// Escapes the characters that `must` be, given the text before and after each.
fn escape_some(
    text: &str,
    must: impl Fn(char, Neighbours) -> bool,
    mut escape: impl FnMut(char, &mut String),
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let escaped = must(c, Neighbours { before, after: rest.clone().next() });
        if escaped {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
        before = (!escaped).then_some(c);
    }
    out
}

/// What stands beside a character; before it only what is shown.
#[derive(Clone, Copy)]
struct Neighbours {
    before: Option<char>,
    after: Option<char>,
}

fn is_shown(c: char, beside: Neighbours) -> bool {
    let is_plain = |c: char| !c.is_control() && !is_ignorable(c);
    let is_sign = |c: char| !c.is_ascii() && is_plain(c);
    match c {
        // Persian, Indic scripts and emoji join by these; between Latin letters they only hide.
        '\u{200c}' | '\u{200d}' => {
            beside.before.is_some_and(|c| is_sign(c) || is_variation(c))
                && beside.after.is_some_and(is_sign)
        }
        // The colourful or the plain form of a sign, such as ❤️.
        c if is_variation(c) => beside.before.is_some_and(is_sign),
        c => is_plain(c),
    }
}

const fn is_variation(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// Unicode's `Default_Ignorable_Code_Point`, which are shown as nothing, with its `Bidi_Control`
/// within: with these, what is read differs from what is there (CVE-2021-42574). And the breaks and
/// annotations that are no control characters by name.
const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests;
