//! The results of a gate, in an order in which `verdict` never says more than the exit code will.

use anyhow::Result;
use step::{ResultFile, text::clean};

use crate::verdict::Verdict;

pub(crate) struct Results<'a> {
    pub(crate) verdict: &'a ResultFile,
    pub(crate) reason: &'a ResultFile,
}

impl Results<'_> {
    /// Killed from here on, it must not read as a pass, and a `finally` task must find a result.
    pub(crate) fn begin(&self) -> Result<()> {
        self.verdict.write("inconclusive").inspect_err(|error| self.explain(error))?;
        self.reason.write("unfinished: the gate was stopped before a verdict")
    }

    /// Before or instead of a verdict, the reason is the error. It may be the reason itself that
    /// cannot be written; the error is then in the log only.
    pub(crate) fn explain(&self, error: &anyhow::Error) {
        let _ = self.reason.write(short(&clean(&format!("error: {error:#}"))));
    }

    /// The verdict goes last: before it stands, a kill reads as inconclusive, and after it nothing
    /// can fail any more.
    pub(crate) fn end(&self, verdict: Verdict, told: &str) -> Result<()> {
        self.reason.write(short(&clean(told)))?;
        self.verdict.write(verdict.to_string()).inspect_err(|error| {
            self.explain(error);
            let _ = self.verdict.write("inconclusive");
        })
    }
}

/// A step's results have 4,096 bytes in all, and Tekton's own entries share them.
fn short(text: &str) -> String {
    const LONGEST: usize = 800;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert!(short(&"ü".repeat(1000)).ends_with("ü…"));
        assert_eq!(short("hold"), "hold");
    }
}
