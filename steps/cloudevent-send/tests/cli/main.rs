//! The step as a process: help, errors, exit codes, results, and what arrives at a sink.
#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::{Command, assert::Assert};
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, method},
};

mod arguments;
mod credentials;
mod delivery;
mod event;
mod folder;

const ID: &str = "6e8bc430-9c3a-11d9-9669-0800200c9a66";

fn step() -> Command {
    let mut step = Command::cargo_bin("cloudevent-send").unwrap();
    for name in [
        "K_SINK",
        "K_CE_OVERRIDES",
        "K_CA_CERTS",
        "STEP_LOG",
        "HTTP_PROXY",
        "http_proxy",
        "COLUMNS",
        "NAMESPACE",
        "PIPELINE",
        "PIPELINE_RUN",
        "PIPELINE_RUN_UID",
        "TASK_RUN_UID",
        "CORRELATION_ID",
        "CAUSATION_ID",
        "CHAINHOPS",
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
    ] {
        step.env_remove(name);
    }
    step
}

/// A valid first event, sent to `sink` with two fields.
fn to(sink: &str) -> Command {
    let mut step = step();
    step.arg(format!("--sink={sink}")).arg(format!("--id={ID}"));
    step.args([
        "--type=build.canary.release.requested.v1",
        "--source=/people/ada",
        "--time=2026-11-24T06:07:00Z",
    ]);
    step.args(["--field=serviceName=iris", "--field=serviceVersion=v2"]);
    step
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// What a dry run of these arguments prints.
fn dry_run(args: &[&str]) -> String {
    stdout(&to("http://el-canary:8080/").arg("--dry-run").args(args).assert().success())
}

fn file(folder: &TempDir, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn flag(name: &str, file: &Path) -> String {
    format!("--{name}={}", file.display())
}

/// The four results in the order of the flags.
struct Results(TempDir);

impl Results {
    const NAMES: [&str; 4] = ["event-id", "correlation-id", "status-code", "listener-event-id"];

    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn flags(&self) -> Vec<String> {
        Self::NAMES
            .iter()
            .map(|name| format!("--result-{name}={}", self.0.path().join(name).display()))
            .collect()
    }

    fn read(&self) -> [String; 4] {
        Self::NAMES.map(|name| fs::read_to_string(self.0.path().join(name)).unwrap())
    }
}

async fn sink(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

async fn received(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}
