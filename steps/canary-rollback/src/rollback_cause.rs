//! Why a canary is taken back, by the run that was to end it.

use std::fmt::Display;

use inference_service::{
    CANNOT_GO_ON, LostPod, Mark, Observed, PIPELINE_RUN, Run, Service, TASK_RUN, pipeline_run,
    runs, same_image,
};
use kube::Client;
use step::text::{from_trigger, short};

/// A name, or an address of one
const LONGEST_NAME: usize = 64;

/// A reason of the event's schema, the task that it comes from, and a sentence for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RollbackCause {
    pub(crate) reason: &'static str,
    pub(crate) stage: String,
    pub(crate) message: String,
}

impl RollbackCause {
    pub(crate) fn new(reason: &'static str, stage: &str, message: impl Display) -> Self {
        Self { reason, stage: stage.into(), message: message.to_string() }
    }

    /// Somebody asked for it, at a terminal or by an event.
    pub(crate) fn by_hand(by: Option<&str>, reason: Option<&str>) -> Self {
        let by = short(&from_trigger(by.unwrap_or("somebody")), LONGEST_NAME);
        let why = reason.map_or_else(String::new, |reason| format!(": {}", from_trigger(reason)));
        Self::new("manual", "canary-rollback", format!("{by} asked for it{why}"))
    }

    /// By a PipelineRun and its `TaskRuns`; `ours` is the TaskRun that this process is in. A canary is
    /// taken back also when nothing can be read.
    pub(crate) async fn of_run(client: &Client, namespace: &str, name: &str, ours: &str) -> Self {
        Self::found(client, namespace, name, ours).await.unwrap_or_else(|| not_ended(name))
    }

    /// None where the run shows nothing.
    async fn found(client: &Client, namespace: &str, name: &str, ours: &str) -> Option<Self> {
        read(client, namespace, name, ours).await.unwrap_or_else(|error| {
            tracing::warn!(
                "failed to read why run `{namespace}/{name}` has not ended its canary: {error}"
            );
            None
        })
    }

    /// By the last run that has the canary among its params, or else by the one that made it; where that shows
    /// nothing, by the pod that one of them waits for in vain.
    pub(crate) async fn of_canary(
        service: &Service,
        observed: &Observed,
        image: &str,
        lost: Option<&(Run, LostPod)>,
    ) -> Self {
        let (client, namespace) = (service.client(), service.namespace.as_str());
        let has_it = |run: &Run| same_image(run.param("canary-image"), image);
        let with_it = runs(client, namespace, PIPELINE_RUN, "", has_it).await;
        let with_it = with_it.unwrap_or_else(|error| {
            tracing::warn!("{}: failed to list its runs: {error}", observed.full_name());
            Vec::new()
        });
        let newest = with_it.into_iter().max_by_key(Run::created);
        let made = observed.mark.release.run.as_str();
        let by_hand = newest.as_ref().and_then(|newest| half_done_by_hand(newest, &observed.mark));
        let of_run = async |run: &str| {
            let of_pod = || lost.map(|(run, pod)| cannot_go_on(run, pod));
            let found = Self::found(client, namespace, run, "").await;
            found.or_else(of_pod).unwrap_or_else(|| not_ended(run))
        };
        if let Some(by_hand) = by_hand {
            by_hand
        } else if let Some(newest) = &newest {
            of_run(newest.name()).await
        } else if made.is_empty() {
            Self::new("error", "canary-sweep", "no run will end this canary")
        } else if has_succeeded(client, namespace, made).await {
            // It has ended well, so another run had it; where that is not there any more, it was deleted.
            Self::new("cancelled", "canary-promotion", "the run that was to end it is gone")
        } else {
            of_run(made).await
        }
    }
}

/// It waits in vain for a pod.
pub(crate) fn cannot_go_on(run: &Run, LostPod { task, why }: &LostPod) -> RollbackCause {
    let stage = if task.is_empty() { "canary-rollback" } else { task };
    RollbackCause::new("error", stage, format!("run `{}` cannot go on: {why}", run.name()))
}

/// A run that gave the canary all requests, or the next percent, has ended well: what is half taken back since
/// then, somebody wanted back.
fn half_done_by_hand(last: &Run, mark: &Mark) -> Option<RollbackCause> {
    let message = "somebody asked for it, and the run that was to take it back is gone";
    (last.has_succeeded() && mark.is_rejected())
        .then(|| RollbackCause::new("manual", "canary-rollback", message))
}

async fn has_succeeded(client: &Client, namespace: &str, run: &str) -> bool {
    let found = pipeline_run(client, namespace, run).await;
    found.ok().flatten().is_some_and(|run| run.has_succeeded())
}

async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
    ours: &str,
) -> Result<Option<RollbackCause>, kube::Error> {
    let Some(run) = pipeline_run(client, namespace, name).await? else {
        let message = format!("run `{name}` was deleted");
        return Ok(Some(RollbackCause::new("cancelled", "canary-rollback", message)));
    };
    let of_run = format!("tekton.dev/pipelineRun={name}");
    let tasks = runs(client, namespace, TASK_RUN, &of_run, |task| task.uid() != ours).await?;
    Ok(of_tasks(&run, tasks))
}

/// The first thing that went wrong; none where nothing of it is to be seen
fn of_tasks(run: &Run, mut tasks: Vec<Run>) -> Option<RollbackCause> {
    tasks.sort_by_key(Run::started);
    let stage = |task: &Run| task.label("tekton.dev/pipelineTask").to_owned();
    let last = || tasks.last().map_or_else(|| "canary-rollback".into(), stage);
    let name = &run.name();
    match run.annotation(CANNOT_GO_ON) {
        "" => {}
        why => return Some(RollbackCause::new("error", &last(), why)),
    }
    if run.is_cancelled() {
        let message = format!("run `{name}` was cancelled");
        return Some(RollbackCause::new("cancelled", &last(), message));
    }
    for task in &tasks {
        let reason = match (task.result("verdict"), first_word(task.result("reason"))) {
            // A person's word, or none within the time that there was for it
            ("fail" | "inconclusive", "override" | "not-approved") => "manual",
            ("fail", _) => "gate-failed",
            ("inconclusive", _) => "gate-inconclusive",
            _ => continue,
        };
        return Some(RollbackCause::new(reason, &stage(task), task.result("reason")));
    }
    if let Some((task, failure)) = tasks.iter().find_map(|task| Some((task, task.failure()?))) {
        let reason = match (failure.reason.as_str(), task.result("outcome")) {
            ("TaskRunTimeout", _) => "timeout",
            (_, "changed") => "changed",
            _ => "error",
        };
        let message = match (task.result("error"), task.result("outcome")) {
            ("", "advanced") => format!("{}: {}", not_taken_over(run, task), failure.message),
            ("", _) => failure.message.clone(),
            (error, _) => error.to_owned(),
        };
        return Some(RollbackCause::new(reason, &stage(task), message));
    }
    if let Some(task) = tasks.iter().find(|task| task.result("outcome") == "advanced") {
        // Its Task has seen the next run, where it was told the run's name: then somebody deleted it.
        let (reason, why) = match task.param("promotion") {
            "" => ("error", not_taken_over(run, task)),
            _ => ("cancelled", format!("{}, or it was deleted", not_taken_over(run, task))),
        };
        return Some(RollbackCause::new(reason, &stage(task), why));
    }
    match &run.succeeded() {
        Some(condition) if condition.reason == "PipelineRunTimeout" => {
            let message = format!("run `{name}` took longer than its timeout");
            Some(RollbackCause::new("timeout", &last(), message))
        }
        Some(condition) if condition.status == "False" => {
            Some(RollbackCause::new("error", "canary-rollback", &condition.message))
        }
        _ => None,
    }
}

/// It climbed a rung, and handed the canary to nobody.
fn not_taken_over(run: &Run, task: &Run) -> String {
    let (run, percent) = (run.name(), task.result("percent"));
    format!("run `{run}` gave it {percent} %, and no run came to judge it there")
}

/// `override` of `override: ada: wrong model`
fn first_word(reason: &str) -> &str {
    reason.split([':', ' ']).next().unwrap_or_default()
}

fn not_ended(run: &str) -> RollbackCause {
    RollbackCause::new("error", "canary-rollback", format!("run `{run}` did not end its canary"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pipeline_run(requested: &str, condition: &str) -> Run {
        serde_json::from_value(json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "promotion-1"},
            "spec": {"status": requested},
            "status": {"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": condition, "message": ""}]},
        }))
        .unwrap()
    }

    fn task(name: &str, status: &str, reason: &str, results: &[(&str, &str)]) -> Run {
        let results: Vec<_> =
            results.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        serde_json::from_value(json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": name, "labels": {"tekton.dev/pipelineTask": name}}, "spec": {},
            "status": {"results": results, "startTime": "2026-11-24T06:07:00Z",
                       "conditions": [{"type": "Succeeded", "status": status, "reason": reason, "message": "exited with code 1"}]},
        }))
        .unwrap()
    }

    #[test]
    fn the_first_thing_that_went_wrong_is_the_cause() {
        let fail = [("verdict", "fail"), ("reason", "errors: too many")];
        let unsure = [("verdict", "inconclusive"), ("reason", "no data")];
        let pass = [("verdict", "pass"), ("reason", "all hold")];
        let aborted = [("verdict", "fail"), ("reason", "override: ada aborts it: wrong model")];
        let nobody = [("verdict", "inconclusive"), ("reason", "not-approved: within 24h")];
        let changed = [("outcome", "changed"), ("error", "the latest revision is another")];
        let gate = |results: &[(&str, &str)]| task("prometheus-gate", "False", "Failed", results);
        let cases = [
            (vec![gate(&fail)], ("gate-failed", "prometheus-gate", "errors: too many")),
            (vec![gate(&unsure)], ("gate-inconclusive", "prometheus-gate", "no data")),
            (
                vec![gate(&aborted)],
                ("manual", "prometheus-gate", "override: ada aborts it: wrong model"),
            ),
            (vec![gate(&nobody)], ("manual", "prometheus-gate", "not-approved: within 24h")),
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
        ];
        for (tasks, (reason, stage, message)) in cases {
            let found = of_tasks(&pipeline_run("", "Running"), tasks);
            assert_eq!(found, Some(RollbackCause::new(reason, stage, message)));
        }
        assert_eq!(of_tasks(&pipeline_run("", "Running"), vec![]), None);
    }

    #[test]
    fn an_advance_that_nobody_took_over_is_the_cause_and_says_at_which_percent() {
        let gate = [("verdict", "pass"), ("reason", "all hold")];
        let gate = || task("prometheus-gate", "True", "Succeeded", &gate);
        let advanced = [("outcome", "advanced"), ("percent", "25"), ("error", "")];
        let nobody = "run `promotion-1` gave it 25 %, and no run came to judge it there";
        let told = |promotion: &str| {
            let mut run = json!({
                "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
                "metadata": {"name": "canary-promote", "labels": {"tekton.dev/pipelineTask": "canary-promote"}},
                "spec": {"params": [{"name": "promotion", "value": promotion}]},
                "status": {"conditions": [{"type": "Succeeded", "status": "True"}]},
            });
            let results = advanced.map(|(name, value)| json!({"name": name, "value": value}));
            run["status"]["results"] = json!(results);
            serde_json::from_value(run).unwrap()
        };
        let cases = [
            (
                task("canary-promote", "False", "Failed", &advanced),
                ("error", format!("{nobody}: exited with code 1")),
            ),
            (told(""), ("error", nobody.to_owned())),
            (told("promotion"), ("cancelled", format!("{nobody}, or it was deleted"))),
        ];
        for (promote, (reason, message)) in cases {
            let found = of_tasks(&pipeline_run("", "Completed"), vec![gate(), promote]);
            assert_eq!(found, Some(RollbackCause::new(reason, "canary-promote", message)));
        }
    }

    #[test]
    fn what_is_half_taken_back_after_its_run_ended_well_somebody_wanted_back() {
        let ended = |status: &str| -> Run {
            let conditions = json!([{"type": "Succeeded", "status": status}]);
            serde_json::from_value(json!({
                "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
                "metadata": {"name": "promotion-1"}, "spec": {}, "status": {"conditions": conditions},
            }))
            .unwrap()
        };
        let begun = Mark::default().begin("c", "b", "b");
        let rejected = begun.reject("c", "r");
        let found = half_done_by_hand(&ended("True"), &rejected).unwrap();
        assert_eq!(found.reason, "manual");
        assert_eq!(half_done_by_hand(&ended("True"), &begun), None, "nobody took it over");
        assert_eq!(half_done_by_hand(&ended("False"), &rejected), None, "its own `finally` died");
    }

    #[test]
    fn who_asked_for_it_and_why_is_the_message_of_what_was_done_by_hand() {
        let message = |by, reason| RollbackCause::by_hand(by, reason).message;
        assert_eq!(message(None, None), "somebody asked for it");
        assert_eq!(message(Some("ada"), Some("$$(HOME)")), "ada asked for it: $(HOME)");
        assert_eq!(message(Some("a\nb"), None), "a | b asked for it");
    }

    #[test]
    fn a_run_that_somebody_cancelled_is_cancelled_whatever_its_tasks_say() {
        for requested in ["Cancelled", "CancelledRunFinally", "StoppedRunFinally"] {
            let cancelled = task("prometheus-gate", "False", "TaskRunCancelled", &[]);
            let found = of_tasks(&pipeline_run(requested, "Running"), vec![cancelled]);
            let message = "run `promotion-1` was cancelled";
            assert_eq!(found, Some(RollbackCause::new("cancelled", "prometheus-gate", message)));
        }
    }
}
