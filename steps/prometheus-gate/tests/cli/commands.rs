//! Help, and the commands that need no server to decide: `check`, `replay`, `simulate`.

use std::fs;

use crate::server::{NOW, QUERY, constant, fields, gate, run, scalar, server, stderr, success};

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
        let one = |value: &str| serde_json::json!([{"metric": {}, "value": [*NOW, value]}]);
        match query.as_str() {
            "time()" => scalar(&NOW.to_string()),
            "unknown" => vector(serde_json::json!([])),
            "many" => vector(serde_json::json!([{"metric": {"a": "1"}, "value": [*NOW, "1"]}, {"metric": {"a": "2"}, "value": [*NOW, "1"]}])),
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

#[test]
fn the_help_teaches_by_example() {
    let output = gate().arg("--help").env("COLUMNS", "100").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}
