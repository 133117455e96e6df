//! The binary as a process: its help, and what it says when it is called wrongly.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use assert_cmd::Command;
use insta::assert_snapshot;

fn run(line: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("canary-decide").unwrap();
    let command = command
        .env("KUBECONFIG", "/nowhere/config")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("COLUMNS");
    let output = command.args(line).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

const ABOUT: [&str; 3] = ["--service=iris", "--version=v2", "--by=ada"];

#[test]
fn the_help_teaches_by_example() {
    assert_snapshot!(run(&["--help"]).1);
}

#[test]
fn a_word_that_it_does_not_know_is_a_usage_error_that_names_those_it_knows() {
    let (code, text) = run(&[&ABOUT[..], &["--decision=pause"]].concat());
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn a_decision_of_nobody_is_a_usage_error() {
    let (code, text) = run(&["--service=iris", "--version=v2", "--decision=hold", "--by="]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn a_hold_up_to_a_percent_is_a_usage_error() {
    let (code, text) = run(&[&ABOUT[..], &["--decision=hold", "--percent=50"]].concat());
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn a_version_that_no_event_has_is_a_usage_error() {
    let (code, text) =
        run(&["--service=iris", "--decision=hold", "--by=ada", "--version=v2@50 bob"]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn without_a_cluster_it_could_not_and_every_empty_param_counts_as_not_given() {
    let empty = ["--decision=hold", "--percent=", "--reason=", "--namespace=", "--timeout="];
    let (code, text) = run(&[&ABOUT[..], &empty].concat());
    assert_eq!(code, 1);
    assert_snapshot!(text);
}
