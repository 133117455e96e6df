//! Why a bento has to be built whole.

use std::fmt;

use step::text;
use thiserror::Error;

/// Of a line that is shown.
const SHOWN: usize = 100;

/// What decides it, in one sentence that names the place.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct Whole {
    /// Relative to the bento
    pub file: String,
    /// From 1
    pub line: Option<usize>,
    /// What stands in that line, fit to be shown
    pub text: String,
    /// Reads as a sentence after the text, or after the file
    pub reason: String,
}

impl fmt::Display for Whole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, text, reason } = self;
        match line {
            Some(line) => write!(out, "{file}:{line}: `{text}` {reason}"),
            None => write!(out, "`{file}` {reason}"),
        }
    }
}

impl Whole {
    /// Because of a line of a file with this content.
    pub(crate) fn in_line(
        file: &str,
        content: &str,
        line: usize,
        reason: impl Into<String>,
    ) -> Self {
        let lines = content.trim_start_matches('\u{feff}').lines().map(str::trim);
        let mut lines = lines.skip(line.saturating_sub(1));
        let mut text = lines.next().unwrap_or_default().to_owned();
        // A line that says little goes on in the next.
        let mut more = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let goes_on = |begun: &&str| begun.len() < SHOWN && !begun.starts_with('#');
        while let Some(begun) = text.strip_suffix('\\').filter(goes_on) {
            text = format!("{} {}", begun.trim_end(), more.next().unwrap_or_default());
        }
        let text = text::short(&shown(text.trim()), SHOWN);
        Self { file: text::clean(file), line: Some(line), text, reason: reason.into() }
    }

    /// Because of a file.
    pub(crate) fn in_file(file: &str, reason: impl Into<String>) -> Self {
        Self {
            file: text::short(file, SHOWN),
            line: None,
            text: String::new(),
            reason: reason.into(),
        }
    }
}

/// An instruction as it may be shown: its maker may have put a password into an address or a variable.
pub(crate) fn shown(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.find("://") {
        Some(_) => text::address(word),
        None => word.to_owned(),
    });
    let words: Vec<_> = words.collect();
    let is_variable = words.first().is_some_and(|name| {
        ["ENV", "ARG"].iter().any(|instruction| name.eq_ignore_ascii_case(instruction))
    });
    match words.as_slice() {
        [instruction, name, ..] if is_variable => {
            let name = name.split('=').next().unwrap_or_default();
            format!("{instruction} {name}=…")
        }
        words => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_as_it_stands_there() {
        let whole =
            |content: &str, line| Whole::in_line("Dockerfile", content, line, "is why").to_string();
        let text = "\u{feff}FROM x\r\n  RUN a \\\r\n # b\r\n  --c \\\r\n";
        assert_eq!(whole(text, 1), "Dockerfile:1: `FROM x` is why");
        assert_eq!(whole(text, 2), "Dockerfile:2: `RUN a --c` is why");
        assert_eq!(whole("# escape=\\\nFROM x\n", 1), "Dockerfile:1: `# escape=\\` is why");
        assert_eq!(whole(&"a\u{1b}".repeat(99), 1).chars().count(), 23 + SHOWN);
        assert_eq!(Whole::in_file("a", "is why").to_string(), "`a` is why");
    }

    #[test]
    fn a_password_of_its_maker_is_not_shown() {
        for (line, wanted) in [
            (
                "RUN pip install -i https://bob:hunter2@pypi.example/simple x",
                "RUN pip install -i https://pypi.example/simple x",
            ),
            ("ENV HF_TOKEN=hunter2", "ENV HF_TOKEN=…"),
            ("env HF_TOKEN hunter2", "env HF_TOKEN=…"),
            ("ARG TOKEN=hunter2 OTHER=hunter3", "ARG TOKEN=…"),
            ("COPY . ./", "COPY . ./"),
        ] {
            assert_eq!(shown(line), wanted);
        }
    }
}
