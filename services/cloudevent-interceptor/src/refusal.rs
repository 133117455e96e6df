//! Why an event starts nothing, and what to write instead.

use step::text::short;

/// Longer, a value only hides the rest of its line.
const LONGEST_VALUE: usize = 120;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// What is wrong, with the field or header, values in backticks, no final period
    pub(crate) what: String,
    /// What to write instead. One line
    pub(crate) hint: String,
}

/// Codes of gRPC, which Tekton's protocol uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidArgument = 3,
    FailedPrecondition = 9,
    Unauthenticated = 16,
}

impl Refusal {
    /// The event itself is wrong.
    pub(crate) fn invalid(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: Code::InvalidArgument, what: what.into(), hint: hint.into() }
    }

    /// Nothing proves who sent it.
    pub(crate) fn unproved(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: Code::Unauthenticated, what: what.into(), hint: hint.into() }
    }

    /// One line, whatever a stranger wrote into it.
    pub(crate) fn line(&self) -> String {
        let what = short(&self.what, 400);
        let hint = short(&self.hint, 300);
        if hint.is_empty() { what } else { format!("{what}; {hint}") }
    }
}

/// A stranger's value as a line can show it.
pub(crate) fn shown(value: &str) -> String {
    short(value, LONGEST_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_short_line_whatever_it_quotes() {
        let refusal = Refusal::invalid(format!("`a` is\n{}", "\x1b€".repeat(9999)), "write\r\n`b`");
        let line = refusal.line();
        assert!(!line.contains(char::is_control), "{line}");
        assert!(line.chars().count() < 420, "{line}");
        assert!(line.ends_with("…; write | `b`"), "{line}");
    }
}
