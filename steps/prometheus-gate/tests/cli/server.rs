//! A scripted Prometheus, and a gate that asks it.

use std::{
    collections::HashMap,
    fs,
    process::{Command, Output},
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use assert_cmd::cargo::CommandCargoExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

/// What the server's clock says from beginning to end: when the tests began, because a gate whose server
/// does not tell the time goes by this machine's. Whole ten seconds, so that points are known.
pub(crate) static NOW: LazyLock<f64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Duration::from_secs(now / 10 * 10).as_secs_f64()
});

pub(crate) const QUERY: [&str; 2] = ["--query=errors", "--when=value == 0"];

pub(crate) fn gate() -> Command {
    let mut command = Command::cargo_bin("prometheus-gate").unwrap();
    command.env_clear().env("NO_PROXY", "*");
    command
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Seconds ago by the server's clock, as the value of `--start`.
fn ago(seconds: f64) -> String {
    format!("--start=@{:.0}", *NOW - seconds)
}

/// The fields of a form, from a POST's body or a GET's address.
pub(crate) fn fields(request: &Request) -> HashMap<String, String> {
    let text = if request.body.is_empty() {
        request.url.query().unwrap_or_default().to_owned()
    } else {
        String::from_utf8(request.body.clone()).unwrap()
    };
    reqwest::Url::parse(&format!("http://x/?{text}")).unwrap().query_pairs().into_owned().collect()
}

/// What Prometheus would say when its one series has `value` at every moment asked for.
pub(crate) fn constant(request: &Request, value: Option<&str>) -> ResponseTemplate {
    let fields = fields(request);
    if fields["query"] == "time()" {
        return scalar(&NOW.to_string());
    }
    let number = |name: &str| fields[name].parse::<f64>().unwrap();
    let (start, end, step) = (number("start"), number("end"), number("step"));
    let mut points = Vec::new();
    let mut at = start;
    while at <= end {
        points.extend(value.map(|value| json!([at, value])));
        at += step;
    }
    let result =
        if points.is_empty() { vec![] } else { vec![json!({"metric": {}, "values": points})] };
    matrix(&json!(result))
}

pub(crate) fn scalar(value: &str) -> ResponseTemplate {
    success(&json!({"resultType": "scalar", "result": [*NOW, value]}))
}

pub(crate) fn matrix(result: &Value) -> ResponseTemplate {
    success(&json!({"resultType": "matrix", "result": result}))
}

pub(crate) fn success(data: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"status": "success", "data": data}))
}

pub(crate) async fn server(
    answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static,
) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// A gate that has all it needs to decide at its first look, and the folder of its results.
pub(crate) async fn run(server: &MockServer, more: &[&str]) -> (Output, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = gate();
    command
        .arg(format!("--prometheus-url={}", server.uri()))
        .args(["--hold=60s", "--deadline=5m", "--poll=100ms", &ago(240.0)])
        .arg(format!("--result-verdict={}", folder.path().join("verdict").display()))
        .arg(format!("--result-reason={}", folder.path().join("reason").display()))
        .args(more);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output, folder)
}

pub(crate) fn result(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

/// The error, without the log before it and with the server's address taken out.
pub(crate) fn last_error(output: &Output, server: &MockServer) -> String {
    let text = stderr(output).replace(&server.uri(), "URL");
    text[text.find("error:").unwrap()..].to_owned()
}
