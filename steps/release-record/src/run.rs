//! One PipelineRun with its `TaskRuns`, as it is kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a run or a task is
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Running,
    Succeeded,
    Failed,
}

/// A PipelineRun of a release. What it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunRecord {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// `canary-release`, `canary-promotion` or `canary-rollback-now`
    pub pipeline: String,
    pub service: String,
    pub version: String,
    /// Shared by all runs of one release; empty where no event started it
    pub correlation: String,
    pub created: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub state: State,
    /// `Succeeded`, `Completed`, `Failed`, `Cancelled` …
    pub reason: String,
    pub message: String,
    /// Those that tell about the release
    pub params: BTreeMap<String, String>,
    /// In the order in which they started
    pub tasks: Vec<TaskRecord>,
}

/// A TaskRun of it
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskRecord {
    /// Its name in the Pipeline, such as `prometheus-gate`
    pub task: String,
    pub name: String,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub state: State,
    pub reason: String,
    pub message: String,
    pub results: BTreeMap<String, String>,
}
