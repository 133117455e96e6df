//! Why a canary is taken back, as the run that was to end it tells.

use std::fmt::Display;

use inference_service::{Seen, Service, same_image};
use kube::{
    Api, Client, ResourceExt,
    api::ListParams,
    core::{ApiResource, GroupVersionKind, Object},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A reason of the event's schema, the task that it comes from, and a sentence for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) stage: String,
    pub(crate) message: String,
}

impl Cause {
    pub(crate) fn new(reason: &'static str, stage: &str, message: impl Display) -> Self {
        Self { reason, stage: stage.into(), message: message.to_string() }
    }

    /// Nothing tells it: somebody took the canary back at a terminal.
    pub(crate) fn by_hand() -> Self {
        Self::new("manual", "canary-rollback", "somebody asked for it")
    }
}

pub(crate) type TektonRun = Object<RunSpec, RunStatus>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct RunSpec {
    params: Vec<Named>,
    status: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RunStatus {
    conditions: Vec<Condition>,
    results: Vec<Named>,
    start_time: String,
    pub(crate) completion_time: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    kind: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    message: String,
}

/// A param or a result
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Named {
    name: String,
    value: Value,
}

/// What a run was told, and what it tells; empty where there is nothing.
pub(crate) trait Values {
    fn param(&self, name: &str) -> &str;
    fn result(&self, name: &str) -> &str;
}

impl Values for TektonRun {
    fn param(&self, name: &str) -> &str {
        value(&self.spec.params, name)
    }

    fn result(&self, name: &str) -> &str {
        value(self.status.as_ref().map_or(&[], |status| &status.results), name)
    }
}

fn value<'a>(values: &'a [Named], name: &str) -> &'a str {
    let found = values.iter().find(|value| value.name == name);
    found.and_then(|found| found.value.as_str()).unwrap_or_default()
}

/// A TaskRun of the run that was to end the canary.
struct Task<'a> {
    /// Its name in the Pipeline
    name: &'a str,
    run: &'a TektonRun,
}

pub(crate) fn succeeded(run: &TektonRun) -> Option<&Condition> {
    let conditions = run.status.as_ref().map_or(&[][..], |status| &status.conditions);
    conditions.iter().find(|condition| condition.kind == "Succeeded")
}

/// What a PipelineRun and its `TaskRuns` tell; `ours` is the TaskRun that asks. A canary is taken back
/// also when nothing can be read.
pub(crate) async fn of_run(client: &Client, namespace: &str, name: &str, ours: &str) -> Cause {
    match read(client, namespace, name, ours).await {
        Ok(cause) => cause,
        Err(error) => {
            tracing::warn!(
                "failed to read why run `{namespace}/{name}` has not ended its canary: {error}"
            );
            Cause::new("error", "canary-rollback", format!("run `{name}` did not end its canary"))
        }
    }
}

/// What the run tells that was told of the canary last, or else the one that made it.
pub(crate) async fn of_canary(service: &Service, seen: &Seen, image: &str) -> Cause {
    let told = runs_told_of(service, image).await.unwrap_or_else(|error| {
        tracing::warn!("{}: failed to list its runs: {error}", seen.full_name());
        Vec::new()
    });
    let last =
        told.into_iter().max_by_key(ResourceExt::creation_timestamp).map(|run| run.name_any());
    let made = Some(&seen.mark.release.run).filter(|name| !name.is_empty());
    match (last, made) {
        (Some(name), _) => of_run(service.client(), &service.namespace, &name, "").await,
        // It has ended well, so another run was told; where that is not there any more, it was deleted.
        (None, Some(name)) if has_succeeded(service, name).await => {
            Cause::new("cancelled", "canary-promotion", "the run that was to end it is gone")
        }
        (None, Some(name)) => of_run(service.client(), &service.namespace, name, "").await,
        (None, None) => Cause::new("error", "canary-sweep", "no run will end this canary"),
    }
}

async fn has_succeeded(service: &Service, run: &str) -> bool {
    let found = api(service.client(), &service.namespace, "PipelineRun").get_opt(run).await;
    let found = found.ok().flatten();
    found.as_ref().and_then(succeeded).is_some_and(|condition| condition.status == "True")
}

async fn runs_told_of(service: &Service, image: &str) -> Result<Vec<TektonRun>, kube::Error> {
    let is_told = |run: &TektonRun| same_image(run.param("canary-image"), image);
    let runs = api(service.client(), &service.namespace, "PipelineRun");
    Ok(runs.list(&ListParams::default()).await?.items.into_iter().filter(is_told).collect())
}

pub(crate) fn api(client: &Client, namespace: &str, kind: &str) -> Api<TektonRun> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
    ours: &str,
) -> Result<Cause, kube::Error> {
    let Some(run) = api(client, namespace, "PipelineRun").get_opt(name).await? else {
        return Ok(Cause::new("cancelled", "canary-rollback", format!("run `{name}` was deleted")));
    };
    let of_run = ListParams::default().labels(&format!("tekton.dev/pipelineRun={name}"));
    let mut tasks = api(client, namespace, "TaskRun").list(&of_run).await?.items;
    tasks.retain(|task| task.uid().as_deref() != Some(ours));
    Ok(of_tasks(&run, tasks))
}

fn of_tasks(run: &TektonRun, mut runs: Vec<TektonRun>) -> Cause {
    runs.sort_by(|one, other| started(one).cmp(started(other)));
    let name = run.name_any();
    let tasks: Vec<Task> = runs
        .iter()
        .map(|run| {
            let name = run.labels().get("tekton.dev/pipelineTask").map_or("", String::as_str);
            Task { name, run }
        })
        .collect();
    if run.spec.status.starts_with("Cancelled") || run.spec.status.starts_with("Stopped") {
        let stage = tasks.last().map_or("canary-rollback", |task| task.name);
        return Cause::new("cancelled", stage, format!("run `{name}` was cancelled"));
    }
    for task in &tasks {
        match task.run.result("verdict") {
            "fail" => return Cause::new("gate-failed", task.name, task.run.result("reason")),
            "inconclusive" => {
                return Cause::new("gate-inconclusive", task.name, task.run.result("reason"));
            }
            _ => {}
        }
    }
    let failed = tasks.iter().find_map(|task| {
        let condition = succeeded(task.run).filter(|condition| condition.status == "False")?;
        Some((task, condition))
    });
    if let Some((task, condition)) = failed {
        let reason = match (condition.reason.as_str(), task.run.result("outcome")) {
            ("TaskRunTimeout", _) => "timeout",
            (_, "changed") => "changed",
            _ => "error",
        };
        let told = task.run.result("error");
        let message = if told.is_empty() { condition.message.as_str() } else { told };
        return Cause::new(reason, task.name, message);
    }
    match succeeded(run) {
        Some(Condition { reason, .. }) if reason == "PipelineRunTimeout" => {
            let stage = tasks.last().map_or("canary-rollback", |task| task.name);
            Cause::new("timeout", stage, format!("run `{name}` took longer than its timeout"))
        }
        Some(Condition { status, message, .. }) if status == "False" => {
            Cause::new("error", "canary-rollback", message)
        }
        _ => Cause::new("error", "canary-rollback", format!("run `{name}` did not end its canary")),
    }
}

fn started(run: &TektonRun) -> &str {
    run.status.as_ref().map_or("", |status| status.start_time.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pipeline_run(asked: &str, condition: &str) -> TektonRun {
        read(json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "promotion-1"},
            "spec": {"status": asked},
            "status": {"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": condition, "message": ""}]},
        }))
    }

    fn task(name: &str, status: &str, reason: &str, results: &[(&str, &str)]) -> TektonRun {
        let results: Vec<_> =
            results.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        read(json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": name, "labels": {"tekton.dev/pipelineTask": name}}, "spec": {},
            "status": {"results": results, "startTime": "2026-11-24T06:07:00Z",
                       "conditions": [{"type": "Succeeded", "status": status, "reason": reason, "message": "exited with code 1"}]},
        }))
    }

    fn read(run: Value) -> TektonRun {
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn the_first_thing_that_went_wrong_is_the_cause() {
        let fail = [("verdict", "fail"), ("reason", "errors: too many")];
        let unsure = [("verdict", "inconclusive"), ("reason", "no data")];
        let pass = [("verdict", "pass"), ("reason", "all hold")];
        let changed = [("outcome", "changed"), ("error", "the latest revision is another")];
        let gate = |results: &[(&str, &str)]| task("prometheus-gate", "False", "Failed", results);
        let cases = [
            (vec![gate(&fail)], ("gate-failed", "prometheus-gate", "errors: too many")),
            (vec![gate(&unsure)], ("gate-inconclusive", "prometheus-gate", "no data")),
            (vec![gate(&[])], ("error", "prometheus-gate", "exited with code 1")),
            (
                vec![task("prometheus-gate", "False", "TaskRunTimeout", &[])],
                ("timeout", "prometheus-gate", "exited with code 1"),
            ),
            (
                vec![
                    task("prometheus-gate", "True", "Succeeded", &pass),
                    task("canary-promote", "False", "Failed", &changed),
                ],
                ("changed", "canary-promote", "the latest revision is another"),
            ),
            (vec![], ("error", "canary-rollback", "run `promotion-1` did not end its canary")),
        ];
        for (tasks, (reason, stage, message)) in cases {
            let found = of_tasks(&pipeline_run("", "Running"), tasks);
            assert_eq!(found, Cause::new(reason, stage, message));
        }
    }

    #[test]
    fn a_run_that_somebody_cancelled_says_so_whatever_its_tasks_say() {
        for asked in ["Cancelled", "CancelledRunFinally", "StoppedRunFinally"] {
            let cancelled = task("prometheus-gate", "False", "TaskRunCancelled", &[]);
            let found = of_tasks(&pipeline_run(asked, "Running"), vec![cancelled]);
            assert_eq!(
                found,
                Cause::new("cancelled", "prometheus-gate", "run `promotion-1` was cancelled")
            );
        }
    }
}
