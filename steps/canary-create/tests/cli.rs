//! The binary as a process: its help, and what it says when it is called wrongly.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use assert_cmd::Command;
use insta::assert_snapshot;

fn run(line: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("canary-create").unwrap();
    let command = command
        .env("KUBECONFIG", "/nowhere/config")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("COLUMNS");
    let output = command.args(line).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

const IMAGE: &str =
    "--image=r/iris@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

#[test]
fn the_help_teaches_by_example() {
    assert_snapshot!(run(&["--help"]).1);
}

#[test]
fn a_tag_is_a_usage_error_that_says_why() {
    let (code, text) = run(&["--service=iris", "--image=r/iris:v2"]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn a_name_that_leaves_no_room_for_its_canary_is_a_usage_error() {
    let (code, text) = run(&[&format!("--service={}", "i".repeat(47)), IMAGE]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn a_ladder_of_a_hundred_percent_is_no_canary() {
    let (code, text) = run(&["--service=iris", IMAGE, "--ladder=100"]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn a_start_timeout_is_one_that_knative_takes() {
    for time in ["0s", "1500ms", "25h", "soon"] {
        let (code, text) = run(&["--service=iris", IMAGE, "--start-timeout", time]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("--start-timeout"), "{text}");
    }
    assert_snapshot!(run(&["--service=iris", IMAGE, "--start-timeout=1500ms"]).1);
}

#[test]
fn the_answer_counter_s_address_is_plain_and_its_services_are_new_or_all() {
    let answers = |url| run(&["--service=iris", IMAGE, "--answers", url]);
    for url in ["https://answer-counter:8080", "http://answer-counter/path", "answer-counter"] {
        assert_eq!(answers(url).0, 2, "{url}");
    }
    let (_, url) = answers("http://ada:hunter2@answer-counter:8080");
    assert!(!url.contains("hunter2"), "{url}");
    let (_, of) = run(&["--service=iris", IMAGE, "--answers-of=some"]);
    assert_snapshot!(url + &of);
}

#[test]
fn port_is_not_set_as_a_variable() {
    let (code, text) = run(&["--service=iris", IMAGE, "--env=PORT=80"]);
    assert_eq!(code, 2);
    assert_snapshot!(text);
}

#[test]
fn without_a_cluster_it_could_not_and_every_empty_param_counts_as_not_given() {
    let empty = [
        "--ladder=",
        "--namespace=",
        "--start-timeout=",
        "--retry-rejected=",
        "--port=",
        "--result-outcome=",
    ];
    let (code, text) = run(&[&["--service=iris", IMAGE][..], &empty].concat());
    assert_eq!(code, 1);
    assert_snapshot!(text);
}
