//! The binary as a process: its help, and what it says when it is called wrongly.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use assert_cmd::Command;
use insta::assert_snapshot;

fn run(line: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("canary-rollback").unwrap();
    let command = command
        .env("KUBECONFIG", "/nowhere/config")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("COLUMNS");
    let output = command.args(line).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn the_help_teaches_by_example() {
    assert_snapshot!(run(&["--help"]).1);
}

#[test]
fn a_rollback_of_nobody_knows_what_is_a_usage_error() {
    let (code, text) = run(&["--service=iris", "--canary-revision=", "--canary-image="]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn an_undo_names_no_canary() {
    let (code, text) = run(&["--service=iris", "--undo=true", "--canary-image=r/iris@sha256:5d41"]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn without_a_cluster_it_could_not_and_every_empty_param_counts_as_not_given() {
    let (code, text) = run(&[
        "--service=iris",
        "--canary-revision=r",
        "--baseline-image=",
        "--keep-promoted=",
        "--timeout=",
    ]);
    assert_eq!(code, 1);
    assert_snapshot!(text);
}
