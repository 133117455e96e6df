//! A gate that has begun and not ended, and whom it may ask.

use std::path::PathBuf;

/// Its task in the Pipeline, and the step in that
pub(super) const GATE: &str = "prometheus-gate";

/// Which Prometheus may be asked
#[derive(Clone, Debug, Default)]
pub(crate) struct Prometheus {
    /// The only one; without it each gate's own is asked, without credentials
    pub(crate) url: Option<String>,
    /// Where that one is reached from here
    pub(crate) at: Option<String>,
    pub(crate) credentials: Option<PathBuf>,
}

/// A gate that has begun and not ended
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Running {
    pub(super) namespace: String,
    pub(super) run: String,
    pub(super) task_run: String,
}
