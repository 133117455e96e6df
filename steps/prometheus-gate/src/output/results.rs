//! The results of a gate, in an order in which `verdict` never says more than the exit code will.

use anyhow::Result;
use step::{ResultFile, text::within};

use crate::judge::verdict::Verdict;

/// A step's results have 4,096 bytes in all, and Tekton's own entries share them.
const LONGEST: usize = 800;

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
        let _ = self.reason.write(within(&format!("error: {error:#}"), LONGEST));
    }

    /// The verdict goes last: before it stands, a kill reads as inconclusive, and after it nothing
    /// can fail any more.
    pub(crate) fn end(&self, verdict: Verdict, reason: &str) -> Result<()> {
        self.reason.write(within(reason, LONGEST))?;
        self.verdict.write(verdict.to_string()).inspect_err(|error| {
            self.explain(error);
            let _ = self.verdict.write("inconclusive");
        })
    }
}
