//! Gates on the rungs of a ladder.

use std::fs;

use jiff::Timestamp;

use crate::server::{NOW, QUERY, constant, fields, gate, result, run, server, stderr};

/// So many seconds ago by the server's clock.
fn ago(seconds: f64) -> String {
    Timestamp::from_duration(jiff::SignedDuration::from_secs_f64(*NOW - seconds))
        .unwrap()
        .to_string()
}

/// A rung at 10 % four minutes ago, one at 25 % three minutes ago, and this one at 50 %.
fn flags(start: f64) -> [String; 4] {
    [
        format!("--climbed=10@{},25@{}", ago(240.0), ago(180.0)),
        "--ladder=10,25,50,100".to_owned(),
        "--percent=50".to_owned(),
        format!("--start={}", ago(start)),
    ]
}

#[tokio::test]
async fn evidence_begins_with_the_first_rung_and_the_hold_with_this_one() {
    let server = server(|request| constant(request, Some("0"))).await;
    let folder = tempfile::tempdir().unwrap();
    let report = format!("--report={}", folder.path().display());
    let flags = flags(100.0);
    let more: Vec<&str> = flags.iter().map(String::as_str).chain([report.as_str()]).collect();
    let (output, results) = run(&server, &[&QUERY[..], &more].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(result(&results, "reason"), "hold: held for 1m: query: 0");
    let requests = server.received_requests().await.unwrap();
    let first = requests.iter().find_map(|request| fields(request).remove("start")).unwrap();
    assert_eq!(first, format!("{:.3}", *NOW - 240.0));

    let text = fs::read(folder.path().join("verdict.json")).unwrap();
    let verdict: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(verdict["climbed"], flags[0].trim_start_matches("--climbed="));
    let started: Timestamp = verdict["t0"].as_str().unwrap().parse().unwrap();
    assert_eq!(started.to_string(), ago(100.0));
    let replayed = gate().arg("replay").arg(folder.path().join("record.ndjson")).output().unwrap();
    assert_eq!(replayed.stdout, text, "{}", stderr(&replayed));
    let record = fs::read_to_string(folder.path().join("record.ndjson")).unwrap();
    assert!(record.contains("\"gates\":3"), "{}", record.lines().next().unwrap());

    let (output, _) = run(
        &server,
        &[&QUERY[..], &self::flags(70.0).each_ref().map(String::as_str), &["--deadline=80s"]]
            .concat(),
    )
    .await;
    assert_eq!(
        output.status.code(),
        Some(2),
        "80 s from this rung on are too few: {}",
        stderr(&output)
    );
}

#[tokio::test]
async fn what_was_climbed_may_stand_in_the_spec() {
    let server = server(|request| constant(request, Some("0"))).await;
    let spec = format!(
        "rollout:\n  climbed: 10@{}\n  ladder: 10,50\n  percent: 50\ncriteria: [{{name: query, query: q, when: value == 0}}]",
        ago(240.0)
    );
    let (output, _) = run(&server, &["--spec", &spec, &format!("--start={}", ago(100.0))]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let requests = server.received_requests().await.unwrap();
    let first = requests.iter().find_map(|request| fields(request).remove("start")).unwrap();
    assert_eq!(first, format!("{:.3}", *NOW - 240.0));
}

#[tokio::test]
async fn an_empty_ladder_and_a_time_to_bake_below_all_traffic_change_nothing() {
    let server = server(|request| constant(request, Some("0"))).await;
    let folder = tempfile::tempdir().unwrap();
    let report = format!("--report={}", folder.path().display());
    let more = ["--climbed=", "--ladder=", "--bake=10m", "--percent=10", &report];
    let (output, results) = run(&server, &[&QUERY[..], &more].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(result(&results, "reason"), "hold: held for 1m: query: 0");
    let record = fs::read_to_string(folder.path().join("record.ndjson")).unwrap();
    assert!(!record.contains("\"rungs\""), "as a record before there were ladders");
}

#[tokio::test]
async fn at_all_traffic_a_gate_waits_for_the_time_to_bake() {
    let server = server(|request| constant(request, Some("0"))).await;
    let more = ["--percent=100", "--bake=2m"];
    let (output, results) = run(&server, &[&QUERY[..], &more].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(result(&results, "reason"), "hold: nothing failed for 2m at 100 %: query: 0");
}

#[test]
fn rungs_that_make_no_sense_are_refused_before_anything_is_asked() {
    let late = format!("--climbed=10@{}", ago(50.0));
    let start = format!("--start={}", ago(100.0));
    for (flags, why) in [
        (vec!["--climbed=10"], "write PERCENT@TIME, such as `10@2026-11-24T09:30:00Z`"),
        (vec!["--climbed=50@2026-11-24T09:30:00Z,10@2026-11-24T09:41:00Z"], "above the one before"),
        (vec!["--ladder=25,10"], "above the one before"),
        (vec!["--bake=soon"], "write `90s`, `5m` or `1h30m`"),
        (vec![&late, &start], "this rung is said to begin before the one at 10 %"),
        (vec![&late], "this rung is said to begin before the one at 10 %"),
    ] {
        let output =
            gate().arg("--prometheus-url=http://127.0.0.1:1").args(QUERY).args(&flags).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{flags:?}: {}", stderr(&output));
    }
}
