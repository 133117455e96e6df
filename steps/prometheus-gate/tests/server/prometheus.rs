//! A Prometheus of its own for each test, in a folder that goes with it.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use assert_cmd::cargo::CommandCargoExt as _;
use tempfile::TempDir;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use crate::exporter::{self, Labels, Rate, Source};

/// In how many copies Prometheus has each series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    None,
    /// Two jobs scrape the same pods.
    TwoJobs,
    /// Two replicas wrote to one place, and nothing there takes them together.
    HaPair,
    /// Pods are scraped here, and federated from another Prometheus that scrapes them.
    Federation,
}

#[derive(Clone, Copy)]
pub(crate) struct Scrape {
    pub(crate) source: Source,
    pub(crate) labels: Labels,
    pub(crate) copies: Copies,
}

pub(crate) struct Prometheus {
    child: Child,
    port: u16,
    folder: TempDir,
    /// What it scrapes, and another one from which it federates.
    keeps: (Option<Box<Self>>, Option<MockServer>),
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const BASELINE: &str = "m-00001";
const CANARY: &str = "m-00002";

impl Prometheus {
    /// Scrapes the baseline `m-00001` and the canary `m-00002` once a second.
    pub(crate) async fn scraping(scrape: Scrape, baseline: Rate, canary: Rate) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = exporter(scrape.source, [(BASELINE, baseline), (CANARY, canary)]).await;
        let address = exporter.address().to_string();
        let jobs = jobs(scrape, &address);
        let other = (scrape.copies == Copies::Federation).then(|| {
            let child = Self::run(tempfile::tempdir().unwrap(), free_port(), &jobs.concat());
            Box::new(child)
        });
        let mut all = jobs.concat();
        if let Some(other) = &other {
            all += &federation(other.port);
        }
        let mut prometheus = Self::run(tempfile::tempdir().unwrap(), free_port(), &all);
        prometheus.keeps = (other, Some(exporter));
        prometheus
    }

    fn run(folder: TempDir, port: u16, jobs: &str) -> Self {
        let config =
            format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}");
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let child = start(folder.path(), port);
        Self { child, port, folder, keeps: (None, None) }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends the server, and starts it again after a while with what it had stored.
    pub(crate) async fn restart_after(&mut self, away: Duration) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        tokio::time::sleep(away).await;
        self.child = start(self.folder.path(), self.port);
    }

    pub(crate) async fn judge(&self, more: &[&str]) -> Output {
        let child = self.start(more);
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
    }

    /// A gate that watches.
    pub(crate) fn start(&self, more: &[&str]) -> Child {
        let mut command = gate();
        command
            .arg(format!("--prometheus-url={}", self.url()))
            .args([
                "--step=1s",
                "--settle=3s",
                "--warmup=4s",
                "--poll=500ms",
                "--hold=5s",
                "--deadline=3m",
            ])
            .args([
                "--canary-revision=m-00002",
                "--baseline-revision=m-00001",
                "--namespace=models",
            ])
            .arg(result(self.folder(), "verdict"))
            .arg(result(self.folder(), "reason"))
            .arg(format!("--report={}", self.folder().join("evidence").display()))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub(crate) async fn check(&self, spec: &str) -> Output {
        let mut command = gate();
        command
            .args(["check", spec, "--namespace=models"])
            .args(["--canary-revision=m-00002", "--baseline-revision=m-00001"])
            .arg(format!("--prometheus-url={}", self.url()));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Waits until two jobs have scraped something of the canary.
    pub(crate) async fn until_scraped_twice(&self) {
        let query = format!("count(count by (job) ({{revision=\"{CANARY}\"}})) > 1");
        let url = format!("{}/api/v1/query", self.url());
        let has_value = async || {
            let request = reqwest::Client::new().post(&url).form(&[("query", &query)]);
            let answer = request.send().await.ok()?.text().await.ok()?;
            answer.contains("\"value\"").then_some(())
        };
        while has_value().await.is_none() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the gate has held for a while.
    pub(crate) async fn until_judged(&self) {
        let record = self.folder().join("evidence/record.ndjson");
        let seen =
            || fs::read_to_string(&record).unwrap_or_default().matches("canary_sampled").count();
        while seen() < 60 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn result(&self, name: &str) -> String {
        fs::read_to_string(self.folder().join(name)).unwrap()
    }

    pub(crate) fn verdict(&self) -> serde_json::Value {
        let text = fs::read(self.folder().join("evidence/verdict.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

fn gate() -> Command {
    let mut command = Command::cargo_bin("prometheus-gate").unwrap();
    command.env_clear();
    command
}

fn start(folder: &Path, port: u16) -> Child {
    Command::new(cluster::program("prometheus").unwrap())
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .expect("a Prometheus: `make cluster-up` builds one")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn result(folder: &Path, name: &str) -> String {
    format!("--result-{name}={}", folder.join(name).display())
}

/// Serves a page for the gateway, and one for each revision's pod.
async fn exporter(source: Source, revisions: [(&'static str, Rate); 2]) -> MockServer {
    let exporter = MockServer::start().await;
    let since = Instant::now();
    let page = move |_: &wiremock::Request| {
        ResponseTemplate::new(200).set_body_string(exporter::gateway(revisions, since.elapsed()))
    };
    Mock::given(path("/gateway")).respond_with(page).mount(&exporter).await;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let rates = revisions.map(|(_, rate)| rate);
    let page = move |_: &wiremock::Request| {
        let page = exporter::answers(rates, since.elapsed(), started);
        ResponseTemplate::new(200).set_body_string(page)
    };
    Mock::given(path("/answers")).respond_with(page).mount(&exporter).await;
    for (name, rate) in revisions {
        let page = move |_: &wiremock::Request| {
            if rate.stops_after.is_some_and(|end| since.elapsed() > end) {
                return ResponseTemplate::new(503);
            }
            let metric = match source {
                Source::QueueProxy => "http_server_request_duration_seconds",
                _ => "kn_serving_invocation_duration_seconds",
            };
            let counts = exporter::queue_proxy(metric, rate, since.elapsed());
            ResponseTemplate::new(200).set_body_string(counts + &exporter::restarts(rate))
        };
        Mock::given(path(format!("/{name}"))).respond_with(page).mount(&exporter).await;
    }
    exporter
}

fn federation(port: u16) -> String {
    format!(
        "- job_name: federate\n  honor_labels: true\n  metrics_path: /federate\n  params: {{'match[]': ['{{__name__=~\".+\"}}']}}\n  \
         static_configs:\n  - targets: ['127.0.0.1:{port}']\n    labels: {{federated: 'yes'}}\n"
    )
}

/// The scrape jobs of a site.
fn jobs(Scrape { source, labels, copies }: Scrape, exporter: &str) -> Vec<String> {
    let job = |name: &str, page: &str, labels: &str| {
        format!(
            "- job_name: {name}\n  metrics_path: /{page}\n  static_configs:\n  - targets: ['{exporter}']\n    labels: {{{labels}}}\n"
        )
    };
    let of_a_pod = |revision: &str| match labels {
        Labels::Usual => {
            format!("namespace: models, revision: {revision}, pod: {revision}-deployment-abc")
        }
        Labels::OpenTelemetry => format!(
            "k8s_namespace_name: models, kn_revision_name: {revision}, k8s_pod_name: {revision}-deployment-abc"
        ),
    };
    let copy = |at: usize| match copies {
        Copies::HaPair => format!(", ha_replica: '{at}'"),
        _ => String::new(),
    };
    let times = if matches!(copies, Copies::TwoJobs | Copies::HaPair) { 2 } else { 1 };
    let mut jobs = vec![job("answers", "answers", "namespace: kanaria, service: answer-counter")];
    for at in 0..times {
        for revision in [BASELINE, CANARY] {
            let labels = of_a_pod(revision) + &copy(at);
            jobs.push(job(&format!("{revision}-{at}"), revision, &labels));
        }
        if source == Source::Gateway {
            let labels = format!("component: gateway{}", copy(at));
            jobs.push(job(&format!("gateway-{at}"), "gateway", &labels));
        }
    }
    jobs
}

pub(crate) fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
