//! Five releases of one model, from the notebook to production: a first one, a good one, and three that are rolled back.
//!
//! - `build`: what a release's image took, and what that saved

mod build;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cluster::{Cluster, Progress};
use demo::{Notebook, ReleaseRequest, Site, Traffic};
use jiff::Timestamp;
use release_page::{
    options::Options,
    sources::{Sources, start_with},
    terminal::{
        Event, Follower, Shown, of_cluster,
        timeline::{Stage, Timeline},
    },
};
use release_record::release::{Outcome as Ending, Stage as ReleaseStage, Step};
use step::Outcome;

use crate::build::Build;

/// Watch a model go from a notebook to production through a canary
///
/// Five releases: the first gets all requests; the second gets 10 % of them, then 50 %, passes a gate on each rung and
/// is promoted; the third answers with errors, the fourth refuses every request, the fifth answers each of them, and
/// wrongly. These three are rolled back.
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

/// A release builds an image and climbs two rungs; nothing takes longer than this.
const LONGEST_RELEASE: Duration = Duration::from_mins(40);

fn main() -> ExitCode {
    step::run(scenario)
}

async fn scenario(args: Args) -> Result<Outcome> {
    let Args { namespace, rate } = args;
    // It shows its own progress, and has none to show when `make` has brought it up.
    let cluster = tokio::task::spawn_blocking(|| Cluster::up(&Progress::new())).await??;
    let mut timeline = Timeline::default();

    timeline.chapter("prepare", "the catalog, its page, the notebook");
    let site = timeline.stage("catalog", install(&cluster, &namespace)).await?;
    let page = timeline.stage("page", page(&site)).await?;
    let notebook = timeline.stage("notebook's packages", notebook()).await?;
    // Gates name Prometheus as pods reach it, and this is none.
    let options = Options {
        prometheus_url: Some(cluster.prometheus.pod.clone()),
        prometheus_at: Some(cluster.prometheus.host.clone()),
        ..of_cluster(vec![namespace])?
    };
    let sources = start_with(site.client.clone(), options).await?;
    let mut releases = Releases { timeline, site, sources, notebook, first_build: None };

    // A version is never given twice, so that the demo runs again beside what it left in the store.
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let version = |number: u8| format!("v{number}-{stamp}");

    releases.chapter(1, "the first one has nothing to be compared with and gets all requests");
    releases.release(&version(1), "first", None).await?;
    let host = releases.site.host(SERVICE).await?;
    releases.count(&host).await?;

    releases.chapter(2, "better: 10 % of the requests, then 50 %, a gate with evidence on each rung, then all of them");
    let traffic = Traffic::start(&releases.site, &host, rate)?;
    releases.release(&version(2), "good", Some(&traffic)).await?;
    releases.count(&host).await?;

    releases.chapter(3, "broken: it starts, and answers with errors");
    releases.rolled_back(&traffic, &version(3), "broken").await?;
    releases.count(&host).await?;
    releases.chapter(4, "refusing: it starts, and answers 422 to every request");
    releases.rolled_back(&traffic, &version(4), "refusing").await?;
    releases.count(&host).await?;
    releases.chapter(5, "skewed: no error, as fast as ever, but it calls most flowers versicolor");
    releases.rolled_back(&traffic, &version(5), "skewed").await?;
    releases.count(&host).await?;
    drop(traffic);

    step::print(ending(&releases.timeline.summary(), &releases.site.namespace, &page))?;
    Ok(Outcome::Done)
}

/// The releases of one service, as they are shown.
struct Releases {
    timeline: Timeline,
    site: Site,
    sources: Sources,
    notebook: Notebook,
    first_build: Option<Build>,
}

impl Releases {
    fn chapter(&mut self, number: u8, about: &str) {
        self.timeline.chapter(&format!("release v{number}"), about);
    }

    /// From the notebook's event to the end of the release that it starts, with the traffic beside it.
    async fn release(
        &mut self,
        version: &str,
        model: &str,
        traffic: Option<&Traffic>,
    ) -> Result<()> {
        let Self { timeline, site, notebook, .. } = self;
        let id = format!("{SERVICE}-{version}");
        let request = ReleaseRequest { service: SERVICE, version, model, id: &id };
        timeline.stage("notebook", executed(site, notebook, request)).await?;
        let followed = tokio::time::timeout(LONGEST_RELEASE, self.follow(version, model, traffic));
        followed.await.with_context(|| format!("failed to see the end of release `{version}`"))?
    }

    async fn follow(
        &mut self,
        version: &str,
        model: &str,
        traffic: Option<&Traffic>,
    ) -> Result<()> {
        let mut follower = Follower::new(self.sources.clone(), SERVICE, Some(version));
        let (mut shown, mut beside, mut run) =
            (Shown::default(), Beside::new(traffic), String::new());
        while let Some(events) = follower.next().await? {
            for event in events {
                let ended =
                    if let Event::StageEnded(stage) = &event { Some(stage.clone()) } else { None };
                beside.see(&mut self.timeline, &event);
                // The chapter has told of it.
                if !matches!(event, Event::Waiting(_) | Event::Begun(_)) {
                    shown.show(&mut self.timeline, event, Timestamp::now());
                }
                if let Some(stage) = ended {
                    self.look_at(&stage, model).await?;
                    run = stage.run;
                }
            }
            beside.refresh(&mut self.timeline);
            shown.refresh(&mut self.timeline);
        }
        let run = self.site.run(&run);
        ensure!(
            follower.ending() != Some(Ending::Failed),
            "failed to release `{version}`\n{}",
            run.describe().await?
        );
        Ok(())
    }

    /// What a stage that has ended left to be looked at.
    async fn look_at(&mut self, stage: &ReleaseStage, model: &str) -> Result<()> {
        let Self { timeline, site, first_build, .. } = self;
        match stage.step {
            Step::Image => {
                let task = site.run(&stage.run).task(&stage.task).await?;
                if let Some(build) = task.as_ref().and_then(Build::of) {
                    timeline.remark(&build.remark(first_build.as_ref()));
                    first_build.get_or_insert(build);
                }
            }
            Step::Canary if model == "good" => {
                timeline.stage("canary's own URL", by_own_url(site)).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A release that is rolled back, and how many requests failed meanwhile.
    async fn rolled_back(&mut self, traffic: &Traffic, version: &str, model: &str) -> Result<()> {
        self.release(version, model, Some(traffic)).await?;
        let seen = traffic.take();
        let (all, errors) = (seen.total(), seen.errors());
        self.timeline.remark(&format!("{all} answers while it was a canary, errors {errors}"));
        Ok(())
    }

    /// Which versions answer.
    async fn count(&mut self, host: &str) -> Result<()> {
        let answers = async { Ok(((), self.site.ask_often(host, 40).await?.to_string())) };
        self.timeline.stage("40 requests", answers).await
    }
}

/// What users get while gates judge.
struct Beside<'a> {
    traffic: Option<&'a Traffic>,
    stage: Option<Stage>,
    has_begun: bool,
}

impl<'a> Beside<'a> {
    const fn new(traffic: Option<&'a Traffic>) -> Self {
        Self { traffic, stage: None, has_begun: false }
    }

    fn see(&mut self, timeline: &mut Timeline, event: &Event) {
        let Some(traffic) = self.traffic else { return };
        match event {
            Event::StageBegun(stage) if matches!(stage.step, Step::Gate(_)) => {
                if !std::mem::replace(&mut self.has_begun, true) {
                    traffic.take();
                }
                self.stage = Some(timeline.begin("traffic"));
            }
            Event::StageEnded(stage) if matches!(stage.step, Step::Gate(_)) => {
                if let Some(stage) = self.stage.take() {
                    timeline.end(stage, true, &traffic.seen().to_string());
                }
            }
            _ => {}
        }
    }

    fn refresh(&mut self, timeline: &mut Timeline) {
        if let (Some(stage), Some(traffic)) = (&mut self.stage, self.traffic) {
            timeline.tell(stage, &traffic.seen().to_string());
        }
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
    restart(&site, "cloudevent-interceptor")?;
    site.set("ladder", LADDER).await?;
    site.delete_runs().await?;
    site.delete_service(SERVICE).await?;
    let detail = format!("in namespace {namespace}, EventListener at {}", site.listener);
    Ok((site, detail))
}

/// `make images` may have pushed another image under the same tag since it started.
fn restart(site: &Site, name: &str) -> Result<()> {
    let deployment = format!("deployment/{name}");
    site.kubectl(["rollout", "restart", &deployment])?;
    site.kubectl(["rollout", "status", &deployment, "--timeout=2m"])?;
    Ok(())
}

/// The address of the page, which listens for `kubectl port-forward` only until it is told otherwise. This
/// machine, and no other, reaches the addresses of the cluster's Services.
async fn page(site: &Site) -> Result<(String, String)> {
    let open = ["LISTEN=0.0.0.0:8080", "INSECURE_NO_AUTHENTICATION=true"];
    site.kubectl([["set", "env", "deployment/release-page"].as_slice(), &open].concat())?;
    restart(site, "release-page")?;
    let service = site.objects("Service").get("release-page").await;
    let service = service.context("failed to find the page's Service")?;
    let address = service.data["spec"]["clusterIP"].as_str().unwrap_or_default();
    let url = format!("http://{address}:8080/services/{}/{SERVICE}", site.namespace);
    Ok((url.clone(), url))
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

/// What it took, and where to go from here.
fn ending(summary: &str, namespace: &str, page: &str) -> String {
    format!(
        "
{summary}
The page of these releases, from this machine and from another one:
  {page}
  kubectl -n {namespace} port-forward deploy/release-page 8080, then http://localhost:8080/

What to try next:
  eval \"$(cargo run -q -p cluster -- env)\"
  kubectl -n {namespace} exec deploy/release-page -- /release-page list
  kubectl -n {namespace} exec -it deploy/release-page -- /release-page watch {SERVICE}
  kubectl -n {namespace} get inferenceservices,pipelineruns
  kubectl -n {namespace} logs -l tekton.dev/pipelineTask=prometheus-gate --tail=-1
  cargo run -q -p cluster -- down
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_names_the_page_and_what_to_try_next() {
        let page = "http://10.96.0.7:8080/services/releases/iris";
        insta::assert_snapshot!(ending("release v1  …", "releases", page), @r#"
        release v1  …
        The page of these releases, from this machine and from another one:
          http://10.96.0.7:8080/services/releases/iris
          kubectl -n releases port-forward deploy/release-page 8080, then http://localhost:8080/

        What to try next:
          eval "$(cargo run -q -p cluster -- env)"
          kubectl -n releases exec deploy/release-page -- /release-page list
          kubectl -n releases exec -it deploy/release-page -- /release-page watch iris
          kubectl -n releases get inferenceservices,pipelineruns
          kubectl -n releases logs -l tekton.dev/pipelineTask=prometheus-gate --tail=-1
          cargo run -q -p cluster -- down
        "#);
    }
}
