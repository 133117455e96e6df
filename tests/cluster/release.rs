//! Whole releases: an event comes in, and in the end a version serves all requests or none.

use std::{collections::BTreeMap, time::Duration};

use demo::{Event, Mode, Run, Site, Traffic};
use serde_json::{Value, json};

use crate::{
    bento::{self, Model},
    canary::assert_serves,
    gate::{first_percent, setting},
    namespace::in_namespace,
};

/// An image is built, pods start, a route moves; on two busy cores that takes its time.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// Saves a model and asks for its release by an event. Returns the run that ended.
async fn release(site: &Site, service: &str, version: &str, model: Model) -> Run {
    bento::save(site, service, version, model).await;
    let known = site.runs("canary-release").await.unwrap();
    let event = Event::requested(&format!("{service}-{version}"), service, version);
    assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
    let run = site.run_of("canary-release", &known).await.unwrap();
    run.wait(LIMIT).await.unwrap();
    run
}

/// A version that serves all requests.
pub(crate) async fn first(site: &Site, service: &str) -> String {
    let run = release(site, service, "v1", Model::Good).await;
    let create = run.task("canary-create").await.unwrap().expect("canary-create has run");
    assert!(create.succeeded, "{}", run.describe().await.unwrap());
    site.host(service).await.unwrap()
}

/// The promotion that a release led to, when it has ended. Its gate came to this verdict.
async fn judged(site: &Site, verdict: &str) -> Run {
    let run = site.run_of("canary-promotion", &[]).await.unwrap();
    run.wait(LIMIT).await.unwrap();
    let found = result(&run, "prometheus-gate", "verdict").await;
    assert_eq!(found, verdict, "{}", run.describe().await.unwrap());
    run
}

/// The first version of a service was built and serves all requests.
async fn assert_is_first(site: &Site, service: &str, run: &Run) {
    let first = ["bento-build", "canary-create", "canary-promoted"];
    assert_eq!(succeeded(run).await, first, "{}", run.describe().await.unwrap());
    assert_serves(site, service, "v1").await;
}

/// This task of the run did what it is for.
async fn assert_succeeded(run: &Run, task: &str) {
    let succeeded = succeeded(run).await.contains(&task.to_owned());
    assert!(succeeded, "{task}: {}", run.describe().await.unwrap());
}

async fn result(run: &Run, task: &str, name: &str) -> String {
    let found = run.task(task).await.unwrap();
    let found = found.and_then(|task| task.results.get(name).cloned());
    found.unwrap_or_else(|| panic!("no result `{name}` of `{task}`"))
}

/// Names of the run's tasks that did what they are for.
async fn succeeded(run: &Run) -> Vec<String> {
    run.tasks()
        .await
        .unwrap()
        .into_iter()
        .filter(|task| task.succeeded)
        .map(|task| task.task)
        .collect()
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_first_release_gets_all_requests_and_says_so() {
    in_namespace("first", async |site| {
        let run = release(&site, "first", "v1", Model::Good).await;
        assert_eq!(result(&run, "canary-create", "outcome").await, "first");
        assert_is_first(&site, "first", &run).await;
        assert!(
            site.runs("canary-promotion").await.unwrap().is_empty(),
            "there is nothing to decide"
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_good_release_passes_its_gate_and_gets_all_requests() {
    in_namespace("good", async |site| {
        let host = first(&site, "good").await;
        let traffic = Traffic::start(&site, &host, 20).unwrap();
        let canary = release(&site, "good", "v2", Model::Good).await;
        assert_eq!(result(&canary, "canary-create", "outcome").await, "canary");
        let revision = result(&canary, "canary-create", "canary-revision").await;

        traffic.take();
        let run = judged(&site, "pass").await;
        let during = traffic.take();
        let reason = result(&run, "prometheus-gate", "reason").await;
        for criterion in setting("criteria").split(',') {
            assert!(reason.contains(&format!("{criterion}: ")), "`{criterion}` held: {reason}");
        }
        assert_eq!(run.params().await.unwrap()["percent"], first_percent());
        assert_eq!(during.by_error, BTreeMap::new(), "{during}");
        assert!(
            during.by_version["v1"] > during.by_version["v2"],
            "a canary has the smaller share: {during}"
        );
        assert_eq!(site.traffic("good").await.unwrap(), [(revision, 100)]);
        assert_serves(&site, "good", "v2").await;
        assert_succeeded(&run, "canary-promoted").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_release_that_answers_with_errors_is_refused_and_loses_its_requests() {
    in_namespace("failing", async |site| {
        let host = first(&site, "failing").await;
        let _traffic = Traffic::start(&site, &host, 20).unwrap();
        release(&site, "failing", "v2", Model::Failing).await;
        let run = judged(&site, "fail").await;
        assert_serves(&site, "failing", "v1").await;
        assert_succeeded(&run, "canary-rollback").await;
        let service = site.service("failing").await.unwrap().unwrap();
        let predictor = &service.data["spec"]["predictor"];
        assert_eq!(
            predictor["canaryTrafficPercent"],
            json!(null),
            "the spec says what runs: {predictor}"
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_crashes_again_and_again_is_rolled_back_and_keeps_no_request() {
    in_namespace("crashing", async |site| {
        let host = first(&site, "crashing").await;
        let _traffic = Traffic::start(&site, &host, 10).unwrap();
        release(&site, "crashing", "v2", Model::Crashing(15)).await;
        judged(&site, "fail").await;
        assert_serves(&site, "crashing", "v1").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_gate_that_cannot_ask_prometheus_promotes_nothing() {
    in_namespace("blind", async |site| {
        site.set("prometheus-url", "http://prometheus.local:1").await.unwrap();
        site.set("deadline", "90s").await.unwrap();
        first(&site, "blind").await;
        release(&site, "blind", "v2", Model::Good).await;
        judged(&site, "inconclusive").await;
        assert_serves(&site, "blind", "v1").await;
    })
    .await;
}

/// A PipelineRun as `tkn pipeline start` creates it: nobody sent an event.
pub(crate) fn without_an_event(service: &str, version: &str, canary_args: &[&str]) -> Value {
    let text = include_str!("../../pipelines/canary-release/samples/canary-release.yaml");
    let mut run: Value = serde_saphyr::from_str(text).unwrap();
    run["metadata"] = json!({ "name": format!("{service}-{version}") });
    let params = run["spec"]["params"].as_array_mut().unwrap();
    for param in params.iter_mut() {
        let name = param["name"].as_str().unwrap_or_default();
        match name {
            "service" => param["value"] = service.into(),
            "version" => param["value"] = version.into(),
            "bento" => param["value"] = format!("{service}:{version}").into(),
            "image" => param["value"] = format!("registry.local:5000/models/{service}").into(),
            _ => {}
        }
    }
    params.push(json!({ "name": "canary-args", "value": canary_args }));
    run
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_release_needs_no_event() {
    in_namespace("no-event", async |site| {
        bento::save(&site, "no-event", "v1", Model::Good).await;
        site.create(without_an_event("no-event", "v1", &[])).await.unwrap();
        let run = site.run_of("canary-release", &[]).await.unwrap();
        run.wait(LIMIT).await.unwrap();
        assert_is_first(&site, "no-event", &run).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_never_gets_ready_is_taken_back_and_an_event_says_so() {
    in_namespace("unready", async |site| {
        first(&site, "unready").await;
        bento::save(&site, "unready", "v2", Model::Unready).await;
        let known = site.runs("canary-release").await.unwrap();
        site.create(without_an_event("unready", "v2", &["--start-timeout=45s"])).await.unwrap();
        let run = site.run_of("canary-release", &known).await.unwrap();
        assert_eq!(run.wait(LIMIT).await.unwrap(), "Failed");
        assert_succeeded(&run, "canary-rollback").await;
        assert_serves(&site, "unready", "v1").await;
        let service = site.service("unready").await.unwrap().unwrap();
        assert_eq!(service.data["spec"]["predictor"]["canaryTrafficPercent"], json!(null));
        assert!(
            site.runs("canary-promotion").await.unwrap().is_empty(),
            "no event speaks of a canary"
        );
    })
    .await;
}
