//! One PipelineRun, watched from outside.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, LogParams},
};
use serde_json::Value;

use crate::{Site, site::within};

/// A PipelineRun of a site.
#[derive(Clone)]
pub struct Run {
    site: Site,
    pub name: String,
}

/// What a run's TaskRun says of itself.
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
    pub results: BTreeMap<String, String>,
}

impl Run {
    pub(crate) fn new(site: &Site, name: String) -> Self {
        Self { site: site.clone(), name }
    }

    /// The run's end: `Some(reason)` such as `Succeeded`, `Completed`, `Failed`, `Cancelled`.
    pub async fn ended(&self) -> Result<Option<String>> {
        let run = self.site.objects("PipelineRun").get(&self.name).await?;
        let condition = &run.data["status"]["conditions"][0];
        let ended = condition["status"].as_str().is_some_and(|status| status != "Unknown");
        Ok(ended.then(|| condition["reason"].as_str().unwrap_or_default().to_owned()))
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
        let ended =
            within(limit, &format!("the end of `{}`", self.name), async || self.ended().await)
                .await;
        match ended {
            Ok(reason) => Ok(reason),
            Err(error) => Err(error.context(self.story().await.unwrap_or_default())),
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

    /// Everything that tells why a run went as it did, for the message of a failed test.
    pub async fn story(&self) -> Result<String> {
        let mut story = format!("run `{}`:\n", self.name);
        for task in self.tasks().await? {
            let log = self.log(&task, 20).await.context("failed to read a log")?;
            write!(
                story,
                "--- {} {} {:?}\n{}\n{log}",
                task.task, task.reason, task.results, task.message
            )?;
        }
        Ok(story)
    }
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
            results: results
                .iter()
                .map(|result| (text(&result["name"]), text(&result["value"])))
                .collect(),
        }
    }
}
