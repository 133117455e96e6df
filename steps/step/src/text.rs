//! Text from strangers, made fit for a log, a terminal and a page.

/// The same in one line, without what changes how the rest is shown: control characters (and with
/// them the escape sequences of terminals) and marks that turn the direction of writing. Breaks and
/// tabs become a space, each of the others `�`.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() || turns_direction(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// The same for a text whose lines stay lines.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// A value of an event as it was before Tekton Triggers wrote it into a run: there, each `$(` becomes
/// `$$(`, so that Tekton does not read a variable in it.
#[must_use]
pub fn from_trigger(text: &str) -> String {
    text.replace("$$(", "$(")
}

/// Unicode's `Bidi_Control`: with these, what is read differs from what is there (CVE-2021-42574).
const fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_moves_the_cursor_or_turns_the_writing() {
        assert_eq!(clean("\x1b[31mred\x1b[0m \u{9b}2J\x07"), "�[31mred�[0m �2J�");
        assert_eq!(clean("pass\u{202e}liaf\u{2066}\u{200f}"), "pass�liaf��");
        assert_eq!(clean("two\nlines\tand\r"), "two lines and ");
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["größer als 1 %", "شكرا", "日本", "👩‍💻", ""] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn what_triggers_wrote_is_read_as_it_was() {
        assert_eq!(from_trigger("7 $$(params.x) $ ("), "7 $(params.x) $ (");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(clean_lines("{\r\n  \"a\": \"\x1b\"\n}\n"), "{\n  \"a\": \"�\"\n}");
    }
}
