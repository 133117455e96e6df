//! The gate and a real Prometheus, which scrapes two revisions that are made up here.
//!
//! `make cluster-tests` runs these, because bringing the cluster up is what builds the server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "server/exporter.rs"]
mod exporter;
#[path = "server/prometheus.rs"]
mod prometheus;

use std::{fs, process::Command, time::Duration};

use assert_cmd::cargo::CommandCargoExt as _;
use exporter::{FINE, Labels, Rate, Source};
use prometheus::{Copies, Prometheus, Scrape, log};
use tokio::task::JoinSet;

fn by(source: Source) -> Scrape {
    Scrape { source, labels: Labels::Usual, copies: Copies::None }
}

async fn asked(canary: Rate, more: &[&str]) -> (Prometheus, std::process::Output) {
    let prometheus = Prometheus::scraping(by(Source::Gateway), FINE, canary).await;
    let output = prometheus.judge(more).await;
    (prometheus, output)
}

/// A replay of the record comes to the verdict that was written down.
fn assert_replays(prometheus: &Prometheus) {
    let evidence = prometheus.folder().join("evidence");
    let mut replay = Command::cargo_bin("prometheus-gate").unwrap();
    let replayed = replay.arg("replay").arg(evidence.join("record.ndjson")).output().unwrap();
    assert_eq!(replayed.stdout, fs::read(evidence.join("verdict.json")).unwrap());
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_canary_that_is_as_good_passes_by_what_came_back_at_the_gateway() {
    let (prometheus, output) = asked(FINE, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert_eq!(prometheus.result("verdict"), "pass");
    let reason = prometheus.result("reason");
    assert!(
        reason.starts_with("hold: held for 5s: no-restarts: 0 restarts; errors: 0 of "),
        "{reason}"
    );
    assert!(reason.contains("; rejections: 0 of ") && reason.contains("; latency: "), "{reason}");
    for criterion in ["errors", "rejections", "latency"] {
        let told = format!("{criterion} rests on the series of Envoy");
        assert!(log(&output).contains(&told), "{}", log(&output));
    }
    assert_replays(&prometheus);
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_canary_is_judged_by_what_it_answers() {
    // The target has labels of the same names, so that the counter's own are `exported_…`.
    let flags = ["--criteria=answers", "--service=m", "--canary-version=v2"];
    let (same, changed) = tokio::join!(asked(FINE, &flags), async {
        asked(Rate { setosa: 0.9, ..FINE }, &flags).await
    });
    let (prometheus, output) = same;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    let reason = prometheus.result("reason");
    assert!(reason.starts_with("hold: held for 5s: answers: species: `"), "{reason}");
    let told = "answers rests on the series of answer-counter";
    assert!(log(&output).contains(told), "{}", log(&output));
    let (prometheus, output) = changed;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    let reason = prometheus.result("reason");
    assert!(reason.starts_with("evidence: answers: species: `"), "{reason}");
    assert_replays(&prometheus);
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn every_way_of_hurting_users_is_refused_by_the_criterion_that_sees_it() {
    let half = FINE.good / 2.0;
    let mut gates = JoinSet::new();
    for (canary, reason) in [
        (Rate { good: 0.0, failed: 2.0, ..FINE }, "evidence: errors: "),
        (Rate { good: 0.0, rejected: 2.0, ..FINE }, "evidence: rejections: "),
        (Rate { slow: true, ..FINE }, "evidence: latency: "),
        (Rate { good: half, hanging: half, ..FINE }, "evidence: errors: "),
        (Rate { good: half, given_up: half, ..FINE }, "evidence: errors: "),
        (Rate { restarts: 1, ..FINE }, "limit: no-restarts: 1 restart,"),
    ] {
        gates.spawn(async move {
            let (prometheus, output) = asked(canary, &["--hold=30s"]).await;
            assert_eq!(output.status.code(), Some(3), "{canary:?}: {}", log(&output));
            assert_eq!(prometheus.result("verdict"), "fail");
            let found = prometheus.result("reason");
            assert!(found.starts_with(reason), "{canary:?}: {found}");
        });
    }
    gates.join_all().await;
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn requests_that_never_end_are_missed_by_the_canarys_part_of_the_traffic() {
    // The queue-proxy counts ends alone, and half of the canary's never come.
    let canary = Rate { good: 10.0, hanging: 10.0, ..FINE };
    let prometheus = Prometheus::scraping(by(Source::QueueProxy), FINE, canary).await;
    let output = prometheus.judge(&["--criteria=errors", "--percent=50", "--hold=30s"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    let reason = prometheus.result("reason");
    assert!(reason.contains("whose part of the traffic is 50.0 %"), "{reason}");
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn what_clients_gave_up_has_failed_although_the_queue_proxy_calls_it_200() {
    let canary = Rate { good: 10.0, given_up: 10.0, ..FINE };
    let prometheus = Prometheus::scraping(by(Source::QueueProxy), FINE, canary).await;
    let output = prometheus.judge(&["--criteria=errors"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    let reason = prometheus.result("reason");
    assert!(reason.starts_with("evidence: errors: "), "{reason}");
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn what_a_source_cannot_see_is_said() {
    for (source, blind) in [
        (
            Source::QueueProxy,
            "queue-proxy does not see requests that were refused or broken off before the pod",
        ),
        (Source::Container, "counts those that clients gave up or that timed out as answered"),
    ] {
        let prometheus = Prometheus::scraping(by(source), FINE, FINE).await;
        let output = prometheus.judge(&["--criteria=errors"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", log(&output));
        assert!(log(&output).contains(blind), "{}", log(&output));
        let page = fs::read_to_string(prometheus.folder().join("evidence/verdict.json")).unwrap();
        assert!(page.contains(blind), "the report says so too");
    }
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn the_reason_says_where_a_second_source_tells_something_else() {
    let (prometheus, output) = asked(Rate { refused: 20.0, ..FINE }, &["--criteria=errors"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    let reason = prometheus.result("reason");
    assert!(reason.contains("by the container's own count, 0 of "), "{reason}");
    assert!(reason.ends_with(": look between the two"), "{reason}");

    let (prometheus, output) = asked(FINE, &["--criteria=errors"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert!(!prometheus.result("reason").contains("look between"), "they agree");
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn one_process_counts_once_however_often_it_was_scraped() {
    // 2.5 requests/s: in 8 s some 20, and 50 only if they count several times.
    let quiet = Rate { good: 2.5, ..FINE };
    let mut gates = JoinSet::new();
    for copies in [Copies::TwoJobs, Copies::HaPair, Copies::Federation] {
        for source in [Source::Gateway, Source::QueueProxy] {
            gates.spawn(async move {
                let scrape = Scrape { copies, ..by(source) };
                let prometheus = Prometheus::scraping(scrape, quiet, quiet).await;
                let output = prometheus.judge(&["--criteria=errors", "--deadline=22s"]).await;
                let log = log(&output);
                assert_eq!(output.status.code(), Some(3), "{copies:?} {source:?}: {log}");
                let reason = prometheus.result("reason");
                assert!(reason.starts_with("nodata: errors: 0 of "), "{copies:?}: {reason}");
                assert!(reason.contains("more requests to the canary are needed"), "{reason}");
                assert!(log.contains("there several times"), "{copies:?} {source:?}: {log}");
            });
        }
    }
    gates.join_all().await;
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn series_named_by_opentelemetry_are_found() {
    let scrape = Scrape { labels: Labels::OpenTelemetry, ..by(Source::QueueProxy) };
    let prometheus = Prometheus::scraping(scrape, FINE, FINE).await;
    let output = prometheus.judge(&["--criteria=no-restarts,errors,rejections,latency"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn where_the_series_are_of_other_revisions_their_labels_are_told_at_once() {
    let prometheus = Prometheus::scraping(by(Source::QueueProxy), FINE, FINE).await;
    let flags = ["--criteria=errors", "--canary-revision=m-00003", "--baseline-revision=m-00009"];
    let output = prometheus.judge(&[&flags[..], &["--deadline=20s"]].concat()).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    let log = log(&output);
    let told = log.find("is there, and not of these revisions yet").expect("it is told");
    assert!(told < log.find("inconclusive: ").unwrap(), "long before the deadline: {log}");
    assert!(log.contains("revision=\"m-0000"), "{log}");
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_canary_that_mostly_fails_is_refused_whatever_its_baseline_does() {
    let idle = Rate { good: 0.0, ..FINE };
    let failing = Rate { good: 0.5, failed: 10.0, ..FINE };
    for source in [Source::Gateway, Source::QueueProxy] {
        let prometheus = Prometheus::scraping(by(source), idle, failing).await;
        let output = prometheus.judge(&["--criteria=errors"]).await;
        assert_eq!(prometheus.result("verdict"), "fail", "{}", log(&output));
        let reason = prometheus.result("reason");
        assert!(reason.contains("whatever the baseline does"), "{reason}");
    }
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_comparison_without_a_second_side_is_never_a_pass() {
    let idle = Rate { good: 0.0, ..FINE };
    let flaky = Rate { failed: 5.0, ..FINE };
    let stopping = Rate { stops_after: Some(Duration::from_secs(14)), ..FINE };
    let mut gates = JoinSet::new();
    for (baseline, canary) in [(idle, FINE), (idle, flaky), (stopping, flaky)] {
        for criteria in ["errors", "rejections", "latency"] {
            gates.spawn(async move {
                let prometheus =
                    Prometheus::scraping(by(Source::QueueProxy), baseline, canary).await;
                let criteria = format!("--criteria={criteria}");
                let flags = [&criteria, "--deadline=40s", "--hold=15s", "--max-ratio=40"];
                let output = prometheus.judge(&flags).await;
                assert_ne!(prometheus.result("verdict"), "pass", "{baseline:?}: {}", log(&output));
            });
        }
    }
    gates.join_all().await;
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_prometheus_that_was_away_leaves_a_gap_that_is_neither_held_nor_compared() {
    let mut prometheus = Prometheus::scraping(by(Source::Gateway), FINE, FINE).await;
    let watched = prometheus.start(&["--hold=30s", "--max-outage=2m", "--timeout=1s"]);
    prometheus.until_judged().await;
    prometheus.restart_after(Duration::from_secs(15)).await;
    let output = tokio::task::spawn_blocking(move || watched.wait_with_output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    let verdict = prometheus.verdict();
    for criterion in verdict["criteria"].as_array().unwrap() {
        let name = &criterion["name"];
        assert!(criterion["points"]["missing"].as_u64().unwrap() >= 8, "{name}: {criterion}");
        if let Some(canary) = criterion["evidence"]["canary"]["total"].as_f64() {
            let baseline = criterion["evidence"]["baseline"]["total"].as_f64().unwrap();
            let apart = (canary - baseline).abs() / baseline;
            assert!(apart < 0.25, "{name}: {canary} against {baseline}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_canary_without_requests_is_inconclusive() {
    let idle = Rate { good: 0.0, ..FINE };
    let (prometheus, output) = asked(idle, &["--criteria=errors", "--deadline=25s"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert_eq!(prometheus.result("verdict"), "inconclusive");
    let reason = prometheus.result("reason");
    assert!(reason.starts_with("nodata: errors: no requests to the canary"), "{reason}");
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_quiet_service_hears_early_that_it_has_too_little_traffic() {
    let quiet = Rate { good: 0.5, ..FINE };
    let prometheus = Prometheus::scraping(by(Source::Gateway), quiet, quiet).await;
    let output = prometheus.judge(&["--criteria=errors", "--deadline=40s", "--hold=10s"]).await;
    let log = log(&output);
    assert_eq!(output.status.code(), Some(3), "{log}");
    assert!(log.contains("errors needs 50 requests to the canary"), "{log}");
    let told = log.find("there will be no pass unless more come").expect("it is told");
    assert!(told < log.find("inconclusive: ").unwrap(), "before the deadline: {log}");
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn an_objective_needs_no_baseline() {
    let (prometheus, output) = asked(FINE, &["--criteria=slo", "--objective=0.2"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    let reason = prometheus.result("reason");
    assert!(reason.contains("failed (0 %), 20.0 % are allowed"), "{reason}");
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_query_of_ones_own_is_asked_also_when_it_gives_a_scalar() {
    let (_, output) = asked(
        FINE,
        &[
            "--query=sum(rate(envoy_cluster_upstream_rq{envoy_cluster_name=\"models/m-00002\"}[5s])) # all",
            "--when=value between 15 and 25",
        ],
    )
    .await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    let (_, output) = asked(FINE, &["--query=scalar(vector(1)) + 1", "--when=value == 2"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_mistake_in_the_query_is_told_in_the_servers_words() {
    let (_, output) = asked(FINE, &["--query=sum(", "--when=value == 0"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", log(&output));
    assert!(log(&output).contains("unclosed left parenthesis"), "{}", log(&output));
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one"]
async fn a_spec_is_checked_against_the_series_that_there_are() {
    let scrape = Scrape { copies: Copies::TwoJobs, ..by(Source::QueueProxy) };
    let prometheus = Prometheus::scraping(scrape, FINE, FINE).await;
    prometheus.until_scraped_twice().await;
    let spec = "criteria:\n- preset: errors\n";
    let output = prometheus.check(spec).await;
    let told = String::from_utf8(output.stdout.clone()).unwrap() + &log(&output);
    assert!(told.contains("doubtful  errors: series are there several times"), "{told}");
    assert!(told.contains("doubtful  errors: queue-proxy does not see"), "{told}");
}
