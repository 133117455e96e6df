//! The lines of a record, as they stand in its file.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::decisions::decision::Decision;
use crate::judge::verdict::Verdict;
use crate::spec::resolved::{Criterion, Spec};
use crate::spec::rollout::Subject;
use crate::time::Grid;

/// Which of a criterion's questions an answer is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueryKind {
    Points,
    Presence,
    History,
}

/// How a gate ended, as far as that does not follow from the answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Last {
    #[default]
    Judged,
    Aborted,
    Overridden {
        verdict: Verdict,
        who: String,
    },
}

/// What cannot be derived from the answers again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) now: Timestamp,
    pub(crate) clock_offset: SignedDuration,
    pub(crate) polls: u64,
    pub(crate) queries: u64,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) last: Last,
    /// What a reader of the reason should know besides.
    #[serde(default)]
    pub(crate) remarks: Vec<String>,
}

/// One line of a record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    Gate {
        format: String,
        version: String,
        t0: Timestamp,
        spec: Box<Spec>,
        #[serde(default)]
        subject: Box<Subject>,
    },
    Chosen {
        criterion: usize,
        source: String,
        question: Box<Criterion>,
    },
    Answer {
        criterion: usize,
        of: QueryKind,
        grid: Grid,
        now: Timestamp,
        bodies: Vec<Box<RawValue>>,
    },
    /// What people had decided, from then on.
    Decisions {
        now: Timestamp,
        decisions: Vec<Decision>,
    },
    Error {
        now: Timestamp,
        text: String,
    },
    End(End),
}

/// The form of records; another number is another form.
pub(super) const FORMAT: &str = "gate/v1";
