//! Runs that ended without a word: Tekton runs no `finally` when a run is cancelled plainly, when its
//! time is over, or when the API server was away as the controller asked for a Task.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use inference_service::{Seen, Service, same_image};
use kube::{Client, ResourceExt, api::ListParams};
use step::OwnRun;

use crate::{
    plan::Ended,
    rollback_cause::{self, Cause, TektonRun, Values as _, api, succeeded},
};

/// A few sweeps long. An event that is told more than once has the same id each time.
const LOOK_BACK: Duration = Duration::from_mins(8);

/// The Pipelines of this catalog that end by an event
const PIPELINES: &str = "tekton.dev/pipeline in (canary-release,canary-promotion)";

/// What the run should have told.
pub(crate) struct Untold {
    pub(crate) service: Service,
    pub(crate) seen: Seen,
    /// Empty when it made no canary
    pub(crate) image: String,
    pub(crate) revision: String,
    pub(crate) version: String,
    pub(crate) run: OwnRun,
    pub(crate) correlation: Option<String>,
    pub(crate) causation: Option<String>,
    pub(crate) chainhops: Option<u16>,
    pub(crate) cause: Cause,
    pub(crate) ended: Ended,
}

/// The runs of a namespace that ended lately, told nobody, and left no canary that would still be told of.
pub(crate) async fn untold(client: &Client, namespace: &str) -> Result<Vec<Untold>, kube::Error> {
    let runs = api(client, namespace, "PipelineRun");
    let mut found = Vec::new();
    for run in runs.list(&ListParams::default().labels(PIPELINES)).await?.items {
        if ended_lately(&run) {
            found.extend(of_run(client, namespace, &run).await?);
        }
    }
    Ok(found)
}

fn ended_lately(run: &TektonRun) -> bool {
    let Some(ended) = run.status.as_ref().map(|status| &status.completion_time) else {
        return false;
    };
    let ended = humantime::parse_rfc3339(ended).ok();
    let ago = ended.and_then(|ended| SystemTime::now().duration_since(ended).ok());
    let is_failed = succeeded(run).is_some_and(|condition| condition.status == "False");
    is_failed && ago.is_some_and(|ago| ago < LOOK_BACK)
}

async fn of_run(
    client: &Client,
    namespace: &str,
    run: &TektonRun,
) -> Result<Option<Untold>, kube::Error> {
    let name = run.name_any();
    let of_run = ListParams::default().labels(&format!("tekton.dev/pipelineRun={name}"));
    let tasks = api(client, namespace, "TaskRun").list(&of_run).await?.items;
    if tasks.iter().any(has_told) {
        return Ok(None);
    }
    let service = Service::new(client.clone(), Some(namespace.to_owned()), run.param("service"));
    let Ok(seen) = service.seen().await else { return Ok(None) }; // the next sweep tries again
    let uid = run.uid().unwrap_or_default();
    let made = if seen.mark.release.run_uid == uid { seen.mark.image.as_str() } else { "" };
    let image = Some(run.param("canary-image")).filter(|image| !image.is_empty()).unwrap_or(made);
    // A first release makes no canary, and has no mark.
    let is_first = tasks.iter().any(|task| {
        matches!(task.result("outcome"), "first" | "unchanged")
            && !task.result("canary-revision").is_empty()
    });
    let image = if is_first { seen.image().unwrap_or_default() } else { image };
    let is_in_spec = seen.image().is_some_and(|spec| same_image(spec, image));
    let ended = if is_in_spec && seen.stable().is_some() {
        Ended::Promoted
    } else if is_in_spec || !image.is_empty() && seen.mark.has_rejected(image) {
        return Ok(None); // it is on its way down, or whoever took it back has told
    } else {
        Ended::Nothing("it left no canary".into())
    };
    let label = |name: &str| run.labels().get(name).cloned();
    let annotation = |name: &str| run.annotations().get(name).cloned();
    let own = OwnRun {
        pipeline: label("tekton.dev/pipeline"),
        pipeline_run: Some(name.clone()),
        pipeline_run_uid: Some(uid),
        ..OwnRun::default()
    };
    Ok(Some(Untold {
        image: image.to_owned(),
        revision: if is_in_spec { seen.latest().to_owned() } else { String::new() },
        version: run.param("version").to_owned(),
        run: own,
        correlation: label("kanaria.dev/correlation-id"),
        causation: annotation("kanaria.dev/causation-id"),
        chainhops: annotation("kanaria.dev/chainhops").and_then(|hops| hops.parse().ok()),
        cause: rollback_cause::of_run(client, namespace, &name, "").await,
        ended,
        service,
        seen,
    }))
}

/// Whether a TaskRun of the run sent an event, or a rollback its own.
fn has_told(task: &TektonRun) -> bool {
    let Some(condition) = succeeded(task) else { return false };
    match task.labels().get("tekton.dev/task").map(String::as_str) {
        Some("cloudevent-send") => condition.status == "True",
        // It also tells when it fails.
        Some("canary-rollback") => {
            condition.status == "True" || task.result("status-code").starts_with('2')
        }
        _ => false,
    }
}
