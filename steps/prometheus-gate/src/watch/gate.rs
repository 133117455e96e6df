//! A gate that can run.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;

use crate::decisions::people::People;
use crate::prometheus::client::Prometheus;
use crate::spec::permission::Permission;
use crate::spec::resolved::{Policy, Timing};
use crate::spec::{
    candidates::Question, expression::Combine, file::usage, rollout::Subject, rungs::Rungs,
};
use crate::time::rfc3339;

/// What is asked, of whom, and since when.
pub(crate) struct Gate {
    pub(crate) prometheus: Prometheus,
    /// The server's address for people.
    pub(crate) address: String,
    pub(crate) timing: Timing,
    pub(crate) rungs: Rungs,
    pub(crate) combine: Combine,
    pub(crate) policy: Policy,
    /// When the canary got its first request on this rung; without it, when the gate first reads the clock.
    pub(crate) start: Option<Timestamp>,
    pub(crate) poll: Duration,
    pub(crate) questions: Vec<Question>,
    pub(crate) subject: Subject,
    pub(crate) permission: Permission,
    /// Whoever may decide about the release.
    pub(crate) people: Option<People>,
    /// The folders of the evidence.
    pub(crate) reports: Vec<PathBuf>,
    pub(crate) records: Vec<PathBuf>,
}

/// What is wrong with a start that is to come.
pub(crate) fn in_the_future(start: Timestamp) -> anyhow::Error {
    let what = format!("the start `{}` is in the future", rfc3339(start));
    let hint =
        "give the moment at which the canary got its first request, in UTC or with its offset";
    usage(what, hint)
}
