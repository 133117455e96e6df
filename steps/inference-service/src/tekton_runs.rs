//! `PipelineRuns` and `TaskRuns` of Tekton, as far as a canary has to do with them.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{ContainerState, Pod},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind, Object},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    objects::{Condition, FIELD_MANAGER, condition},
    paging::list_all,
};

pub const PIPELINE_RUN: &str = "PipelineRun";
pub const TASK_RUN: &str = "TaskRun";

/// Annotation of a run that was cancelled because it could not go on, after its canary was taken back: why
pub const CANNOT_GO_ON: &str = "kanaria.dev/cannot-go-on";

/// A node that answers ends a pod within its grace period, which is 30 s for a step's.
const ENDS_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// A PipelineRun or a TaskRun. What it does not say is empty.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Run(Object<RunSpec, RunStatus>);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RunSpec {
    params: Vec<Named>,
    status: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunStatus {
    conditions: Vec<Condition>,
    results: Vec<Named>,
    start_time: Option<Time>,
    completion_time: Option<Time>,
}

/// A param or a result
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
    value: Value,
}

impl Run {
    pub fn name(&self) -> &str {
        self.0.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn uid(&self) -> &str {
        self.0.metadata.uid.as_deref().unwrap_or_default()
    }

    pub fn label(&self, name: &str) -> &str {
        self.0.labels().get(name).map_or("", String::as_str)
    }

    pub fn annotation(&self, name: &str) -> &str {
        self.0.annotations().get(name).map_or("", String::as_str)
    }

    pub fn param(&self, name: &str) -> &str {
        value(&self.0.spec.params, name)
    }

    pub fn result(&self, name: &str) -> &str {
        self.0.status.as_ref().map_or("", |status| value(&status.results, name))
    }

    pub fn created(&self) -> Option<Timestamp> {
        self.0.creation_timestamp().map(|Time(time)| time)
    }

    pub fn started(&self) -> Option<Timestamp> {
        self.0.status.as_ref()?.start_time.as_ref().map(|Time(time)| *time)
    }

    /// Its condition `Succeeded`
    pub fn succeeded(&self) -> Option<&Condition> {
        condition(&self.0.status.as_ref()?.conditions, "Succeeded")
    }

    /// Empty for a TaskRun that no PipelineRun made
    pub fn pipeline(&self) -> &str {
        self.label("tekton.dev/pipeline")
    }

    pub fn has_succeeded(&self) -> bool {
        self.succeeded().is_some_and(|condition| condition.status == "True")
    }

    /// The condition of a run that has failed
    pub fn failure(&self) -> Option<&Condition> {
        self.succeeded().filter(|condition| condition.status == "False")
    }

    /// Whether it has failed within that time
    pub fn has_failed_within(&self, time: Duration) -> bool {
        let ended = self.0.status.as_ref().and_then(|status| status.completion_time.as_ref());
        let ago = ended.map(|Time(ended)| Timestamp::now().duration_since(*ended));
        self.failure().is_some()
            && ago.is_some_and(|ago| !ago.is_negative() && ago.unsigned_abs() < time)
    }

    /// Whether somebody has asked for its end, with or without its `finally`
    pub fn is_cancelled(&self) -> bool {
        let requested = &self.0.spec.status;
        requested.starts_with("Cancelled") || requested.starts_with("Stopped")
    }

    /// Whether it has not ended and is meant to go on
    pub fn is_unfinished(&self) -> bool {
        let has_ended = self.succeeded().is_some_and(|found| found.status != "Unknown");
        // One that was cancelled runs nothing more, not even `finally`; one that is pending does
        // nothing until somebody starts it. A graceful cancel, CancelledRunFinally, runs `finally`.
        let is_given_up = matches!(
            self.0.spec.status.as_str(),
            "Cancelled" | "TaskRunCancelled" | "PipelineRunPending"
        );
        !has_ended && !is_given_up && self.0.metadata.deletion_timestamp.is_none()
    }
}

fn value<'a>(values: &'a [Named], name: &str) -> &'a str {
    let found = values.iter().find(|value| value.name == name);
    found.and_then(|found| found.value.as_str()).unwrap_or_default()
}

/// The runs of a kind that have these labels and that are to be kept.
pub async fn runs(
    client: &Client,
    namespace: &str,
    kind: &str,
    labels: &str,
    keep: impl Fn(&Run) -> bool,
) -> Result<Vec<Run>, kube::Error> {
    let kept = |run| Some(Run(run)).filter(&keep);
    list_all(&api(client, namespace, kind), labels, kept).await
}

pub async fn pipeline_run(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<Run>, kube::Error> {
    Ok(api(client, namespace, PIPELINE_RUN).get_opt(name).await?.map(Run))
}

/// Every run of the namespace that has not ended and is meant to go on. `TaskRuns` of a PipelineRun are
/// left out.
pub(crate) async fn unfinished(client: &Client, namespace: &str) -> Result<Vec<Run>, kube::Error> {
    let mut found = runs(client, namespace, PIPELINE_RUN, "", Run::is_unfinished).await?;
    let alone = "!tekton.dev/pipelineRun";
    found.extend(runs(client, namespace, TASK_RUN, alone, Run::is_unfinished).await?);
    Ok(found)
}

fn api(client: &Client, namespace: &str, kind: &str) -> Api<Object<RunSpec, RunStatus>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Cancels a run that cannot go on, without its `finally`, and notes why.
pub async fn cancel(
    client: &Client,
    namespace: &str,
    run: &Run,
    why: &str,
) -> Result<(), kube::Error> {
    let patch = json!({
        "metadata": {"uid": run.uid(), "annotations": {CANNOT_GO_ON: why}},
        "spec": {"status": "Cancelled"},
    });
    let params = PatchParams::apply(FIELD_MANAGER);
    api(client, namespace, PIPELINE_RUN)
        .patch(run.name(), &params, &Patch::Merge(patch))
        .await
        .map(drop)
}

/// A pod that a run waits for and that will not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostPod {
    /// Its task in the Pipeline; empty for a TaskRun alone
    pub task: String,
    /// Why it will not end, for people
    pub why: String,
}

/// The pod that a run waits for in vain, if there is one: it was to end long ago, and the node that
/// should have ended it does not answer; or a step's container was killed whole, with Tekton's
/// `entrypoint` in it, so that nobody lets the next step begin.
pub(crate) async fn lost_pod(
    client: &Client,
    namespace: &str,
    run: &Run,
) -> Result<Option<LostPod>, kube::Error> {
    let label = if run.pipeline().is_empty() { "taskRun" } else { "pipelineRun" };
    let of_run = ListParams::default().labels(&format!("tekton.dev/{label}={}", run.name()));
    let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&of_run).await?;
    let now = Timestamp::now();
    Ok(pods.items.iter().find_map(|pod| {
        let task = pod.labels().get("tekton.dev/pipelineTask").cloned().unwrap_or_default();
        Some(LostPod { task, why: will_not_end(pod, now)? })
    }))
}

fn will_not_end(pod: &Pod, now: Timestamp) -> Option<String> {
    let long_ago = |Time(then): &Time| now.duration_since(*then) > ENDS_WITHIN;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if let Some(asked) = pod.metadata.deletion_timestamp.as_ref().filter(|asked| long_ago(asked)) {
        return Some(format!("its pod `{name}` was to end at {}, and its node is silent", asked.0));
    }
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let steps = || statuses.into_iter().flatten().filter(|step| step.name.starts_with("step-"));
    let is_running = |state: &ContainerState| state.running.is_some() && state.terminated.is_none();
    if !steps().filter_map(|step| step.state.as_ref()).any(is_running) {
        return None;
    }
    steps().find_map(|step| {
        let ended = step.state.as_ref()?.terminated.as_ref()?;
        let is_killed = ended.exit_code != 0 && ended.finished_at.as_ref().is_some_and(long_ago);
        let reason = ended.reason.as_deref().unwrap_or("Error");
        is_killed.then(|| {
            let (container, code) = (&step.name, ended.exit_code);
            format!(
                "container `{container}` of pod `{name}` was killed whole ({reason}, exit code {code}), so that the step behind it never begins"
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(name: &str, spec_status: &str, succeeded: Option<&str>) -> Run {
        let conditions: Vec<_> =
            succeeded.iter().map(|status| json!({"type": "Succeeded", "status": status})).collect();
        let run = json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-11-24T06:07:00Z",
                         "labels": {"tekton.dev/pipeline": "canary-release"}},
            "spec": {"params": [{"name": "service", "value": "iris"}, {"name": "list", "value": ["a"]}], "status": spec_status},
            "status": {"conditions": conditions},
        });
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_run_goes_on_until_it_has_ended_or_was_cancelled() {
        for (spec_status, succeeded, goes_on) in [
            ("", None, true),
            ("", Some("Unknown"), true),
            ("CancelledRunFinally", Some("Unknown"), true),
            ("StoppedRunFinally", Some("Unknown"), true),
            ("Cancelled", Some("Unknown"), false),
            ("PipelineRunPending", None, false),
            ("", Some("True"), false),
            ("", Some("False"), false),
        ] {
            let found = run("release-1", spec_status, succeeded);
            assert_eq!(found.is_unfinished(), goes_on, "{spec_status} {succeeded:?}");
        }
    }

    #[test]
    fn a_pod_will_not_end_on_a_lost_node_or_behind_a_step_that_was_killed_whole() {
        let now: Timestamp = "2026-11-24T06:10:00Z".parse().unwrap();
        let why = |pod: serde_json::Value| will_not_end(&serde_json::from_value(pod).unwrap(), now);
        let pod = |pod: serde_json::Value| why(pod).is_some();
        let steps = |code: i32, finished: &str, next: serde_json::Value| {
            let status = |name: &str, state: serde_json::Value| json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state});
            let ended = json!({"terminated": {"exitCode": code, "finishedAt": finished, "reason": "OOMKilled"}});
            json!({"metadata": {"name": "gate-pod"}, "status": {"containerStatuses": [status("step-a", ended), status("step-b", next)]}})
        };
        let running = json!({"running": {}});
        assert!(pod(json!({"metadata": {"deletionTimestamp": "2026-11-24T06:08:00Z"}})));
        assert!(!pod(json!({"metadata": {"deletionTimestamp": "2026-11-24T06:09:30Z"}})));
        assert!(pod(steps(137, "2026-11-24T06:08:00Z", running.clone())));
        assert!(!pod(steps(137, "2026-11-24T06:09:30Z", running.clone())), "it may be on its way");
        assert!(!pod(steps(0, "2026-11-24T06:08:00Z", running)), "the next step is at work");
        let ended = json!({"terminated": {"exitCode": 1, "finishedAt": "2026-11-24T06:08:01Z"}});
        assert!(!pod(steps(137, "2026-11-24T06:08:00Z", ended)));
        assert_eq!(
            why(steps(137, "2026-11-24T06:08:00Z", json!({"running": {}}))).unwrap(),
            "container `step-a` of pod `gate-pod` was killed whole (OOMKilled, exit code 137), so that the step behind it never begins"
        );
    }
}
