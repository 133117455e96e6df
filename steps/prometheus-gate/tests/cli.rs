//! The gate as a process: what it prints, its exit codes and its results.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use assert_cmd::cargo::CommandCargoExt as _;
use tempfile::TempDir;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

fn gate() -> Command {
    let mut command = Command::cargo_bin("prometheus-gate").unwrap();
    command.env_clear().env("NO_PROXY", "*");
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Seconds ago, as the value of `--start`.
fn ago(seconds: f64) -> String {
    format!("--start=@{:.0}", now() - seconds)
}

/// The fields of a form, from a POST's body or a GET's address.
fn fields(request: &Request) -> std::collections::HashMap<String, String> {
    let text = if request.body.is_empty() {
        request.url.query().unwrap_or_default().to_owned()
    } else {
        String::from_utf8(request.body.clone()).unwrap()
    };
    reqwest::Url::parse(&format!("http://x/?{text}")).unwrap().query_pairs().into_owned().collect()
}

/// What Prometheus would say when its one series has `value` at every moment asked for.
fn constant(request: &Request, value: Option<&str>) -> ResponseTemplate {
    let fields = fields(request);
    if fields["query"] == "time()" {
        return scalar(&now().to_string());
    }
    let number = |name: &str| fields[name].parse::<f64>().unwrap();
    let (start, end, step) = (number("start"), number("end"), number("step"));
    assert!(end <= now() - 1.0, "nothing is asked before it is final");
    let mut points = Vec::new();
    let mut at = start;
    while at <= end {
        points.extend(value.map(|value| serde_json::json!([at, value])));
        at += step;
    }
    let result = if points.is_empty() {
        vec![]
    } else {
        vec![serde_json::json!({"metric": {}, "values": points})]
    };
    matrix(&serde_json::json!(result))
}

fn scalar(value: &str) -> ResponseTemplate {
    success(&serde_json::json!({"resultType": "scalar", "result": [now(), value]}))
}

fn matrix(result: &serde_json::Value) -> ResponseTemplate {
    success(&serde_json::json!({"resultType": "matrix", "result": result}))
}

fn success(data: &serde_json::Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(serde_json::json!({"status": "success", "data": data}))
}

async fn server(
    answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static,
) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    server
}

/// A gate that has all it needs to decide at its first look, and the folder of its results.
async fn run(server: &MockServer, more: &[&str]) -> (Output, TempDir) {
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

fn result(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

const QUERY: [&str; 2] = ["--query=errors", "--when=value == 0"];

#[tokio::test]
async fn a_value_that_held_passes() {
    let server = server(|request| constant(request, Some("0"))).await;
    let (output, folder) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(result(&folder, "verdict"), "pass");
    assert_eq!(result(&folder, "reason"), "hold: held for 1m: query: 0");
    assert_eq!(output.stdout, b"");
}

#[tokio::test]
async fn the_evidence_is_written_down() {
    let server = server(|request| constant(request, Some("0"))).await;
    let folder = tempfile::tempdir().unwrap();
    let report = format!("--report={}", folder.path().join("evidence").display());
    let (output, _) = run(&server, &["--query=errors", "--when=value == 0", &report]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let verdict: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("evidence/verdict.json")).unwrap())
            .unwrap();
    assert_eq!((&verdict["verdict"], &verdict["reason"]), (&"pass".into(), &"hold".into()));
    assert_eq!(verdict["criteria"][0]["points"]["bad"], 0);
    assert_eq!(verdict["criteria"][0]["heldSeconds"], 60.0);
}

#[tokio::test]
async fn a_record_is_replayed_to_the_same_bytes() {
    let server = server(|request| constant(request, Some("0"))).await;
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.ndjson");
    let report = folder.path().join("evidence");
    let flags =
        [format!("--record={}", record.display()), format!("--report={}", report.display())];
    let (output, _) =
        run(&server, &["--query=errors", "--when=value == 0", &flags[0], &flags[1]]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let replayed = gate().arg("replay").arg(&record).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
    assert_eq!(replayed.stdout, fs::read(report.join("verdict.json")).unwrap());
}

#[tokio::test]
async fn the_evidence_says_whose_it_is_and_an_older_record_without_it_is_read() {
    let server = server(|request| constant(request, Some("0"))).await;
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("evidence");
    let flag = format!("--report={}", report.display());
    let about = [
        "--service=iris",
        "--namespace=models",
        "--canary-revision=iris-00002",
        "--canary-image=registry/iris@sha256:3f1c",
        "--baseline-version=1.4.0",
        "--percent=10",
        "--run=promotion-x7k2p",
        &flag,
    ];
    let (output, _) = run(&server, &[&QUERY[..], &about].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let subject =
        |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap()["subject"].clone();
    let told = serde_json::json!({
        "service": "iris",
        "namespace": "models",
        "canary": {"revision": "iris-00002", "image": "registry/iris@sha256:3f1c"},
        "baseline": {"version": "1.4.0"},
        "percent": 10.0,
        "run": "promotion-x7k2p",
    });
    assert_eq!(subject(&fs::read(report.join("verdict.json")).unwrap()), told);

    let record = fs::read_to_string(report.join("record.ndjson")).unwrap();
    let (first, rest) = record.split_once('\n').unwrap();
    let mut first: serde_json::Value = serde_json::from_str(first).unwrap();
    assert_eq!(first["gate"].as_object_mut().unwrap().remove("subject"), Some(told));
    let older = folder.path().join("older.ndjson");
    fs::write(&older, format!("{first}\n{rest}")).unwrap();
    let replayed = gate().arg("replay").arg(&older).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
    assert_eq!(subject(&replayed.stdout), serde_json::json!({}));
}

#[test]
fn a_record_that_was_cut_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    fs::write(&record, "").unwrap();
    let output = gate().arg("replay").arg(&record).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("has no end\n\nhint: the gate that wrote it was killed"),
        "{}",
        stderr(&output)
    );
    fs::write(&record, "{\"nonsense\": 1}\n").unwrap();
    let output = gate().arg("replay").arg(&record).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("error: line 1 of"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_person_has_the_last_word() {
    let server = server(|request| constant(request, None)).await;
    let folder = tempfile::tempdir().unwrap();
    let annotations = folder.path().join("annotations");
    fs::write(&annotations, "kanaria.dev/gate=\"pass\"\nkanaria.dev/gate-by=\"Ada\"\n")
        .unwrap();
    let flag = format!("--override-file={}", annotations.display());
    let (output, results) = run(&server, &["--query=errors", "--when=value == 0", &flag]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(result(&results, "verdict"), "pass");
    assert!(
        result(&results, "reason").starts_with("override: pass by annotation of Ada; until then ")
    );
}

#[test]
fn a_team_tests_its_gate_with_written_series() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("gate.yaml"),
        "timing: {hold: 1m}\ncriteria: [{name: errors, query: q, when: value == 0, failLimit: 1}]\n",
    )
    .unwrap();
    let tests = folder.path().join("tests.yaml");
    let test = |verdict: &str| {
        format!(
            "gate: gate.yaml\ntests:\n- name: two errors\n  interval: 15s\n  series: {{errors: 0x2 1 0 1 0x20}}\n  \
             expect: {{verdict: {verdict}, reason: limit, within: 3m}}\n"
        )
    };
    fs::write(&tests, test("fail")).unwrap();
    let output = gate().arg("simulate").arg(&tests).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "ok      two errors: fail (limit) after 1m\n1 tests, 0 failed\n"
    );
    fs::write(&tests, test("pass")).unwrap();
    let output = gate().arg("simulate").arg(&tests).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with(
            "FAILED  two errors: expected pass, found fail (limit) after 1m: errors: 1,"
        ),
        "{told}"
    );
}

#[test]
fn the_sample_tests_of_the_sample_spec_hold() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tasks/prometheus-gate/samples");
    let report = tempfile::tempdir().unwrap();
    let output = gate()
        .args(["simulate", &format!("{samples}/gate-tests.yaml")])
        .arg(format!("--report={}", report.path().display()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let page = fs::read_to_string(report.path().join("a good canary/report.html")).unwrap();
    assert_eq!(page.matches("<section class=\"card ").count(), 6, "a card for each criterion");
    assert!(
        !page.contains("<script") && !page.contains("http://") && !page.contains("https://"),
        "it needs nothing else"
    );
}

#[tokio::test]
async fn a_spec_is_checked_against_the_server() {
    let server = server(|request| {
        let query = fields(request)["query"].clone();
        let vector = |result: serde_json::Value| success(&serde_json::json!({"resultType": "vector", "result": result}));
        let one = |value: &str| serde_json::json!([{"metric": {}, "value": [now(), value]}]);
        match query.as_str() {
            "time()" => scalar(&now().to_string()),
            "unknown" => vector(serde_json::json!([])),
            "many" => vector(serde_json::json!([{"metric": {"a": "1"}, "value": [now(), "1"]}, {"metric": {"a": "2"}, "value": [now(), "1"]}])),
            query if query.contains("count_over_time(scraped[10m])") => vector(one("10")),
            _ => vector(one("0")),
        }
    })
    .await;
    let spec = "criteria:\n\
                - {name: fine, query: x, when: value == 0}\n\
                - {name: typo, query: unknown, when: value == 0}\n\
                - {name: several, query: many, when: value == 0}\n\
                - {name: short, query: 'rate(scraped[1m])', when: value == 0}\n\
                - {name: filter, query: 'x > 1', when: value == 0}\n";
    let url = format!("--prometheus-url={}", server.uri());
    let output =
        tokio::task::spawn_blocking(move || gate().args(["check", spec, &url]).output().unwrap())
            .await
            .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[tokio::test]
async fn a_bad_value_fails_with_exit_code_3() {
    let server = server(|request| constant(request, Some("2"))).await;
    let (output, folder) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(result(&folder, "verdict"), "fail");
    assert_eq!(
        result(&folder, "reason"),
        "limit: query: 2, wanted `value == 0`, 12 points in a row"
    );
}

#[tokio::test]
async fn no_data_is_inconclusive() {
    let server = server(|request| constant(request, None)).await;
    let (output, folder) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(result(&folder, "verdict"), "inconclusive");
    assert_eq!(
        result(&folder, "reason"),
        "nodata: query: no data; too late to hold for 1m before the deadline"
    );
}

#[tokio::test]
async fn a_server_that_lets_only_get_through_is_asked_by_get() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(405)).mount(&server).await;
    Mock::given(method("GET"))
        .respond_with(|request: &Request| constant(request, Some("0")))
        .mount(&server)
        .await;
    let (output, _) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[tokio::test]
async fn a_page_for_people_a_busy_server_and_a_warning_are_waited_out() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = server(move |request| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => ResponseTemplate::new(200).set_body_string("<html>log in</html>"),
        1 => ResponseTemplate::new(503).set_body_string("<html>maintenance</html>"),
        2 => ResponseTemplate::new(429).insert_header("Retry-After", "1"),
        4 => ResponseTemplate::new(200).set_body_string(r#"{"status":"success","warnings":["a store is away"],"data":{"resultType":"matrix","result":[]}}"#),
        _ => constant(request, Some("0")),
    })
    .await;
    let (output, folder) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(result(&folder, "verdict"), "pass");
    let log = stderr(&output);
    for trouble in ["<html>log in</html>", "503", "429", "a store is away"] {
        assert!(log.contains(trouble), "{trouble} is not in {log}");
    }
}

#[tokio::test]
async fn an_outage_is_inconclusive() {
    let server = server(|_| ResponseTemplate::new(503)).await;
    let (output, folder) =
        run(&server, &["--query=errors", "--when=value == 0", "--max-outage=3s"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(result(&folder, "verdict"), "inconclusive");
    assert!(
        result(&folder, "reason").starts_with("outage: Prometheus gave no usable answer for 3s")
    );
}

#[tokio::test]
async fn a_query_that_is_wrong_ends_at_once() {
    let server = server(|request| {
        if fields(request)["query"] == "time()" {
            return scalar(&now().to_string());
        }
        let body = r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end of input"}"#;
        ResponseTemplate::new(400).set_body_string(body)
    })
    .await;
    let (output, folder) = run(&server, &["--query=sum(", "--when=value == 0"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(result(&folder, "verdict"), "inconclusive");
    assert_eq!(
        last_error(&output, &server),
        "error: failed to query Prometheus `URL` for `query`: the server does not understand the query: \
         parse error: unexpected end of input\n\n\
         hint: try the query in Prometheus's own page, then put it into the param `query`\n"
    );
}

#[tokio::test]
async fn an_address_without_prometheus_ends_at_once() {
    let server =
        server(|_| ResponseTemplate::new(404).set_body_string("404 page not found\n")).await;
    let (output, _) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        last_error(&output, &server),
        "error: failed to query Prometheus `URL` for `query`: there is no Prometheus API (404 Not Found: 404 page not found)\n\n\
         hint: set the param `prometheus-url` to the address below which `/api/v1/query` answers\n"
    );
}

#[tokio::test]
async fn several_series_are_refused_and_two_are_named() {
    let server = server(|request| {
        if fields(request)["query"] == "time()" {
            return scalar(&now().to_string());
        }
        let start: f64 = fields(request)["start"].parse().unwrap();
        let series = |pod| serde_json::json!({"metric": {"pod": pod}, "values": [[start, "0"]]});
        matrix(&serde_json::json!([series("a"), series("b"), series("c")]))
    })
    .await;
    let (output, _) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        last_error(&output, &server),
        "error: the query of `query` gives 3 series where one is wanted: `{pod=\"a\"}` and `{pod=\"b\"}`\n\n\
         hint: wrap it in `sum(…)` or `max(…)`, or select one series\n"
    );
}

#[tokio::test]
async fn a_token_that_is_refused_ends_after_three_tries() {
    let server = server(|_| ResponseTemplate::new(403)).await;
    let (output, folder) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(result(&folder, "verdict"), "inconclusive");
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_token_is_read_again_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "old\n").unwrap();
    let path = token.clone();
    let server = server(move |request| {
        if request.headers["authorization"] == "Bearer old" {
            fs::write(&path, "new\n").unwrap(); // it is rotated while the first request is under way
            return ResponseTemplate::new(401);
        }
        assert_eq!(request.headers["authorization"], "Bearer new");
        constant(request, Some("0"))
    })
    .await;
    let flag = format!("--credentials={}", folder.path().display());
    let (output, _) = run(&server, &["--query=errors", "--when=value == 0", &flag]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[tokio::test]
async fn a_signal_ends_it_without_a_verdict() {
    let server = server(|request| constant(request, None)).await;
    let folder = tempfile::tempdir().unwrap();
    let verdict = folder.path().join("verdict");
    let mut child = gate()
        .arg(format!("--prometheus-url={}", server.uri()))
        .args(QUERY)
        .arg(format!("--result-verdict={}", verdict.display()))
        .arg(format!("--result-reason={}", folder.path().join("reason").display()))
        .spawn()
        .unwrap();
    // It listens to signals before it asks its first question.
    while server.received_requests().await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(143));
    assert_eq!(result(&folder, "verdict"), "inconclusive");
    assert!(
        result(&folder, "reason")
            .starts_with("aborted: stopped by a signal before a verdict; query: ")
    );
}

#[test]
fn a_question_that_makes_no_sense_is_refused_before_any_query() {
    let url = "--prometheus-url=http://prometheus:9090";
    assert!(
        stderr(&gate().args(["--query=x", "--when=value == 0"]).output().unwrap())
            .contains("the address of Prometheus")
    );
    for (args, text) in [
        (
            vec!["--query=x", "--when=value < five"],
            "`five` is not valid here; expected `value` or a number",
        ),
        (vec!["--query=x", "--when=value == 0", "--hold=90"], "time unit needed"),
        (
            vec!["--query=x", "--when=value == 0", "--hold=10m", "--deadline=10m"],
            "`deadline` of 10m can never be met",
        ),
        (vec!["--query=x", "--when=value == 0", "--hold=1s"], "`hold` is 1s, shorter than `step`"),
        (vec!["--query=rate(x[5q])", "--when=value == 0"], "`5q` is no PromQL duration"),
        (vec!["--criteria=errors", "--canary-revision=c", "--namespace=n"], "there is none"),
        (
            vec!["--criteria=speed", "--canary-revision=c"],
            "no-restarts, errors, rejections, latency, slo",
        ),
        (vec!["--spec={}"], "missing field"),
        (vec!["--query=", "--when=", "--criteria="], "there is nothing to ask"),
    ] {
        let output = gate().arg(url).args(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn the_help_teaches_by_example() {
    let output = gate().arg("--help").env("COLUMNS", "100").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

/// The error, without the log before it and with the server's address taken out.
fn last_error(output: &Output, server: &MockServer) -> String {
    let text = stderr(output).replace(&server.uri(), "URL");
    text[text.find("error:").unwrap()..].to_owned()
}

#[test]
fn results_are_not_left_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let output = gate()
        .args([
            "--prometheus-url=http://127.0.0.1:1",
            "--query=x",
            "--when=value == 0",
            "--max-outage=1s",
        ])
        .arg(format!("--result-verdict={}", folder.path().join("verdict").display()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(entries(folder.path()), ["verdict"]);
}

fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
