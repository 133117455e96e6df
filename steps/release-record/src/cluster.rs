//! The runs of releases that the API server has.

use anyhow::{Result, anyhow};
use inference_service::list_all;
use kube::{Api, Client};
use release_record::{
    run::{RunRecord, State, TaskRecord},
    tekton::{OF_RELEASES, PipelineRun, TaskRun, pipeline_runs, task_runs},
};
use step::{Failure, api_server::cause};

/// The runs of releases that have ended and are to be kept, still without their tasks.
pub(crate) async fn ended_runs(
    client: &Client,
    namespace: &str,
    is_wanted: impl Fn(&RunRecord) -> bool,
) -> Result<Vec<RunRecord>> {
    let api = Api::<PipelineRun>::namespaced_with(client.clone(), namespace, &pipeline_runs());
    let ended = |run| RunRecord::of(&run).filter(|run| run.state != State::Running);
    let listed = list_all(&api, OF_RELEASES, |run| ended(run).filter(&is_wanted)).await;
    listed.map_err(|error| failed("PipelineRuns", namespace, &error))
}

/// The same run with its tasks.
pub(crate) async fn with_tasks(client: &Client, run: RunRecord) -> Result<RunRecord> {
    let api = Api::<TaskRun>::namespaced_with(client.clone(), &run.namespace, &task_runs());
    let ours = format!("tekton.dev/pipelineRun={}", run.name);
    let tasks = list_all(&api, &ours, |task| Some(TaskRecord::of(&task))).await;
    let tasks = tasks.map_err(|error| failed("TaskRuns", &run.namespace, &error))?;
    Ok(run.with_tasks(tasks))
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
