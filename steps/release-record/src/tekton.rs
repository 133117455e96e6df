//! `PipelineRuns` and `TaskRuns` of releases, as the API server has them.
//!
//! Everything has a default, so that a run of another Tekton is read and not refused.

use std::collections::BTreeMap;

use inference_service::CANNOT_GO_ON;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    ResourceExt as _,
    core::{ApiResource, GroupVersionKind, Object},
};
use serde::Deserialize;
use serde_json::Value;
use step::text::{from_trigger, short};

use crate::run::{RunRecord, State, TaskRecord};

/// Labels of the `PipelineRuns` that belong to releases, and of their `TaskRuns`: a selector.
pub const OF_RELEASES: &str =
    "tekton.dev/pipeline in (canary-release,canary-promotion,canary-rollback-now)";

const PIPELINES: [&str; 3] = ["canary-release", "canary-promotion", "canary-rollback-now"];

/// Params that tell about the release; others may be long, and say how and not what.
const PARAMS: [&str; 19] = [
    "service",
    "version",
    "bento",
    "sha256",
    "image",
    "ladder",
    "climbed",
    "percent",
    "started-at",
    "canary-revision",
    "canary-image",
    "baseline-revision",
    "baseline-image",
    "criteria",
    "when-busy",
    "bake",
    "promotion",
    "by",
    "reason",
];

/// Characters of a param or a result. All results of a TaskRun have 4,096 bytes.
const LONGEST_VALUE: usize = 4096;
/// Characters of a message.
const LONGEST_MESSAGE: usize = 1024;
/// Results of a TaskRun; a site's own Task may have any number.
const MOST_RESULTS: usize = 64;

/// For a watcher or a list: `Api::namespaced_with(client, namespace, &pipeline_runs())`.
pub type PipelineRun = Object<RunSpec, RunStatus>;
/// The same of `&task_runs()`.
pub type TaskRun = Object<RunSpec, RunStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunSpec {
    params: Vec<Named>,
    /// That somebody has asked for its end: `Cancelled`, `CancelledRunFinally` …
    status: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunStatus {
    conditions: Vec<Condition>,
    results: Vec<Named>,
    start_time: Option<Time>,
    completion_time: Option<Time>,
    /// Of tries before this one
    retries_status: Vec<Try>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Try {
    start_time: Option<Time>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

/// A param or a result
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
    value: Value,
}

pub fn pipeline_runs() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"))
}

pub fn task_runs() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "TaskRun"))
}

impl RunRecord {
    /// What a PipelineRun tells, still without its tasks; nothing of one that is no release's.
    pub fn of(run: &PipelineRun) -> Option<Self> {
        let pipeline = label(run, "tekton.dev/pipeline");
        if !PIPELINES.contains(&pipeline) {
            return None;
        }
        let params: BTreeMap<_, _> = run
            .spec
            .params
            .iter()
            .filter(|param| PARAMS.contains(&param.name.as_str()))
            .filter_map(|param| Some((param.name.clone(), from_trigger(param.value.as_str()?))))
            .map(|(name, value)| (name, short(&value, LONGEST_VALUE)))
            .collect();
        let param = |name: &str| params.get(name).cloned().unwrap_or_default();
        let Ended { state, reason, message, at: ended } = ended(run);
        Some(Self {
            namespace: run.namespace().unwrap_or_default(),
            name: run.name_any(),
            uid: run.uid().unwrap_or_default(),
            pipeline: pipeline.to_owned(),
            service: param("service"),
            version: param("version"),
            correlation: label(run, "kanaria.dev/correlation-id").to_owned(),
            created: run.creation_timestamp().map(|Time(time)| time),
            ended,
            state,
            cancelled: ["Cancelled", "Stopped"].iter().any(|end| run.spec.status.starts_with(end)),
            cannot_go_on: run
                .annotations()
                .get(CANNOT_GO_ON)
                .map_or_else(String::new, |why| short(&from_trigger(why), LONGEST_MESSAGE)),
            reason,
            message,
            params,
            tasks: Vec::new(),
        })
    }
}

impl TaskRecord {
    pub fn of(run: &TaskRun) -> Self {
        let Ended { state, reason, message, at: ended } = ended(run);
        let status = run.status.as_ref();
        let tries = status.map_or(&[][..], |status| &status.retries_status);
        let now = status.and_then(|status| status.start_time.as_ref());
        let started = tries.iter().filter_map(|before| before.start_time.as_ref()).chain(now);
        let results = status.map_or(&[][..], |status| &status.results).iter();
        Self {
            task: label(run, "tekton.dev/pipelineTask").to_owned(),
            name: run.name_any(),
            started: started.map(|Time(time)| *time).min(),
            ended,
            state,
            reason,
            message,
            results: results
                .filter_map(|result| Some((result.name.clone(), result.value.as_str()?)))
                .map(|(name, value)| (name, short(value, LONGEST_VALUE)))
                .take(MOST_RESULTS)
                .collect(),
        }
    }
}

/// The PipelineRun that a TaskRun belongs to; empty where there is none.
pub fn pipeline_run_of(task: &TaskRun) -> &str {
    label(task, "tekton.dev/pipelineRun")
}

fn label<'a>(run: &'a Object<RunSpec, RunStatus>, name: &str) -> &'a str {
    run.labels().get(name).map_or("", String::as_str)
}

struct Ended {
    state: State,
    reason: String,
    message: String,
    at: Option<Timestamp>,
}

/// By the condition `Succeeded`: `Unknown` is one that goes on, be it pending or about to try again.
fn ended(run: &Object<RunSpec, RunStatus>) -> Ended {
    let status = run.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let found = conditions.iter().find(|condition| condition.kind == "Succeeded");
    let state = match found.map_or("", |condition| &condition.status) {
        "True" => State::Succeeded,
        "False" => State::Failed,
        _ => State::Running,
    };
    let text =
        |text: Option<&String>, most| text.map_or_else(String::new, |text| short(text, most));
    let at = status.and_then(|status| status.completion_time.as_ref()).map(|Time(time)| *time);
    Ended {
        state,
        reason: text(found.map(|condition| &condition.reason), LONGEST_MESSAGE),
        message: text(found.map(|condition| &condition.message), LONGEST_MESSAGE),
        at: at.filter(|_| state != State::Running),
    }
}

#[cfg(test)]
mod tests;
