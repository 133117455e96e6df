//! The binary as a process: its help, what it refuses, its end.

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

fn told(args: &[&str]) -> (Option<i32>, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_release-page")).env_clear().args(args).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

#[test]
fn help_teaches_by_example() {
    insta::assert_snapshot!(told(&["serve", "--help"]).1);
}

#[test]
fn an_address_that_others_reach_is_refused_until_somebody_says_who_may() {
    let (code, _, err) = told(&["serve", "--listen=0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(err);
}

#[test]
fn a_token_that_lets_everybody_in_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (text, why) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("two words", "more than one word"),
        ("s3same", "fewer than 16"),
    ] {
        let file = folder.path().join("token");
        std::fs::write(&file, text).unwrap();
        let (code, _, err) = told(&["serve", &format!("--token-file={}", file.display())]);
        assert_eq!(code, Some(1));
        assert!(err.contains(why) && err.contains("hint:"), "{err}");
    }
}

#[test]
fn a_user_header_without_a_trusted_proxy_is_refused() {
    let (code, _, err) = told(&["serve", "--user-header=x-user"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--trusted-proxy"), "{err}");
}

#[test]
fn ctrl_c_ends_it_without_waiting_for_requests_that_a_cluster_would_still_send() {
    const NOBODY: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "users": [{"name": "it", "user": {}}],
        "clusters": [{"name": "it", "cluster": {"server": "http://127.0.0.1:9"}}]}"#;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("kubeconfig");
    std::fs::write(&config, NOBODY).unwrap();
    let signalled = |signal: &str| {
        let mut page = Command::new(env!("CARGO_BIN_EXE_release-page"));
        page.env_clear().env("KUBECONFIG", &config).args(["serve", "--listen=127.0.0.1:0"]);
        let mut page = page.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(page.stderr.take().unwrap()).lines().map(Result::unwrap);
        lines.find(|line| line.starts_with("serving on")).unwrap();
        let pid = page.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let waits = lines.any(|line| line.starts_with("stopping: requests are served for"));
        (waits, page.wait().unwrap().code())
    };
    assert_eq!(signalled("-INT"), (false, Some(143)));
    assert_eq!(signalled("-TERM"), (true, Some(143)));
}
