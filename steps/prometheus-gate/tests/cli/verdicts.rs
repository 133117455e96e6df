//! Verdicts and their results.

use std::{fs, io::Read as _, process::Command};

use crate::server::{NOW, QUERY, constant, fields, gate, result, run, server, stderr};

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

#[tokio::test]
async fn nothing_is_asked_before_it_is_final() {
    let server = server(|request| constant(request, Some("0"))).await;
    let (output, _) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let requests = server.received_requests().await.unwrap();
    let ends: Vec<String> =
        requests.iter().filter_map(|request| fields(request).remove("end")).collect();
    assert_eq!(ends, [format!("{:.3}", *NOW - 10.0)], "a point is final after ten seconds");
}

#[tokio::test]
async fn a_result_is_replaced_whole() {
    let server = server(|request| constant(request, Some("0"))).await;
    let folder = tempfile::tempdir().unwrap();
    let verdict = folder.path().join("verdict");
    fs::write(&verdict, "before").unwrap();
    let mut reader = fs::File::open(&verdict).unwrap();
    let flag = format!("--result-verdict={}", verdict.display());
    let (output, _) = run(&server, &[&QUERY[..], &[&flag]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut seen = String::new();
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "before", "who reads it meanwhile never sees a part");
    assert_eq!(result(&folder, "verdict"), "pass");
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["verdict"]);
}
