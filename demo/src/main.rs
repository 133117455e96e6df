//! Four releases of one model, from the notebook to production: a first one, a good one, and two that are rolled back.
//!
//! - `build`: what a release's image took, and what that saved

mod build;

use std::{
    collections::BTreeMap,
    process::{ExitCode, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cluster::{Cluster, Progress};
use demo::{Notebook, ReleaseRequest, Run, Site, TaskRun, Traffic};
use release_page::terminal::timeline::{Stage, Timeline};
use step::Outcome;
use tokio::process::Command;

use crate::build::Build;

/// Watch a model go from a notebook to production through a canary
///
/// Four releases: the first gets all requests; the second gets 10 % of them, then 50 %, passes a gate on each rung and
/// is promoted; the third answers with errors, the fourth refuses every request, and both are rolled back.
#[derive(Parser)]
#[command(name = "demo")]
struct Args {
    /// Namespace that the catalog is installed in
    #[arg(long, default_value = "releases")]
    namespace: String,
    /// Requests a second to the model
    #[arg(long, default_value_t = 20)]
    rate: u32,
}

const SERVICE: &str = "iris";

/// The percents that a release climbs here; a site has more of them.
const LADDER: &str = "10,50,100";

/// A release builds an image; nothing of it takes longer than this.
const LONGEST_RUN: Duration = Duration::from_mins(20);

fn main() -> ExitCode {
    step::run(scenario)
}

async fn scenario(args: Args) -> Result<Outcome> {
    let Args { namespace, rate } = args;
    // It shows its own progress, and has none to show when `make` has brought it up.
    let cluster = tokio::task::spawn_blocking(|| Cluster::up(&Progress::new())).await??;
    let mut timeline = Timeline::default();

    timeline.chapter("prepare", "the catalog, the notebook");
    let site = timeline.stage("catalog", install(&cluster, &namespace)).await?;
    let notebook = timeline.stage("notebook's packages", notebook()).await?;
    let mut releases = Releases { timeline, site, notebook, first_build: None };

    // A version is never given twice, so that the demo runs again beside what it left in the store.
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let version = |number: u8| format!("v{number}-{stamp}");

    releases.chapter(1, "the first one has nothing to be compared with and gets all requests");
    releases.release(&version(1), "first").await?;
    let host = releases.site.host(SERVICE).await?;
    releases.count(&host).await?;

    releases.chapter(2, "better: 10 % of the requests, then 50 %, a gate with evidence on each rung, then all of them");
    let traffic = Traffic::start(&releases.site, &host, rate)?;
    let known = releases.site.runs("canary-promotion").await?;
    releases.release(&version(2), "good").await?;
    releases.timeline.stage("canary's own URL", by_own_url(&releases.site)).await?;
    releases.promotion(&traffic, &known).await?;
    releases.count(&host).await?;

    releases.chapter(3, "broken: it starts, and answers with errors");
    releases.rolled_back(&traffic, &version(3), "broken").await?;
    releases.count(&host).await?;
    releases.chapter(4, "refusing: it starts, and answers 422 to every request");
    releases.rolled_back(&traffic, &version(4), "refusing").await?;
    releases.count(&host).await?;
    drop(traffic);

    print(&releases.timeline, &releases.site)?;
    Ok(Outcome::Done)
}

/// The releases of one service, as they are shown.
struct Releases {
    timeline: Timeline,
    site: Site,
    notebook: Notebook,
    first_build: Option<Build>,
}

impl Releases {
    fn chapter(&mut self, number: u8, about: &str) {
        self.timeline.chapter(&format!("release v{number}"), about);
    }

    /// From the notebook's event to the end of the run that it starts.
    async fn release(&mut self, version: &str, model: &str) -> Result<()> {
        let Self { timeline, site, notebook, first_build } = self;
        let known = site.runs("canary-release").await?;
        let id = format!("{SERVICE}-{version}");
        let request = ReleaseRequest { service: SERVICE, version, model, id: &id };
        timeline.stage("notebook", executed(site, notebook, request)).await?;
        let run = site.run_of("canary-release", &known).await?;
        timeline.remark(&format!("its event started run {}", run.name));
        let reason = follow(timeline, &run, None).await?;
        ensure!(
            matches!(reason.as_str(), "Succeeded" | "Completed"),
            "failed to release: {reason}\n{}",
            run.describe().await?
        );
        if let Some(build) = run.task("bento-build").await?.as_ref().and_then(Build::of) {
            timeline.remark(&build.remark(first_build.as_ref()));
            first_build.get_or_insert(build);
        }
        Ok(())
    }

    /// A run for each rung: gate, then the next percent or the end of the canary, with the traffic beside it.
    async fn promotion(&mut self, traffic: &Traffic, known: &[String]) -> Result<()> {
        let Self { timeline, site, .. } = self;
        let mut known = known.to_vec();
        let mut event = "canary.created";
        traffic.take();
        loop {
            let run = site.run_of("canary-promotion", &known).await?;
            timeline.remark(&format!("the event {event} started run {}", run.name));
            follow(timeline, &run, Some(traffic)).await?;
            timeline.stage("gate's report", report(site, &run)).await?;
            let promote = run.task("canary-promote").await?;
            let outcome = promote.and_then(|task| task.results.get("outcome").cloned());
            if outcome.as_deref() != Some("advanced") {
                break;
            }
            (known, event) = ([known, vec![run.name]].concat(), "canary.advanced");
        }
        let split = site.traffic(SERVICE).await?;
        let split: Vec<_> =
            split.iter().map(|(revision, percent)| format!("{percent} % {revision}")).collect();
        timeline.remark(&format!("the route has {}", split.join(", ")));
        Ok(())
    }

    /// A release that is rolled back, and how many requests failed meanwhile.
    async fn rolled_back(&mut self, traffic: &Traffic, version: &str, model: &str) -> Result<()> {
        let known = self.site.runs("canary-promotion").await?;
        self.release(version, model).await?;
        self.promotion(traffic, &known).await?;
        let seen = traffic.take();
        let (all, errors) = (seen.total(), seen.errors());
        self.timeline
            .remark(&format!("of {all} answers while it was a canary, {errors} were errors"));
        Ok(())
    }

    /// Which versions answer.
    async fn count(&mut self, host: &str) -> Result<()> {
        let answers = async { Ok(((), self.site.ask_often(host, 40).await?.to_string())) };
        self.timeline.stage("40 requests", answers).await
    }
}

async fn notebook() -> Result<(Notebook, String)> {
    Ok((Notebook::prepare().await?, String::new()))
}

/// Trains, builds, stores and asks. Returns what the notebook printed of its model.
async fn executed(
    site: &Site,
    notebook: &Notebook,
    request: ReleaseRequest<'_>,
) -> Result<((), String)> {
    let printed = notebook.execute(site, request).await?;
    let accuracy = printed.lines().find(|line| line.contains("named right")).unwrap_or_default();
    Ok(((), accuracy.to_owned()))
}

async fn install(cluster: &Cluster, namespace: &str) -> Result<(Site, String)> {
    let site = Site::install(cluster, namespace).await?;
    // `make images` may have pushed another one under the same tag since it started.
    let interceptor = "deployment/cloudevent-interceptor";
    site.kubectl(["rollout", "restart", interceptor])?;
    site.kubectl(["rollout", "status", interceptor, "--timeout=2m"])?;
    site.set("ladder", LADDER).await?;
    site.delete_runs().await?;
    site.delete_service(SERVICE).await?;
    let detail = format!("in namespace {namespace}, EventListener at {}", site.listener);
    Ok((site, detail))
}

/// The params of a promotion that the gate has under the same names.
const GATE_PARAMS: [&str; 16] = [
    "service",
    "canary-revision",
    "baseline-revision",
    "canary-image",
    "baseline-image",
    "percent",
    "ladder",
    "climbed",
    "criteria",
    "min-requests",
    "max-ratio",
    "objective",
    "rejection-codes",
    "on-no-traffic",
    "hold",
    "deadline",
];

/// The gate's evidence as a page. Its verdict is a function of what Prometheus recorded, so the same
/// criteria give the same one from here.
async fn report(site: &Site, run: &Run) -> Result<((), String)> {
    let params = run.params().await?;
    let param = |name: &str| params.get(name).cloned().unwrap_or_default();
    let name = format!("{SERVICE}-{}-{}-percent", param("version"), param("percent"));
    let page = demo::tree()?.join("target/demo").join(name);
    let asked = Command::new(demo::built("prometheus-gate")?)
        .arg(format!("--prometheus-url={}", site.cluster.prometheus.host))
        .arg(format!("--namespace={}", site.namespace))
        .arg(format!("--start={}", param("started-at")))
        .arg(format!("--report={}", page.display()))
        .arg(format!("--canary-version={}", param("version")))
        .arg(format!("--run={}", run.name))
        .args(GATE_PARAMS.map(|name| format!("--{name}={}", param(name))))
        .stdin(Stdio::null())
        .output()
        .await
        .context("failed to run prometheus-gate")?;
    let page = page.join("report.html");
    let why = String::from_utf8_lossy(&asked.stderr);
    ensure!(page.exists(), "failed to write the gate's report: {}", why.trim());
    Ok(((), page.strip_prefix(demo::tree()?).unwrap_or(&page).display().to_string()))
}

/// Shows each task of a run as a stage, until the run ends. Returns the run's reason.
async fn follow(timeline: &mut Timeline, run: &Run, traffic: Option<&Traffic>) -> Result<String> {
    let mut open: BTreeMap<String, Stage> = BTreeMap::new();
    let mut closed = Vec::new();
    let mut answers = traffic.map(|_| timeline.begin("traffic"));
    let ended = tokio::time::timeout(LONGEST_RUN, async {
        loop {
            let reason = run.ended().await?;
            for task in run.tasks().await? {
                if closed.contains(&task.task) {
                    continue;
                }
                let mut stage = open.remove(&task.task).unwrap_or_else(|| timeline.begin(&task.task));
                if task.has_ended {
                    timeline.end(stage, task.succeeded, &outcome(&task));
                    closed.push(task.task);
                } else {
                    let log = run.log(&task, 1).await.unwrap_or_default();
                    timeline.tell(&mut stage, log.lines().last().unwrap_or_default());
                    open.insert(task.task, stage);
                }
            }
            if let (Some(stage), Some(traffic)) = (&mut answers, traffic) {
                timeline.tell(stage, &traffic.seen().to_string());
            }
            if let Some(reason) = reason {
                return Ok::<_, anyhow::Error>(reason);
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    })
    .await
    .with_context(|| format!("failed to see the end of `{}`", run.name))??;
    if let (Some(stage), Some(traffic)) = (answers, traffic) {
        timeline.end(stage, true, &traffic.seen().to_string());
    }
    Ok(ended)
}

/// What a finished task came to, in a few words.
fn outcome(task: &TaskRun) -> String {
    let result =
        |name: &str| task.results.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let words: Vec<_> = [
        "outcome",
        "percent",
        "verdict",
        "reason",
        "canary-revision",
        "status-code",
        "restored-image",
    ]
    .into_iter()
    .filter_map(|name| Some((name, result(name)?)))
    .map(|(name, value)| if name == "percent" { format!("{value} %") } else { shortened(value) })
    .collect();
    match words.is_empty() {
        true if task.succeeded => String::new(),
        true => task.message.lines().next().unwrap_or_default().to_owned(),
        false => words.join(" · "),
    }
}

/// A digest by its first twelve digits.
fn shortened(value: &str) -> String {
    match value.split_once("@sha256:") {
        Some((name, digest)) => format!("{name}@sha256:{}…", digest.get(..12).unwrap_or(digest)),
        None => value.to_owned(),
    }
}

async fn by_own_url(site: &Site) -> Result<((), String)> {
    let service = site.service(SERVICE).await?.context("failed to find the service")?;
    let targets = service.data["status"]["components"]["predictor"]["traffic"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let url = targets
        .iter()
        .find(|target| target["tag"] == "latest")
        .and_then(|target| target["url"].as_str());
    let host = url.context("failed to find the canary's URL")?.trim_start_matches("http://");
    let answer = site.ask(host).await?.text;
    Ok(((), format!("{host} answers {}", answer.trim())))
}

fn print(timeline: &Timeline, site: &Site) -> Result<()> {
    let namespace = &site.namespace;
    step::print(format!(
        "\n{}\nWhat to try next:
  eval \"$(cargo run -q -p cluster -- env)\"
  kubectl -n {namespace} get inferenceservices,pipelineruns
  kubectl -n {namespace} logs -l tekton.dev/pipelineTask=prometheus-gate --tail=-1
  cargo run -q -p cluster -- down\n",
        timeline.summary()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(succeeded: bool, message: &str, results: &[(&str, &str)]) -> TaskRun {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        TaskRun {
            task: "canary-rollback".into(),
            pod: String::new(),
            reason: String::new(),
            has_ended: true,
            succeeded,
            message: message.into(),
            took: None,
            results: results.iter().map(owned).collect(),
        }
    }

    #[test]
    fn a_task_is_shown_by_its_results_in_the_order_in_which_they_are_read() {
        let digest = format!("r/iris@sha256:{}", "b7e7a897fd1c".repeat(5));
        let results = [
            ("restored-image", digest.as_str()),
            ("percent", "0"),
            ("outcome", "rolled-back"),
            ("reason", ""),
        ];
        let shown = outcome(&task(true, "", &results));
        assert_eq!(shown, "rolled-back · 0 % · r/iris@sha256:b7e7a897fd1c…");
    }

    #[test]
    fn without_results_a_failure_is_shown_by_the_first_line_of_its_message() {
        assert_eq!(outcome(&task(false, "exited with 1\nsee its log", &[])), "exited with 1");
        assert_eq!(outcome(&task(true, "All Steps have completed", &[])), "");
    }
}
