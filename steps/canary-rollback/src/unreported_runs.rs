//! Runs that ended without an event: Tekton runs no `finally` when a run is cancelled plainly, when its
//! time is over, or when the API server was away as the controller asked for a Task.

use std::time::Duration;

use anyhow::Result;
use cloudevent::run_event::ChainArgs;
use inference_service::{PIPELINE_RUN, Run, Service, TASK_RUN, runs, same_image};
use kube::Client;
use step::OwnRun;

use crate::{
    args::EventArgs,
    desired::Desired,
    outcome_event::{OutcomeEvent, source_of},
    plan::RollbackOutcome,
    rollback_cause::RollbackCause,
};

/// A few sweeps long. An event that is sent more than once has the same id each time.
const LOOK_BACK: Duration = Duration::from_mins(8);

/// The Pipelines of this catalog that end by an event
pub(crate) const PIPELINES: &str = "tekton.dev/pipeline in (canary-release,canary-promotion)";

/// The event that a run should have sent.
pub(crate) struct UnreportedRun {
    pub(crate) event: OutcomeEvent,
    pub(crate) outcome: RollbackOutcome,
}

/// The runs of a namespace that ended lately, sent no event, and left no canary whose end would send one.
pub(crate) async fn unreported_runs(
    client: &Client,
    namespace: &str,
) -> Result<Vec<UnreportedRun>, kube::Error> {
    let ended_lately = |run: &Run| run.has_failed_within(LOOK_BACK);
    let mut found = Vec::new();
    for run in runs(client, namespace, PIPELINE_RUN, PIPELINES, ended_lately).await? {
        found.extend(unreported(client, namespace, &run).await?);
    }
    Ok(found)
}

async fn unreported(
    client: &Client,
    namespace: &str,
    run: &Run,
) -> Result<Option<UnreportedRun>, kube::Error> {
    let of_run = format!("tekton.dev/pipelineRun={}", run.name());
    let tasks = runs(client, namespace, TASK_RUN, &of_run, |_| true).await?;
    if tasks.iter().any(has_sent_an_event) {
        return Ok(None);
    }
    let service = Service::new(client.clone(), Some(namespace.to_owned()), run.param("service"));
    let Ok(observed) = service.observe().await else { return Ok(None) }; // the next sweep tries again
    let mark = &observed.mark;
    let made = if mark.release.run_uid == run.uid() { mark.image.as_str() } else { "" };
    // A first release makes no canary, and has no mark.
    let is_first = tasks.iter().any(|task| {
        matches!(task.result("outcome"), "first" | "unchanged")
            && !task.result("canary-revision").is_empty()
    });
    let image = match run.param("canary-image") {
        _ if is_first => observed.image().unwrap_or_default(),
        "" => made,
        given => given,
    };
    let is_in_spec = observed.image().is_some_and(|spec| same_image(spec, image));
    let outcome = if is_in_spec && observed.stable().is_some() {
        RollbackOutcome::Promoted
    } else if is_in_spec || !image.is_empty() && mark.has_rejected(image) {
        return Ok(None); // it is on its way down, or whoever took it back has sent an event
    } else {
        RollbackOutcome::Nothing("it left no canary".into())
    };
    let given = |text: &str| Some(text).filter(|text| !text.is_empty()).map(String::from);
    let desired = Desired {
        canary_image: given(image),
        canary_revision: given(observed.latest()).filter(|_| is_in_spec),
        ..Desired::default()
    };
    let context = EventArgs {
        event_folder: None,
        service_version: Some(run.param("version").to_owned()),
        chain: ChainArgs {
            correlation_id: given(run.label("kanaria.dev/correlation-id")),
            causation_id: given(run.annotation("kanaria.dev/causation-id")),
            chainhops: run.annotation("kanaria.dev/chainhops").parse().ok(),
        },
    };
    let own = OwnRun {
        pipeline: given(run.pipeline()),
        pipeline_run: given(run.name()),
        pipeline_run_uid: given(run.uid()),
        ..OwnRun::default()
    };
    let cause = RollbackCause::of_run(client, namespace, run.name(), "").await;
    let source = source_of(namespace, &own);
    let event = OutcomeEvent { desired, observed, cause, context, run: own, source };
    Ok(Some(UnreportedRun { event, outcome }))
}

/// Whether a TaskRun of the run sent an event, or a rollback its own, or handed the canary to the next run,
/// which then sends the event of its end.
fn has_sent_an_event(task: &Run) -> bool {
    match task.label("tekton.dev/task") {
        "cloudevent-send" => task.has_succeeded(),
        // It also sends one when it fails.
        "canary-rollback" => task.has_succeeded() || task.result("status-code").starts_with('2'),
        // Where no run came of it, the sweep takes the canary back, and tells that.
        "canary-promote" => {
            task.result("outcome") == "advanced"
                && (task.has_succeeded() || task.result("status-code").starts_with('2'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(name: &str, status: &str, results: &[(&str, &str)]) -> Run {
        let results: Vec<_> =
            results.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        serde_json::from_value(json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": name, "labels": {"tekton.dev/task": name}}, "spec": {},
            "status": {"results": results, "conditions": [{"type": "Succeeded", "status": status}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_run_has_told_of_its_end_when_its_event_was_taken_or_the_next_rung_was_handed_over() {
        let sent = ("status-code", "202");
        for (name, status, results, is_sent) in [
            ("cloudevent-send", "True", &[][..], true),
            ("cloudevent-send", "False", &[sent], false),
            ("canary-rollback", "False", &[sent], true),
            ("canary-promote", "True", &[("outcome", "promoted")], false),
            ("canary-promote", "True", &[("outcome", "advanced")], true),
            ("canary-promote", "False", &[("outcome", "advanced"), sent], true),
            ("canary-promote", "False", &[("outcome", "advanced"), ("status-code", "")], false),
        ] {
            let found = has_sent_an_event(&task(name, status, results));
            assert_eq!(found, is_sent, "{name} {status} {results:?}");
        }
    }
}
