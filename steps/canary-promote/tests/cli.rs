//! The binary as a process: its help, and what it says when it is called wrongly.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use assert_cmd::Command;
use insta::assert_snapshot;

fn run(line: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("canary-promote").unwrap();
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
fn an_empty_revision_is_a_usage_error() {
    let (code, text) = run(&["--service=iris", "--canary-revision="]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn a_ladder_that_descends_is_a_usage_error() {
    let (code, text) = run(&["--service=iris", "--canary-revision=r", "--ladder=25,10"]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn rungs_without_a_time_are_a_usage_error() {
    let (code, text) = run(&["--service=iris", "--canary-revision=r", "--climbed=10,25"]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn without_a_cluster_it_could_not_and_every_empty_param_counts_as_not_given() {
    let empty = [
        "--ladder=",
        "--percent=",
        "--bake=",
        "--room-timeout=",
        "--timeout=",
        "--started-at=",
        "--climbed=",
        "--reason=",
        "--canary-image=",
    ];
    let (code, text) = run(&[&["--service=iris", "--canary-revision=r"][..], &empty].concat());
    assert_eq!(code, 1);
    assert_snapshot!(text);
}
