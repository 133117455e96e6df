//! The gate and a real Prometheus, which scrapes two revisions that are made up here.
//!
//! `make cluster-tests` runs these, because bringing the cluster up is what builds the server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use assert_cmd::cargo::CommandCargoExt as _;
use tempfile::TempDir;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

/// Requests a second of a revision that answers 200 and 500.
#[derive(Clone, Copy)]
struct Rate {
    good: f64,
    failed: f64,
    restarts: u32,
    /// Takes half a second for each answer, not a tenth of it.
    slow: bool,
}

const FINE: Rate = Rate { good: 20.0, failed: 0.0, restarts: 0, slow: false };

/// A Prometheus of its own for each test, in a folder that goes with it.
struct Prometheus {
    child: Child,
    url: String,
    folder: TempDir,
    _exporter: MockServer,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Scrapes the baseline `m-00001` and the canary `m-00002` once a second.
    async fn scraping(baseline: Rate, canary: Rate) -> Self {
        let exporter = MockServer::start().await;
        for (name, rate) in [("m-00001", baseline), ("m-00002", canary)] {
            let since = Instant::now();
            let text = move |_: &wiremock::Request| {
                ResponseTemplate::new(200).set_body_string(metrics(rate, since.elapsed()))
            };
            Mock::given(path(format!("/{name}"))).respond_with(text).mount(&exporter).await;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("prometheus.yml"), config(&exporter.address().to_string()))
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(cluster::program("prometheus").unwrap())
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .expect("a Prometheus: `make cluster-up` builds one, and `apt-get install prometheus` brings one");
        Self { child, url: format!("http://127.0.0.1:{port}"), folder, _exporter: exporter }
    }

    async fn judge(&self, more: &[&str]) -> Output {
        let mut command = Command::cargo_bin("prometheus-gate").unwrap();
        command
            .env_clear()
            .arg(format!("--prometheus-url={}", self.url))
            .args([
                "--step=1s",
                "--settle=3s",
                "--warmup=1s",
                "--poll=500ms",
                "--hold=5s",
                "--deadline=2m",
            ])
            .args([
                "--canary-revision=m-00002",
                "--baseline-revision=m-00001",
                "--namespace=models",
            ])
            .arg(result(self.folder.path(), "verdict"))
            .arg(result(self.folder.path(), "reason"))
            .arg(format!("--report={}", self.folder.path().join("evidence").display()))
            .args(more);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    fn told(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

fn result(folder: &Path, name: &str) -> String {
    format!("--result-{name}={}", folder.join(name).display())
}

fn config(exporter: &str) -> String {
    let job = |revision: &str| {
        format!(
            "- job_name: {revision}\n  metrics_path: /{revision}\n  static_configs:\n  - targets: ['{exporter}']\n    \
             labels: {{namespace: models, revision: {revision}, pod: {revision}-deployment-abc}}\n"
        )
    };
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{}{}",
        job("m-00001"),
        job("m-00002")
    )
}

/// What a queue-proxy and kube-state-metrics would say after so long.
fn metrics(rate: Rate, since: Duration) -> String {
    let name = "kn_serving_invocation_duration_seconds";
    let counters = [(200, rate.good), (500, rate.failed)].map(|(code, per_second)| {
        // A counter comes into being with its first request.
        let count = (per_second * since.as_secs_f64()).floor();
        let label = format!("http_response_status_code=\"{code}\"");
        let quick = if rate.slow { 0.0 } else { count };
        let buckets = [("0.1", quick), ("1", count), ("+Inf", count)]
            .map(|(le, count)| format!("{name}_bucket{{{label},le=\"{le}\"}} {count}\n"));
        if count > 0.0 {
            format!("{name}_count{{{label}}} {count}\n{}", buckets.concat())
        } else {
            String::new()
        }
    });
    let restarts =
        format!("kube_pod_container_status_restarts_total{{container=\"c\"}} {}\n", rate.restarts);
    counters.concat() + &restarts
}

fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one, and Debian has one"]
async fn a_canary_that_is_as_good_passes() {
    let prometheus = Prometheus::scraping(FINE, FINE).await;
    let output = prometheus.judge(&[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert_eq!(prometheus.told("verdict"), "pass");
    let reason = prometheus.told("reason");
    assert!(
        reason.starts_with("hold: held for 5s: no-restarts: 0 restarts; errors: 0 of "),
        "{reason}"
    );
    let evidence = prometheus.folder.path().join("evidence");
    let replayed = Command::cargo_bin("prometheus-gate")
        .unwrap()
        .arg("replay")
        .arg(evidence.join("record.ndjson"))
        .output();
    assert_eq!(replayed.unwrap().stdout, fs::read(evidence.join("verdict.json")).unwrap());
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one, and Debian has one"]
async fn an_objective_and_latencies_are_asked_too() {
    let prometheus = Prometheus::scraping(FINE, FINE).await;
    let output = prometheus.judge(&["--criteria=slo,latency", "--objective=0.2"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    let reason = prometheus.told("reason");
    assert!(reason.contains("failed (0 %), 20.0 % are allowed; latency: "), "{reason}");

    let slow = Rate { slow: true, ..FINE };
    let prometheus = Prometheus::scraping(FINE, slow).await;
    let output = prometheus.judge(&["--criteria=latency"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    let reason = prometheus.told("reason");
    assert!(
        reason.starts_with("evidence: latency: ")
            && reason.contains("took longer than 0.1 s (100 %)"),
        "{reason}"
    );
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one, and Debian has one"]
async fn a_canary_that_only_fails_is_refused_by_evidence() {
    let bad = Rate { good: 0.0, failed: 2.0, restarts: 0, slow: false };
    let prometheus = Prometheus::scraping(FINE, bad).await;
    let output = prometheus.judge(&[]).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert_eq!(prometheus.told("verdict"), "fail");
    let reason = prometheus.told("reason");
    assert!(
        reason.starts_with("evidence: errors: ") && reason.contains("to the canary failed (100 %)"),
        "{reason}"
    );
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one, and Debian has one"]
async fn a_canary_that_restarted_is_refused() {
    let restarted = Rate { restarts: 1, ..FINE };
    let prometheus = Prometheus::scraping(FINE, restarted).await;
    let output = prometheus.judge(&[]).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert_eq!(prometheus.told("verdict"), "fail");
    assert!(
        prometheus.told("reason").starts_with("limit: no-restarts: 1 restart,"),
        "{}",
        prometheus.told("reason")
    );
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one, and Debian has one"]
async fn a_canary_without_requests_is_inconclusive() {
    let idle = Rate { good: 0.0, failed: 0.0, restarts: 0, slow: false };
    let prometheus = Prometheus::scraping(FINE, idle).await;
    let output = prometheus.judge(&["--deadline=15s"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert_eq!(prometheus.told("verdict"), "inconclusive");
    assert!(
        prometheus.told("reason").starts_with("nodata: errors: no requests to the canary"),
        "{}",
        prometheus.told("reason")
    );
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one, and Debian has one"]
async fn a_query_of_ones_own_is_asked() {
    let prometheus = Prometheus::scraping(FINE, FINE).await;
    let query = r#"--query=sum(rate(kn_serving_invocation_duration_seconds_count{revision="m-00002"}[5s]))"#;
    let output = prometheus.judge(&[query, "--when=value between 15 and 25"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert_eq!(prometheus.told("verdict"), "pass");
}

#[tokio::test]
#[ignore = "needs a Prometheus: `make cluster-up` builds one, and Debian has one"]
async fn a_mistake_in_the_query_is_told_in_the_servers_words() {
    let prometheus = Prometheus::scraping(FINE, FINE).await;
    let output = prometheus.judge(&["--query=sum(", "--when=value == 0"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", log(&output));
    assert!(log(&output).contains("unclosed left parenthesis"), "{}", log(&output));
}
