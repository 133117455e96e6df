//! Tekton runs that have not ended, as far as they say what will become of a canary.

use k8s_openapi::{
    api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time, jiff::SignedDuration,
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::ListParams,
    core::{ApiResource, GroupVersionKind, Object},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Condition, Seen, objects, same_image};

/// Keeps a list of many long-lived runs from taking much memory.
const PAGE: u32 = 50;

/// A node that answers ends a pod within its grace period, which is 30 s for a step's.
const ENDS_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// A PipelineRun, or a TaskRun that no PipelineRun made, that has not ended and is meant to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub name: String,
    pub uid: String,
    /// Empty for a TaskRun
    pub pipeline: String,
    /// When it was created
    pub created: Option<Timestamp>,
    /// Its params of these names, empty where it has none
    pub service: String,
    pub canary_image: String,
    pub canary_revision: String,
}

type TektonRun = Object<RunSpec, RunStatus>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct RunSpec {
    params: Vec<Param>,
    /// `Cancelled`, `PipelineRunPending` … when somebody asks for it
    status: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Param {
    name: String,
    value: Value,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct RunStatus {
    conditions: Vec<Condition>,
}

impl Run {
    fn read(run: &TektonRun) -> Option<Self> {
        let conditions = run.status.as_ref().map_or(&[][..], |status| &status.conditions);
        let has_ended = objects::condition(conditions, "Succeeded")
            .is_some_and(|condition| condition.status != "Unknown");
        // One that was cancelled runs nothing more, not even `finally`; one that is pending does
        // nothing until somebody starts it. A graceful cancel, CancelledRunFinally, runs `finally`.
        let is_given_up = matches!(
            run.spec.status.as_str(),
            "Cancelled" | "TaskRunCancelled" | "PipelineRunPending"
        );
        if has_ended || is_given_up || run.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let param = |name: &str| {
            let param = run.spec.params.iter().find(|param| param.name == name);
            param.and_then(|param| param.value.as_str()).unwrap_or_default().to_owned()
        };
        Some(Self {
            name: run.name_any(),
            uid: run.uid().unwrap_or_default(),
            pipeline: run.labels().get("tekton.dev/pipeline").cloned().unwrap_or_default(),
            created: run.creation_timestamp().map(|Time(time)| time),
            service: param("service"),
            canary_image: param("canary-image"),
            canary_revision: param("canary-revision"),
        })
    }

    /// Whether this run ends the canary that has not ended: the one that made it, until it has handed
    /// it over or taken it back, or one that was told of it.
    fn ends_canary(&self, seen: &Seen) -> bool {
        let image = seen.unfinished_canary().or(seen.image()).unwrap_or_default();
        let is_told = same_image(&self.canary_image, image)
            || !self.canary_revision.is_empty() && seen.runs(&self.canary_revision, image);
        self.service == seen.name
            && (is_told || !self.uid.is_empty() && self.uid == seen.mark.release.run_uid)
    }
}

impl Seen {
    /// The image of a canary that the mark tells of and that has not ended: it is in the spec at less
    /// than 100 %, or the old image is back and its rollback was not finished.
    #[must_use]
    pub fn unfinished_canary(&self) -> Option<&str> {
        let image = self.image().filter(|_| self.percent().is_some_and(|percent| percent < 100))?;
        let mark = &self.mark;
        let is_canary = mark.is_of(image) || same_image(&mark.replaced, image);
        let is_half_restored = mark.is_rejected()
            && same_image(&mark.baseline_image, image)
            && self.percent() == Some(0);
        if is_canary { Some(image) } else { is_half_restored.then_some(mark.image.as_str()) }
    }

    /// The unfinished run, other than `ours`, that will give the unfinished canary all requests or none
    #[must_use]
    pub fn ending_run(&self, ours: &str) -> Option<&Run> {
        self.unfinished.iter().find(|run| run.uid != ours && run.ends_canary(self))
    }

    /// Unfinished runs of the same Pipeline for the same service that are older than `ours`, oldest first
    #[must_use]
    pub fn runs_before(&self, ours: &str) -> Vec<&Run> {
        let Some(own) = self.unfinished.iter().find(|run| run.uid == ours) else {
            return Vec::new();
        };
        let order = |run: &Run| (run.created, run.name.clone());
        let is_before = |run: &&Run| {
            run.service == own.service
                && !run.pipeline.is_empty()
                && run.pipeline == own.pipeline
                && order(run) < order(own)
        };
        let mut before: Vec<&Run> = self.unfinished.iter().filter(is_before).collect();
        before.sort_by_key(|run| order(run));
        before
    }
}

/// Every run of the namespace that has not ended. `TaskRuns` of a PipelineRun are left out.
pub(crate) async fn unfinished(client: &Client, namespace: &str) -> Result<Vec<Run>, kube::Error> {
    let mut found = Vec::new();
    for (kind, labels) in [("PipelineRun", ""), ("TaskRun", "!tekton.dev/pipelineRun")] {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", kind));
        let runs: Api<TektonRun> = Api::namespaced_with(client.clone(), namespace, &resource);
        let mut page = ListParams::default().labels(labels).limit(PAGE);
        loop {
            let listed = runs.list(&page).await?;
            found.extend(listed.items.iter().filter_map(Run::read));
            match listed.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(found)
}

/// Whether a run waits for a pod that will not end: the pod was to end long ago, and the node that
/// should have ended it does not answer; or a step's container was killed whole, with Tekton's
/// `entrypoint` in it, so that nobody lets the next step begin.
pub(crate) async fn is_lost(
    client: &Client,
    namespace: &str,
    run: &Run,
) -> Result<bool, kube::Error> {
    let label = if run.pipeline.is_empty() { "taskRun" } else { "pipelineRun" };
    let of_run = ListParams::default().labels(&format!("tekton.dev/{label}={}", run.name));
    let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&of_run).await?;
    Ok(pods.items.iter().any(|pod| will_not_end(pod, Timestamp::now())))
}

fn will_not_end(pod: &Pod, now: Timestamp) -> bool {
    let long_ago = |Time(then): &Time| now.duration_since(*then) > ENDS_WITHIN;
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let states = || {
        let steps =
            statuses.into_iter().flatten().filter(|status| status.name.starts_with("step-"));
        steps.filter_map(|status| status.state.as_ref())
    };
    let is_killed = states()
        .filter_map(|state| state.terminated.as_ref())
        .any(|ended| ended.exit_code != 0 && ended.finished_at.as_ref().is_some_and(long_ago));
    let is_waited_for = states().any(|state| state.running.is_some());
    pod.metadata.deletion_timestamp.as_ref().is_some_and(long_ago) || is_killed && is_waited_for
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(name: &str, spec_status: &str, succeeded: Option<&str>) -> Option<Run> {
        let conditions: Vec<_> =
            succeeded.iter().map(|status| json!({"type": "Succeeded", "status": status})).collect();
        let run = json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-11-24T06:07:00Z",
                         "labels": {"tekton.dev/pipeline": "canary-release"}},
            "spec": {"params": [{"name": "service", "value": "iris"}, {"name": "list", "value": ["a"]}], "status": spec_status},
            "status": {"conditions": conditions},
        });
        Run::read(&serde_json::from_value(run).unwrap())
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
            assert_eq!(found.is_some(), goes_on, "{spec_status} {succeeded:?}");
        }
    }

    #[test]
    fn a_pod_will_not_end_on_a_lost_node_or_behind_a_step_that_was_killed_whole() {
        let now: Timestamp = "2026-11-24T06:10:00Z".parse().unwrap();
        let pod = |pod: serde_json::Value| will_not_end(&serde_json::from_value(pod).unwrap(), now);
        let steps = |code: i32, finished: &str, next: serde_json::Value| {
            let status = |name: &str, state: serde_json::Value| json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state});
            let ended = json!({"terminated": {"exitCode": code, "finishedAt": finished}});
            json!({"metadata": {}, "status": {"containerStatuses": [status("step-a", ended), status("step-b", next)]}})
        };
        let running = json!({"running": {}});
        assert!(pod(json!({"metadata": {"deletionTimestamp": "2026-11-24T06:08:00Z"}})));
        assert!(!pod(json!({"metadata": {"deletionTimestamp": "2026-11-24T06:09:30Z"}})));
        assert!(pod(steps(137, "2026-11-24T06:08:00Z", running.clone())));
        assert!(!pod(steps(137, "2026-11-24T06:09:30Z", running.clone())), "it may be on its way");
        assert!(!pod(steps(0, "2026-11-24T06:08:00Z", running)), "the next step is at work");
        let ended = json!({"terminated": {"exitCode": 1, "finishedAt": "2026-11-24T06:08:01Z"}});
        assert!(!pod(steps(137, "2026-11-24T06:08:00Z", ended)));
    }

    #[test]
    fn of_two_runs_of_one_second_the_one_with_the_lesser_name_comes_first() {
        let unfinished: Vec<Run> =
            ["b", "a", "c"].iter().filter_map(|name| run(name, "", None)).collect();
        let seen = Seen { unfinished, name: "iris".into(), ..Seen::default() };
        let names =
            |ours| seen.runs_before(ours).iter().map(|run| run.name.clone()).collect::<Vec<_>>();
        assert_eq!(names("c"), ["a", "b"]);
        assert_eq!(names("a"), [""; 0]);
        assert_eq!(names("of nobody"), [""; 0]);
    }
}
