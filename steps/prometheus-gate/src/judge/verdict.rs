//! What a gate says, and which rule decided.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::judge::{summary::CriterionSummary, waiting::Waiting};
use crate::time::rfc3339;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Inconclusive,
    Pending,
}

/// Which rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    /// Every criterion held for as long as asked; at all traffic, nothing failed for as long.
    Hold,
    /// The canary does worse, and chance does not explain it.
    Evidence,
    /// Too many bad points.
    Limit,
    /// So bad that there was no need to wait.
    FastFail,
    /// Bad points leave no time to hold before the deadline.
    Infeasible,
    /// Too few samples or requests to tell.
    NoData,
    /// The server gave no usable answer for too long.
    Outage,
    /// The time is over, and bad points are why.
    Deadline,
    /// A person decided.
    Override,
    /// Nobody approved in time.
    #[serde(rename = "not-approved")]
    NotApproved,
    /// A signal came before a verdict.
    Aborted,
    Pending,
}

/// What the gate says, and on what grounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    /// A sentence for a person, without a final period.
    pub(crate) message: String,
    /// When it was decided, by the server's clock.
    #[serde(skip)]
    pub(crate) decided_at: Timestamp,
    /// What is waited for, where all criteria hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<Waiting>,
    /// When it is decided at the latest, as far as that is known now.
    #[serde(rename = "deadline", serialize_with = "to_the_second")]
    pub(crate) end: Timestamp,
    pub(crate) criteria: Vec<CriterionSummary>,
}

impl Judgement {
    /// The same as the last word of a gate that has to stop.
    pub(crate) fn aborted(self) -> Self {
        let message = format!("stopped by a signal before a verdict; {}", self.message);
        Self { verdict: Verdict::Inconclusive, reason: Reason::Aborted, message, ..self }
    }

    /// The same where nothing is missing but permission.
    pub(crate) fn waiting(self, waiting: Waiting) -> Self {
        let message = format!("{}; {}", self.message, waiting.words);
        Self { message, waiting: Some(waiting), ..self }
    }

    /// The same when a person has the last word.
    pub(crate) fn overridden(self, verdict: Verdict, who: &str) -> Self {
        let message = format!("{who}; until then {}", self.message);
        Self { verdict, reason: Reason::Override, message, waiting: None, ..self }
    }
}

fn to_the_second<S: serde::Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&rfc3339(*moment))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
