//! One PipelineRun with its `TaskRuns`, as it is kept.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a record that is kept says of its form
const API_VERSION: &str = "kanaria.dev/run/v1";

/// How far a run or a task is
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// Somebody has asked for its end, with or without its `finally`
    pub cancelled: bool,
    /// Why the sweep has cancelled it: its canary was taken back, and it could not go on
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cannot_go_on: String,
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
    /// The first of its tries
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub state: State,
    /// `FailureIgnored` for a failure that its Pipeline goes on after
    pub reason: String,
    pub message: String,
    pub results: BTreeMap<String, String>,
}

/// A record as it is kept
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    api_version: &'static str,
    #[serde(flatten)]
    record: &'a RunRecord,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    api_version: String,
    #[serde(flatten)]
    record: RunRecord,
}

impl RunRecord {
    pub fn to_json(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Written { api_version: API_VERSION, record: self })?)
    }

    /// Fields that are not known are passed over: a later release may have added them.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let Read { api_version, record } = serde_json::from_slice(json)?;
        ensure!(api_version == API_VERSION, "its `apiVersion` is not `{API_VERSION}`");
        Ok(record)
    }

    /// A param; empty when it was not given.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The same with these tasks and no others, in the order in which they started.
    pub fn with_tasks(mut self, tasks: impl IntoIterator<Item = TaskRecord>) -> Self {
        self.tasks = tasks.into_iter().collect();
        // One that waits for its pod comes last.
        self.tasks.sort_by(|a, b| {
            let key = |task: &TaskRecord| (task.started.is_none(), task.started);
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        self
    }
}

impl TaskRecord {
    /// A result; empty when it was not written.
    pub fn result(&self, name: &str) -> &str {
        self.results.get(name).map_or("", String::as_str)
    }
}
