//! What users wait for when a canary gets all requests at once: with the pods that it needs there before, and without.

use std::time::Duration;

use demo::Traffic;
use serde_json::json;

use crate::{
    bento::Model,
    canary::{Canary, Ended, SERVICE},
    namespace::in_namespace,
};

/// Requests a second; of half a second each, so that ten are under way.
const RATE: u32 = 20;
/// In which the autoscaler finds its number of pods.
const SETTLES: Duration = Duration::from_secs(100);
/// Before and after the step.
const WATCHED: Duration = Duration::from_mins(1);

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a measurement's output is its table")]
#[ignore = "needs the cluster for itself, and ten minutes: it measures"]
async fn a_canary_that_gets_all_requests_with_its_pods_there_before_and_without() {
    in_namespace("room", async |site| {
        let canary = Canary { site };
        let first = [("memory", "64Mi"), ("cpu", "10m")];
        canary.create("v1", Model::Heavy, &first).await;
        let two_at_once = json!({"spec": {"predictor": {"containerConcurrency": 2}}}).to_string();
        canary.kubectl(&["patch", "isvc", SERVICE, "--type=merge", "-p", &two_at_once]).unwrap();
        let host = canary.site.host(SERVICE).await.unwrap();
        let traffic = Traffic::start(&canary.site, &host, RATE).unwrap();
        println!("\n| step from 10 % to 100 % | p99 before, s | p99 after, s | ratio | pods before the step |");
        println!("|---|---|---|---|---|");
        let mut ratios = Vec::new();
        for (version, way, room) in [("v2", "pods first", "5m"), ("v3", "traffic first", "0s")] {
            tokio::time::sleep(SETTLES).await;
            let live = canary.create_live(version, Model::Heavy, &[("ladder", "10")]).await;
            let before = p99(&traffic).await;
            let pods = pods(&canary, &live);
            let revision = ("canary-revision", live.result("canary-revision"));
            let name = canary.start("canary-promote", &[revision, ("room-timeout", room)]).await;
            let alone = |service: &serde_json::Value| {
                service["status"]["components"]["predictor"]["traffic"][0]["percent"] == 100
                    && service["spec"]["predictor"]["canaryTrafficPercent"].is_null()
            };
            canary.until("100 %", alone).await;
            let after = p99(&traffic).await;
            let ended = canary.end(&name).await;
            assert!(ended.succeeded, "{ended:?}");
            println!("| {way} | {before:.2} | {after:.2} | {:.1} | {pods} |", after / before);
            ratios.push(after / before);
        }
        assert!(ratios[0] <= 2.0, "{ratios:?}");
    })
    .await;
}

/// What 99 of 100 requests waited no longer for, in the time from now on.
async fn p99(traffic: &Traffic) -> f64 {
    traffic.take_durations();
    tokio::time::sleep(WATCHED).await;
    let mut all: Vec<f64> =
        traffic.take_durations().into_iter().map(|took| took.as_secs_f64()).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() * 99 / 100]
}

/// Of the canary and of its baseline.
fn pods(canary: &Canary, live: &Ended) -> String {
    let of = |revision: &str| {
        let path = "jsonpath={.status.actualReplicas}";
        canary.kubectl(&["get", "revision", revision, "-o", path]).unwrap_or_default()
    };
    let [canary, baseline] =
        ["canary-revision", "baseline-revision"].map(|name| of(live.result(name)));
    format!("{canary} and {baseline}")
}
