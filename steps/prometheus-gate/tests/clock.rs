//! All moments are the server's: when a gate begins, what it asks for, and which starts it refuses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    process::Command,
    sync::{Arc, Mutex},
};

use assert_cmd::cargo::CommandCargoExt as _;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

/// Moments in 2001 and in 2096: whatever this machine's clock says is between them.
const PAST: f64 = 1_000_000_000.0;
const FUTURE: f64 = 4_000_000_000.0;

fn gate() -> Command {
    let mut command = Command::cargo_bin("prometheus-gate").unwrap();
    command.env_clear().env("NO_PROXY", "*");
    command
}

/// A server whose clock says so, and that has 0 at every moment; with the moments that it was asked for.
async fn server(clock: f64) -> (MockServer, Arc<Mutex<Vec<f64>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let answer = move |request: &Request| {
        let form = String::from_utf8(request.body.clone()).unwrap();
        let fields: std::collections::HashMap<String, String> =
            reqwest::Url::parse(&format!("http://x/?{form}"))
                .unwrap()
                .query_pairs()
                .into_owned()
                .collect();
        let (kind, result) = if fields["query"] == "time()" {
            ("scalar", serde_json::json!([clock, clock.to_string()]))
        } else {
            let number = |name: &str| fields[name].parse::<f64>().unwrap();
            let (mut at, mut values) = (number("start"), Vec::new());
            while at <= number("end") {
                seen.lock().unwrap().push(at);
                values.push(serde_json::json!([at, "0"]));
                at += number("step");
            }
            ("matrix", serde_json::json!([{"metric": {}, "values": values}]))
        };
        ResponseTemplate::new(200).set_body_json(
            serde_json::json!({"status": "success", "data": {"resultType": kind, "result": result}}),
        )
    };
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    (server, asked)
}

#[tokio::test]
async fn without_a_start_a_gate_begins_when_the_servers_clock_says_so() {
    for (clock, way) in [(FUTURE, "ahead of"), (PAST, "behind")] {
        let (server, asked) = server(clock).await;
        let folder = tempfile::tempdir().unwrap();
        let mut command = gate();
        command
            .arg(format!("--prometheus-url={}", server.uri()))
            .args(["--query=errors", "--when=value == 0", "--step=1s", "--settle=1s"])
            .args(["--warmup=0s", "--hold=3s", "--deadline=1m", "--poll=200ms"])
            .arg(format!("--report={}", folder.path().display()));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{log}");
        let earliest = asked.lock().unwrap().iter().copied().fold(f64::INFINITY, f64::min);
        assert!(earliest >= clock, "asked for {earliest}, and began at {clock}");
        assert!(log.contains(&format!(" {way} this machine's, more than the 2s")), "{log}");
        let verdict: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("verdict.json")).unwrap()).unwrap();
        assert_eq!(verdict["criteria"][0]["heldSeconds"], 3.0);
    }
}

#[tokio::test]
async fn a_start_that_is_to_come_is_refused_by_the_servers_clock() {
    let (server, _) = server(PAST).await;
    let mut command = gate();
    command
        .arg(format!("--prometheus-url={}", server.uri()))
        .args(["--query=errors", "--when=value == 0"])
        .arg(format!("--start=@{:.0}", PAST + 600.0));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{log}");
    assert!(log.contains("is in the future"), "{log}");
}

#[test]
fn a_start_that_is_no_moment_of_a_release_is_refused_before_anything_is_asked() {
    let to_come = format!("--start=@{FUTURE:.0}");
    let milliseconds = format!("--start=@{:.0}", PAST * 1000.0);
    for (start, why) in [
        (to_come.as_str(), "is in the future"),
        (milliseconds.as_str(), "not milliseconds"),
        ("--start=12000-01-01T00:00:00Z", "write RFC 3339"),
        ("--start=@1e300", "write RFC 3339"),
        ("--start=2100-01-01T00:00:00Z", "it is not between 1970 and 2100"),
    ] {
        let output = gate()
            .arg("--prometheus-url=http://127.0.0.1:1")
            .args(["--query=errors", "--when=value == 0", start])
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{start}: {log}");
        assert!(log.contains(why), "{start}: {log}");
    }
}
