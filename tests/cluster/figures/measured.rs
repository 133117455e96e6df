//! One release, cut into stretches by what pods and runs say of their times.

use std::time::SystemTime;

use anyhow::{Context, Result};
use demo::{Site, TaskRun};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

pub(crate) const STRETCHES: [&str; 6] = [
    "event to the build's first step",
    "image",
    "to the step of canary-create",
    "revision, pod, pull",
    "model starts",
    "route",
];

#[derive(Debug)]
pub(crate) struct Measured {
    /// Seconds
    pub(crate) stretches: [f64; 6],
    /// Seconds of the step that makes the image, until the next one begins
    pub(crate) step: f64,
    /// Seconds of the shortest step, which is one that has nothing to do and so Tekton's own time
    pub(crate) idle: f64,
    /// Seconds of the whole TaskRun
    pub(crate) build: f64,
}

impl Measured {
    pub(crate) fn total(&self) -> f64 {
        self.stretches.iter().sum()
    }
}

/// A release from its event to its share.
pub(crate) struct Measuring {
    began: SystemTime,
    ended: SystemTime,
}

impl Measuring {
    pub(crate) fn begin() -> Self {
        let now = SystemTime::now();
        Self { began: now, ended: now }
    }

    pub(crate) fn end(&mut self) {
        self.ended = SystemTime::now();
    }

    /// Reads the rest from what is still there.
    pub(crate) fn read(&self, site: &Site, build: &TaskRun, create: &TaskRun) -> Result<Measured> {
        let [build_pod, create_pod] = [&build.pod, &create.pod].map(|pod| get(site, &["pod", pod]));
        let steps = self::steps(&build_pod?)?;
        let creates = self::steps(&create_pod?)?;
        let revision = &create.results["canary-revision"];
        let of_revision = format!("-lserving.knative.dev/revision={revision}");
        let pods = get(site, &["pods", &of_revision])?;
        let pod = &pods["items"][0]["status"];
        let model = list(&pod["containerStatuses"])
            .find(|status| status["name"] == "kserve-container")
            .context("no container of the model")?;
        let model = time(&model["state"]["running"]["startedAt"])?;
        let ready = list(&pod["conditions"]).find(|one| one["type"] == "Ready");
        let ready = time(&ready.context("no condition Ready")?["lastTransitionTime"])?;
        let [first, .., last] = &steps[..] else { anyhow::bail!("no steps: {steps:?}") };
        let create = creates.first().context("no step of canary-create")?;
        let began = Timestamp::try_from(self.began)?;
        let since = |time: Timestamp| time.duration_since(began).as_secs_f64();
        let cuts = [first.began, last.ended, create.began, model, ready].map(since);
        let end = since(self.ended.try_into()?);
        let mut stretches = [0.0; 6];
        let mut from = 0.0;
        for (stretch, to) in stretches.iter_mut().zip(cuts.into_iter().chain([end])) {
            // Times in whole seconds may be a little before those that come with milliseconds.
            let to = f64::max(from, to).min(end);
            (*stretch, from) = (to - from, to);
        }
        let took = |pair: &[Step]| pair[1].began.duration_since(pair[0].began).as_secs_f64();
        let step = steps.windows(2).find(|pair| pair[0].name == made_by(build)).map(took);
        let step = step.context("no step that makes the image")?;
        let idle = steps.windows(2).map(took).fold(f64::MAX, f64::min);
        let build = build.took.context("no end of the build")?.as_secs_f64();
        Ok(Measured { stretches, step, idle, build })
    }
}

/// Which step made the image.
fn made_by(build: &TaskRun) -> &'static str {
    match build.results.get("assembled").map(String::as_str) {
        Some("yes") => "step-bento-image-prepare",
        _ => "step-kaniko",
    }
}

fn get(site: &Site, what: &[&str]) -> Result<Value> {
    let args = [&["get"], what, &["-o", "json"]].concat();
    Ok(serde_json::from_str(&site.kubectl(args)?)?)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn time(value: &Value) -> Result<Timestamp> {
    let text = value.as_str().context("no time")?;
    text.parse().with_context(|| format!("not a time: {text}"))
}

#[derive(Debug)]
struct Step {
    name: String,
    /// With milliseconds
    began: Timestamp,
    /// In whole seconds
    ended: Timestamp,
}

/// The steps of a pod, in order.
fn steps(pod: &Value) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for status in list(&pod["status"]["containerStatuses"]) {
        let name = status["name"].as_str().unwrap_or_default();
        let ended = &status["state"]["terminated"];
        // What Tekton's entrypoint says: the container itself starts long before its turn.
        let message = ended["message"].as_str().unwrap_or("[]");
        let said: Value = serde_json::from_str(message).unwrap_or_default();
        let start = list(&said).find(|one| one["key"] == "StartedAt").map(|one| &one["value"]);
        if let Some(start) = start {
            let ended = time(&ended["finishedAt"])?;
            steps.push(Step { name: name.to_owned(), began: time(start)?, ended });
        }
    }
    steps.sort_by_key(|step| step.began);
    Ok(steps)
}
