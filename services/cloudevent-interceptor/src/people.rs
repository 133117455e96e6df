//! What people ask for while there is a release, and after it: a decision, or the version before.

use crate::{
    event::Event,
    field::{Field, percent, prose, required},
    patterns,
    refusal::Refusal,
};

/// What is asked for, by whom, and why.
pub(crate) struct Request<'a> {
    pub(crate) decision: Field<'a>,
    pub(crate) percent: Field<'a>,
    pub(crate) by: Field<'a>,
    pub(crate) reason: Field<'a>,
}

impl Request<'_> {
    /// A word about a release that is in progress.
    pub(crate) fn decision(&self, event: Event) -> Result<Event, Refusal> {
        let decision = required("decision", self.decision, patterns::is_decision, DECISION)?;
        let percent = percent("percent", self.percent, 1..=100)?;
        if percent.is_some() && !matches!(decision.as_str(), "approve" | "promote") {
            return Err(Refusal::invalid(
                format!("`percent` has no meaning for `{decision}`, which counts for every rung"),
                "leave it out: approve and promote count up to a percent",
            ));
        }
        let percent = percent.map(|percent| percent.to_string()).unwrap_or_default();
        self.signed(Event { decision, percent, ..event })
    }

    /// To take back what serves all requests.
    pub(crate) fn rollback(&self, event: Event) -> Result<Event, Refusal> {
        self.signed(event)
    }

    /// Evidence and events say whose word it was, so nobody's is none.
    fn signed(&self, event: Event) -> Result<Event, Refusal> {
        let by = prose("by", self.by, 256, BY)?;
        if by.is_empty() {
            let what = if self.by.is_some() { "`by` is empty" } else { "`by` is missing" };
            return Err(Refusal::invalid(what, BY));
        }
        Ok(Event { by, reason: prose("reason", self.reason, 1024, REASON)?, ..event })
    }
}

const DECISION: &str = "write approve, hold, resume, promote or abort";
const BY: &str = "write who asks, such as \"ada\", in at most 256 characters";
const REASON: &str = "write why, in at most 1024 characters, or leave it out";
