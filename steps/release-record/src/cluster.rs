//! The runs of releases that the API server has.

use std::fmt::Debug;

use anyhow::{Result, anyhow};
use kube::{Api, Client, api::ListParams};
use release_record::{
    run::{RunRecord, State, TaskRecord},
    tekton::{OF_RELEASES, PipelineRun, TaskRun, pipeline_runs, task_runs},
};
use serde::de::DeserializeOwned;
use step::{Failure, api_server::cause};

/// Keeps a list of many runs from taking much memory.
const PAGE: u32 = 50;

/// The runs of releases that have ended and are to be kept, still without their tasks.
pub(crate) async fn ended_runs(
    client: &Client,
    namespace: &str,
    is_wanted: impl Fn(&RunRecord) -> bool,
) -> Result<Vec<RunRecord>> {
    let api = Api::<PipelineRun>::namespaced_with(client.clone(), namespace, &pipeline_runs());
    let ended = |run| RunRecord::of(&run).filter(|run| run.state != State::Running);
    let listed = list(&api, OF_RELEASES, |run| ended(run).filter(&is_wanted)).await;
    listed.map_err(|error| failed("PipelineRuns", namespace, &error))
}

/// The same run with its tasks.
pub(crate) async fn with_tasks(client: &Client, run: RunRecord) -> Result<RunRecord> {
    let api = Api::<TaskRun>::namespaced_with(client.clone(), &run.namespace, &task_runs());
    let ours = format!("tekton.dev/pipelineRun={}", run.name);
    let tasks = list(&api, &ours, |task| Some(TaskRecord::of(&task))).await;
    let tasks = tasks.map_err(|error| failed("TaskRuns", &run.namespace, &error))?;
    Ok(run.with_tasks(tasks))
}

async fn list<K: Clone + DeserializeOwned + Debug, T>(
    api: &Api<K>,
    labels: &str,
    keep: impl Fn(K) -> Option<T>,
) -> Result<Vec<T>, kube::Error> {
    let mut page = ListParams::default().labels(labels).limit(PAGE);
    let mut kept = Vec::new();
    loop {
        let listed = api.list(&page).await?;
        kept.extend(listed.items.into_iter().filter_map(&keep));
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(kept),
        }
    }
}

fn failed(what: &str, namespace: &str, error: &kube::Error) -> anyhow::Error {
    let hint = match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            "give the ServiceAccount the Role in triggers/records.yaml"
        }
        kube::Error::Api(status) if status.code == 404 => "install Tekton Pipelines",
        _ => "run it again when the API server answers; it goes on where it stopped",
    };
    anyhow!(cause(error)).context(Failure {
        what: format!("failed to list {what} of `{namespace}`"),
        hint: hint.into(),
    })
}
