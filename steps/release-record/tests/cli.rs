//! The binary as a process: its help, what it says when it is called wrongly, and how it ends where there is no store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use assert_cmd::Command;
use insta::assert_snapshot;
use tempfile::TempDir;

fn command(line: &[&str]) -> Command {
    let mut command = Command::cargo_bin("release-record").unwrap();
    command.env_clear().args(line);
    command
        .env("KUBECONFIG", "/nowhere/config")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn run(line: &[&str]) -> (i32, String) {
    let output = command(line).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn the_help_teaches_by_example() {
    assert_snapshot!(run(&["--help"]).1);
}

#[test]
fn the_help_of_what_a_task_runs_teaches_by_example() {
    assert_snapshot!(run(&["gate", "--help"]).1);
}

#[test]
fn the_help_of_what_a_cron_job_runs_teaches_by_example() {
    assert_snapshot!(run(&["runs", "--help"]).1);
}

#[test]
fn what_is_no_place_in_a_store_is_a_usage_error_that_does_not_repeat_it() {
    let (code, text) = run(&["runs", "--releases=https://key:s3cr3t@host/bentos"]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn without_a_place_nothing_is_kept_and_that_is_well() {
    let (code, text) = run(&["runs", "--releases=", "--s3-endpoint=", "--retention="]);
    assert_eq!(code, 0);
    assert!(text.contains("nothing is kept"), "{text}");
}

#[test]
fn without_a_store_it_could_not() {
    let away = ["--s3-endpoint=http://127.0.0.1:9", "--retries=0"];
    let (code, text) = run(&[&["runs", "--releases=s3://bentos/releases"][..], &away].concat());
    assert_eq!(code, 1);
    assert_snapshot!(text);
}

/// How it ends after a gate that ended with this code
fn after(code: &str, more: &[&str]) -> (i32, String) {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("verdict.json"), "{}").unwrap();
    fs::write(home.path().join("code"), code).unwrap();
    let folder = format!("--folder={}", home.path().display());
    let file = format!("--exit-code-file={}", home.path().join("code").display());
    let of = ["--namespace=models", "--service=iris", "--canary-version=v2", "--pipeline-run=p-1"];
    run(&[&["gate", &folder, &file], &of[..], more].concat())
}

#[test]
fn it_ends_as_the_gate_did_whatever_becomes_of_the_store() {
    let away = ["--releases=s3://bentos", "--s3-endpoint=http://127.0.0.1:9", "--retries=0"];
    let wrong = ["--releases=bentos"];
    for (code, end) in [("0", 0), ("1", 1), ("2", 2), ("3", 3), ("143", 143), ("-1", 1)] {
        for more in [&[][..], &away, &wrong] {
            let (found, text) = after(code, more);
            assert_eq!(found, end, "{code} {more:?}: {text}");
        }
    }
    let (_, text) = after("3", &away);
    assert!(text.contains("the verdict does not depend on it"), "{text}");
    assert!(text.contains("hint"), "{text}");
}

#[test]
fn a_gate_of_no_service_leaves_nothing_and_no_exit_code_is_a_zero() {
    let (code, text) = run(&["gate", "--folder=/nowhere", "--releases=s3://bentos", "--service="]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("it is of no `service`"), "{text}");
}
