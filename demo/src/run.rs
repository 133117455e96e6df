//! One PipelineRun, watched from outside.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{site::Site, wait::within};

/// A PipelineRun of a site.
#[derive(Clone)]
pub struct Run {
    site: Site,
    pub name: String,
}

/// A TaskRun's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRun {
    /// Name of the task in its Pipeline
    pub task: String,
    pub pod: String,
    /// `Succeeded`, `Failed`, `TaskRunTimeout` … or `Running`
    pub reason: String,
    pub has_ended: bool,
    pub succeeded: bool,
    pub message: String,
    /// From its start to its end, in whole seconds; none while it runs
    pub took: Option<Duration>,
    pub results: BTreeMap<String, String>,
}

impl Site {
    /// Names of the namespace's `PipelineRuns`, of one Pipeline.
    pub async fn runs(&self, pipeline: &str) -> Result<Vec<String>> {
        let wanted = ListParams::default().labels(&format!("tekton.dev/pipeline={pipeline}"));
        let found = self.objects("PipelineRun").list(&wanted).await?;
        Ok(found.iter().map(ResourceExt::name_any).collect())
    }

    /// Cancels a run the plain way, which runs no `finally`.
    pub async fn cancel(&self, run: &str) -> Result<()> {
        let cancelled = Patch::Merge(json!({ "spec": { "status": "Cancelled" } }));
        let runs = self.objects("PipelineRun");
        let patched = runs.patch(run, &PatchParams::default(), &cancelled).await;
        patched.map(|_| ()).with_context(|| format!("failed to cancel `{run}`"))
    }

    /// Deletes a run with its `TaskRuns` and pods, whatever it is doing.
    pub async fn delete_run(&self, run: &str) -> Result<()> {
        let deleted = self.objects("PipelineRun").delete(run, &DeleteParams::default()).await;
        deleted.map(|_| ()).with_context(|| format!("failed to delete run `{run}`"))
    }

    /// The one run of a Pipeline that an event started, as soon as it exists.
    pub async fn run_of(&self, pipeline: &str, known: &[String]) -> Result<Run> {
        let name = within(Duration::from_mins(1), &format!("a run of `{pipeline}`"), async || {
            Ok(self.runs(pipeline).await?.into_iter().find(|name| !known.contains(name)))
        })
        .await?;
        Ok(self.run(&name))
    }

    /// The run of this name, whether or not it is there.
    pub fn run(&self, name: &str) -> Run {
        Run { site: self.clone(), name: name.into() }
    }

    /// Waits for the end of a TaskRun that no Pipeline started.
    pub async fn task_run(&self, name: &str, limit: Duration) -> Result<TaskRun> {
        let what = format!("the end of `{name}`");
        let ended = self.until(limit, &what, ("TaskRun", name), |run| {
            run.is_none_or(|run| TaskRun::read(run).has_ended)
        });
        ended.await?.as_ref().map(TaskRun::read).with_context(|| format!("failed to find `{name}`"))
    }

    /// Ends all runs and deletes them with all that they made.
    pub async fn delete_runs(&self) -> Result<()> {
        for kind in ["PipelineRun", "TaskRun"] {
            let all = self.objects(kind);
            all.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        }
        Ok(())
    }
}

impl Run {
    /// The run's end: `Some(reason)` such as `Succeeded`, `Completed`, `Failed`, `Cancelled`.
    pub async fn ended(&self) -> Result<Option<String>> {
        Ok(reason(&self.site.objects("PipelineRun").get(&self.name).await?))
    }

    /// The params that the run was started with; arrays are left out.
    pub async fn params(&self) -> Result<BTreeMap<String, String>> {
        let run = self.site.objects("PipelineRun").get(&self.name).await?;
        let params = run.data["spec"]["params"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        Ok(params
            .iter()
            .filter_map(|param| Some((text(&param["name"])?, text(&param["value"])?)))
            .collect())
    }

    /// Waits for the run's end.
    pub async fn wait(&self, limit: Duration) -> Result<String> {
        let (what, run) = (format!("the end of `{}`", self.name), ("PipelineRun", &self.name[..]));
        let ended =
            self.site.until(limit, &what, run, |run| run.is_none_or(|run| reason(run).is_some()));
        match ended.await {
            Ok(run) => run
                .as_ref()
                .and_then(reason)
                .with_context(|| format!("failed to see {what}: it is gone")),
            Err(error) => Err(error.context(self.describe().await.unwrap_or_default())),
        }
    }

    /// The run's `TaskRuns`, in the order in which they started.
    pub async fn tasks(&self) -> Result<Vec<TaskRun>> {
        let ours = ListParams::default().labels(&format!("tekton.dev/pipelineRun={}", self.name));
        let mut found = self.site.objects("TaskRun").list(&ours).await?.items;
        found.sort_by_key(ResourceExt::creation_timestamp);
        Ok(found.iter().map(TaskRun::read).collect())
    }

    /// The TaskRun of one task, if it has started.
    pub async fn task(&self, name: &str) -> Result<Option<TaskRun>> {
        Ok(self.tasks().await?.into_iter().find(|run| run.task == name))
    }

    /// What the steps of a TaskRun logged; the last lines of each.
    pub async fn log(&self, task: &TaskRun, lines: i64) -> Result<String> {
        if task.pod.is_empty() {
            return Ok(String::new()); // Tekton makes the TaskRun first, and then its pod
        }
        let pods: Api<Pod> = Api::namespaced(self.site.client.clone(), &self.site.namespace);
        let Some(pod) = pods.get_opt(&task.pod).await? else { return Ok(String::new()) };
        let containers = pod.spec.map(|spec| spec.containers).unwrap_or_default();
        let mut log = String::new();
        for container in containers.iter().filter(|container| container.name.starts_with("step-")) {
            let wanted = LogParams {
                container: Some(container.name.clone()),
                tail_lines: Some(lines),
                ..LogParams::default()
            };
            // A container that has not started has no log yet.
            log += &pods.logs(&task.pod, &wanted).await.unwrap_or_default();
        }
        Ok(log)
    }

    /// Everything that shows why a run went as it did, for the message of a failed test.
    pub async fn describe(&self) -> Result<String> {
        let mut text = format!("run `{}`:\n", self.name);
        for task in self.tasks().await? {
            let log = self.log(&task, 20).await.context("failed to read a log")?;
            write!(
                text,
                "--- {} {} {:?}\n{}\n{log}",
                task.task, task.reason, task.results, task.message
            )?;
        }
        Ok(text)
    }
}

/// Why the run ended, if it has.
fn reason(run: &DynamicObject) -> Option<String> {
    let condition = &run.data["status"]["conditions"][0];
    let has_ended = condition["status"].as_str().is_some_and(|status| status != "Unknown");
    has_ended.then(|| condition["reason"].as_str().unwrap_or_default().to_owned())
}

/// What a status says of its start and its end.
fn took(status: &Value) -> Option<Duration> {
    let time = |name: &str| serde_json::from_value::<Time>(status[name].clone()).ok();
    let (start, end) = (time("startTime")?, time("completionTime")?);
    end.0.duration_since(start.0).try_into().ok()
}

impl TaskRun {
    pub(crate) fn read(run: &DynamicObject) -> Self {
        let status = &run.data["status"];
        let condition = &status["conditions"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let results = status["results"].as_array().cloned().unwrap_or_default();
        Self {
            task: run.labels().get("tekton.dev/pipelineTask").cloned().unwrap_or_default(),
            pod: text(&status["podName"]),
            reason: text(&condition["reason"]),
            has_ended: condition["status"].as_str().is_some_and(|status| status != "Unknown"),
            succeeded: condition["status"] == "True",
            message: text(&condition["message"]),
            took: took(status),
            results: results
                .iter()
                .map(|result| (text(&result["name"]), text(&result["value"])))
                .collect(),
        }
    }
}
