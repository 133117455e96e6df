//! How long a release takes, from its event until it is a canary with its share, and where the time goes: its image
//! in layers, and built whole by a kaniko whose cache is warm. `make bench` runs it on a cluster that is idle, prints
//! a table and draws the chart of the README.

mod agent;
mod chart;
mod measured;
mod room;

use std::{env, fmt::Write as _, fs};

use demo::{Event, Mode, Notebook, ReleaseRequest, Site};
use serde_json::{Value, json};

use self::measured::{Measured, STRETCHES};
use crate::{
    canary::{Canary, LIMIT, SERVICE, named},
    namespace::in_namespace,
};

const ROUNDS: usize = 3;

const CHART: &str = "docs/event-to-canary.svg";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Layers,
    Whole,
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a measurement's output is its table")]
#[ignore = "needs the cluster for itself, and a quarter of an hour: it measures"]
async fn a_release_in_layers_beside_one_that_kaniko_builds_whole() {
    in_namespace("figures", async |site| {
        let environments = format!("{}/models/{}/environments", site.cluster.registry.pod, site.namespace);
        site.set("environments", &environments).await.unwrap();
        let releases = Releases {
            notebook: Notebook::prepare().await.unwrap(),
            stamp: site.namespace.rsplit('-').next().unwrap().to_owned(),
            canary: Canary { site },
        };
        let first = releases.release("v0", Way::Layers).await;
        // Fills kaniko's cache.
        releases.release("w0", Way::Whole).await;
        let mut layers = Vec::new();
        let mut whole = Vec::new();
        for round in 1..=ROUNDS {
            layers.push(releases.release(&format!("v{round}"), Way::Layers).await);
            whole.push(releases.release(&format!("w{round}"), Way::Whole).await);
        }
        let (layers, whole) = (median(layers), median(whole));
        println!("\n{}", table(&layers, &whole));
        let [of_layers, of_kaniko] = [&layers, &whole].map(|way| way.step - layers.idle);
        println!(
            "The step that makes the image: {of_layers:.2} s in layers, {of_kaniko:.1} s by kaniko, {:.0} times as \
             long; Tekton's part of each step, {:.2} s, is left out. The TaskRuns: {:.0} s and {:.0} s. With a new \
             environment it was {:.0} s, once.",
            of_kaniko / of_layers,
            layers.idle,
            layers.build,
            whole.build,
            first.build
        );
        if env::var_os("DRAW").is_some() {
            let file = demo::tree().unwrap().join(CHART);
            fs::write(file, chart::draw(&layers, &whole)).unwrap();
        }
        assert!(of_kaniko >= 20.0 * of_layers, "{layers:?}\n{whole:?}");
    })
    .await;
}

struct Releases {
    canary: Canary,
    notebook: Notebook,
    stamp: String,
}

impl Releases {
    /// Saves a model, asks for its release by an event, and takes the canary back once it is one.
    async fn release(&self, version: &str, way: Way) -> Measured {
        let Self { canary, notebook, stamp } = self;
        let site = &canary.site;
        let version = format!("{version}-{stamp}");
        let mut quiet = site.clone();
        quiet.listener = String::new(); // the notebook sends nothing: the clock starts with our event
        let request =
            ReleaseRequest { service: SERVICE, version: &version, model: "good", id: &version };
        notebook.execute(&quiet, request).await.unwrap();
        build(site, way).await;

        let is_first = site.service(SERVICE).await.unwrap().is_none();
        let known = site.runs("canary-release").await.unwrap();
        let judged = site.runs("canary-promotion").await.unwrap();
        let mut measuring = measured::Measuring::begin();
        let event = Event::requested(&version, SERVICE, &version);
        assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
        let run = site.run_of("canary-release", &known).await.unwrap();
        let share = if is_first { 100 } else { 10 };
        canary.until("its share", |service| has(service, share)).await;
        measuring.end();
        run.wait(LIMIT).await.unwrap();
        let build = run.task("bento-build").await.unwrap().unwrap();
        let create = run.task("canary-create").await.unwrap().unwrap();
        assert!(create.succeeded, "{}", run.describe().await.unwrap());
        let made = if way == Way::Whole { "whole" } else { "yes" };
        assert!(is_first || build.results["assembled"] == made, "{build:?}");
        let measured = measuring.read(site, &build, &create).unwrap();

        if !is_first {
            let promotion = site.run_of("canary-promotion", &judged).await.unwrap();
            site.delete_run(&promotion.name).await.unwrap();
            let back = canary.rollback(&named(&create.results["canary-revision"])).await;
            assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        }
        measured
    }
}

/// Has the Pipeline build as this way says.
async fn build(site: &Site, way: Way) {
    let pipelines = site.objects("Pipeline");
    let mut pipeline = pipelines.get("canary-release").await.unwrap();
    let tasks = pipeline.data["spec"]["tasks"].as_array_mut().unwrap();
    let build = tasks.iter_mut().find(|task| task["name"] == "bento-build").unwrap();
    let params = build["params"].as_array_mut().unwrap();
    params.retain(|param| param["name"] != "whole");
    params.push(json!({"name": "whole", "value": (way == Way::Whole).to_string()}));
    pipelines
        .replace("canary-release", &kube::api::PostParams::default(), &pipeline)
        .await
        .unwrap();
}

/// Whether a revision has this percent of the requests, and the gateway knows.
fn has(service: &Value, percent: i64) -> bool {
    let status = &service["status"];
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let is_ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
    let traffic = status["components"]["predictor"]["traffic"].as_array().cloned();
    is_ready && traffic.unwrap_or_default().iter().any(|target| target["percent"] == percent)
}

/// The one in the middle, by its total.
fn median(mut all: Vec<Measured>) -> Measured {
    all.sort_by(|one, other| one.total().total_cmp(&other.total()));
    all.swap_remove(all.len() / 2)
}

/// Both ways, stretch by stretch.
fn table(layers: &Measured, whole: &Measured) -> String {
    let mut table = "| seconds | in layers | built whole |\n|---|---|---|\n".to_owned();
    for (number, stretch) in STRETCHES.iter().enumerate() {
        let [one, other] = [layers, whole].map(|way| way.stretches[number]);
        writeln!(table, "| {stretch} | {one:.1} | {other:.1} |").unwrap();
    }
    table
        + &format!("| **event to 10 %** | **{:.1}** | **{:.1}** |\n", layers.total(), whole.total())
}
