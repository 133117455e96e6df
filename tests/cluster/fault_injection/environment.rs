//! The site that everything happens in. Whoever asks its API asks again: it may be away just now, and
//! that is our own doing.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use demo::{Site, within};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

use super::plan::{Fault, Stage};
use crate::sink::Sink;

/// The API server is back within seconds; beyond this, it is not a fault of ours that it is away.
const AWAY: Duration = Duration::from_mins(3);

/// How often a wait looks again.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// How long a shared part's death is felt after it is back: caches are filled, series begin anew.
const AFTERMATH: Duration = Duration::from_mins(1);

/// A pod that has been asked to go is gone after its grace period.
const GOES: Duration = Duration::from_mins(1);

pub(crate) struct Environment {
    pub(crate) site: Site,
    pub(crate) sink: Sink,
    /// From when to when something that all share was away
    disturbances: Mutex<Vec<(Instant, Option<Instant>)>>,
    /// One part of the cluster is away at a time.
    pub(crate) one_at_a_time: tokio::sync::Mutex<()>,
}

/// A service and its runs at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// `canaryTrafficPercent` of the spec
    pub(crate) percent: Option<i64>,
    /// How often the spec was changed
    pub(crate) generation: i64,
    pub(crate) spec: Value,
    /// Percent per revision, as the route has it
    pub(crate) traffic: Vec<(String, i64)>,
    pub(crate) runs: Vec<PipelineRun>,
}

#[derive(Clone, Debug)]
pub(crate) struct PipelineRun {
    pub(crate) name: String,
    pub(crate) pipeline: String,
    pub(crate) version: String,
    pub(crate) has_ended: bool,
}

impl PipelineRun {
    /// `release` or `promotion`.
    pub(crate) fn stage(&self) -> &str {
        self.pipeline.trim_start_matches("canary-")
    }
}

impl Observed {
    /// The run of a version, of one stage.
    pub(crate) fn run(&self, stage: Stage, version: &str) -> Option<&PipelineRun> {
        let pipeline = format!("canary-{stage}");
        self.runs.iter().find(|run| run.pipeline == pipeline && run.version == version)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.runs.iter().all(|run| run.has_ended)
    }

    /// What is left of a canary, or in the way of the next one; empty when there is nothing.
    pub(crate) fn unsettled(&self) -> String {
        let mut why = Vec::new();
        if let Some(percent) = self.percent {
            why.push(format!("its spec says {percent} %"));
        }
        if !matches!(&self.traffic[..], [(_, 100)]) {
            why.push(format!("its route says {:?}", self.traffic));
        }
        let going: Vec<_> =
            self.runs.iter().filter(|run| !run.has_ended).map(|run| &run.name[..]).collect();
        if !going.is_empty() {
            why.push(format!("{} goes on", going.join(" and ")));
        }
        why.join(", ")
    }
}

impl Environment {
    pub(crate) fn new(site: Site, sink: Sink) -> Self {
        Self {
            site,
            sink,
            disturbances: Mutex::default(),
            one_at_a_time: tokio::sync::Mutex::default(),
        }
    }

    /// Those faults that this cluster can have.
    pub(crate) fn possible(&self, faults: &[Fault]) -> Vec<Fault> {
        let is_ours = self.site.cluster.is_embedded();
        let (possible, not): (Vec<_>, Vec<_>) =
            faults.iter().partition(|fault| is_ours || !fault.needs_the_machine());
        for fault in not {
            super::log(&format!(
                "skipped: {fault}: the cluster that KUBECONFIG names is somebody's"
            ));
        }
        possible
    }

    /// The service and its runs as they are now.
    pub(crate) async fn look(&self, service: &str) -> Result<Observed> {
        retry_until_answered("look at the service", async || {
            let found = self.site.service(service).await?.context("there is no service")?;
            let all = self.site.objects("PipelineRun").list(&ListParams::default()).await?;
            let runs = all.items.iter().filter_map(|run| {
                let condition = &run.data["status"]["conditions"][0]["status"];
                (param(&run.data, "service") == service).then(|| PipelineRun {
                    name: run.metadata.name.clone().unwrap_or_default(),
                    pipeline: text(&run.data["spec"]["pipelineRef"]["name"]),
                    version: param(&run.data, "version"),
                    has_ended: matches!(condition.as_str(), Some("True" | "False")),
                })
            });
            Ok(Observed {
                percent: found.data["spec"]["predictor"]["canaryTrafficPercent"].as_i64(),
                generation: found.metadata.generation.unwrap_or_default(),
                spec: found.data["spec"].clone(),
                traffic: self.site.traffic(service).await?,
                runs: runs.collect(),
            })
        })
        .await
    }

    /// Gives a service the spec that it had, as a person would who finds it with a canary that nobody ends.
    pub(crate) async fn put_back(&self, service: &str, spec: &Value) -> Result<()> {
        let services = self.site.objects("InferenceService");
        retry_until_answered("put the service back", async || {
            let mut found = services.get(service).await?;
            found.data["spec"] = spec.clone();
            let annotations = found.metadata.annotations.get_or_insert_default();
            annotations.retain(|name, _| !name.contains("canary") && !name.contains("kanaria"));
            services.replace(service, &PostParams::default(), &found).await?;
            Ok(())
        })
        .await?;
        let begun = Instant::now();
        while !self.look(service).await?.unsettled().is_empty() {
            ensure!(begun.elapsed() < AWAY, "failed to put service `{service}` back");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// What is wrong with a service that nobody releases any more.
    pub(crate) async fn wrong_in_the_end(&self, service: &str) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let seen = self.look(service).await?;
        if !seen.unsettled().is_empty() {
            wrong.push(seen.unsettled());
        }
        let host = self.site.host(service).await?;
        if self.who_serves(&host, 40).await?.is_none() {
            wrong.push("not all requests are answered by one version".into());
        }
        let begun = Instant::now();
        loop {
            let left = self.left_over(service, &seen).await?;
            if left.is_empty() {
                return Ok(wrong);
            }
            if begun.elapsed() > GOES {
                wrong.push(format!("rejected canaries go on: {}", left.join(", ")));
                return Ok(wrong);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Pods that are not ready, of revisions that no route names: a good version's go when the autoscaler says so.
    async fn left_over(&self, service: &str, seen: &Observed) -> Result<Vec<String>> {
        let of_service =
            ListParams::default().labels(&format!("serving.kserve.io/inferenceservice={service}"));
        let is_ready = |pod: &Pod| {
            let all = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            all.into_iter().any(|is| is.type_ == "Ready" && is.status == "True")
        };
        let serves = |pod: &Pod| {
            let of = pod.labels().get("serving.knative.dev/revision");
            seen.traffic.iter().any(|(revision, _)| of == Some(revision))
        };
        let found = self.pods_here().list(&of_service).await?;
        let left = found.iter().filter(|pod| !is_ready(pod) && !serves(pod));
        Ok(left.map(|pod| format!("pod `{}`", pod.name_any())).collect())
    }

    /// The namespace's pods.
    pub(crate) fn pods_here(&self) -> Api<Pod> {
        Api::namespaced(self.site.client.clone(), &self.site.namespace)
    }

    /// Who of them answers everybody: the version, if it is one, and what else was said.
    pub(crate) async fn who_serves(&self, host: &str, times: usize) -> Result<Option<String>> {
        let answers = self.site.ask_often(host, times).await?;
        let mut versions = answers.by_version.into_iter();
        Ok(versions.next().filter(|(_, count)| *count == times).map(|(version, _)| version))
    }

    /// Something that all share goes away. It is back when `back` is called with what this returns.
    pub(crate) fn away(&self) -> usize {
        let mut all = self.disturbances.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((Instant::now(), None));
        all.len() - 1
    }

    pub(crate) fn back(&self, disturbance: usize) {
        let mut all = self.disturbances.lock().unwrap_or_else(PoisonError::into_inner);
        all[disturbance].1 = Some(Instant::now() + AFTERMATH);
    }

    /// Whether anything was away since then.
    pub(crate) fn was_disturbed(&self, since: Instant) -> bool {
        let all = self.disturbances.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|(_, until)| until.is_none_or(|until| until > since))
    }
}

/// Asks again while the answer is an error.
pub(crate) async fn retry_until_answered<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(error) if begun.elapsed() > AWAY => {
                return Err(error.context(format!("failed to {what} for {} s", AWAY.as_secs())));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
            answered => return answered,
        }
    }
}

/// Waits until a first version answers.
pub(crate) async fn first_answer(site: &Site, service: &str, limit: Duration) -> Result<()> {
    within(limit, &format!("the first version of `{service}`"), async || {
        let answered = async { site.ask(&site.host(service).await?).await };
        let answered = answered.await.is_ok_and(|answer| answer.version().as_deref() == Some("v1"));
        Ok(answered.then_some(()))
    })
    .await
}

/// Has the release's step give up on a canary that never gets ready after a minute, by the pipeline's own param.
pub(crate) async fn shorten_progress_deadline(site: &Site) -> Result<()> {
    let pipelines = site.objects("Pipeline");
    let mut pipeline = pipelines.get("canary-release").await?;
    let params = pipeline.data["spec"]["params"].as_array_mut();
    let param = params.and_then(|all| all.iter_mut().find(|param| param["name"] == "canary-args"));
    param.context("failed to find the param `canary-args` of Pipeline `canary-release`")?["default"] =
        json!(["--start-timeout=60s"]);
    pipelines.replace("canary-release", &PostParams::default(), &pipeline).await?;
    Ok(())
}

fn param(run: &Value, name: &str) -> String {
    let params = run["spec"]["params"].as_array();
    let found = params.and_then(|all| all.iter().find(|param| param["name"] == name));
    found.map(|param| text(&param["value"])).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
