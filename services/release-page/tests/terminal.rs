//! `release-page watch` and `list` as a process, where there is no cluster.

use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;

fn run(args: &[&str]) -> Output {
    Command::new(cargo_bin!("release-page"))
        .args(args)
        .env_clear()
        .env("KUBECONFIG", "/nowhere")
        .output()
        .expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_help_of_watch_teaches_by_example_and_names_its_events() {
    let shown = run(&["watch", "--help"]);
    assert_eq!(shown.status.code(), Some(0));
    insta::assert_snapshot!(text(&shown.stdout));
}

#[test]
fn the_help_of_list_teaches_by_example() {
    let shown = run(&["list", "--help"]);
    assert_eq!(shown.status.code(), Some(0));
    insta::assert_snapshot!(text(&shown.stdout));
}

#[test]
fn without_a_cluster_both_say_what_to_do() {
    for args in [&["watch", "iris"][..], &["list"]] {
        let failed = run(args);
        assert_eq!(failed.status.code(), Some(1));
        let error = text(&failed.stderr);
        assert!(error.starts_with("error: failed to find a Kubernetes cluster: "), "{error}");
        assert!(error.contains("\n\nhint: in a pod, "), "{error}");
        assert_eq!(text(&failed.stdout), "");
    }
}

#[test]
fn what_is_no_duration_or_form_is_a_usage_error() {
    for args in [&["watch", "--timeout=soon"][..], &["list", "--output=yaml"]] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_word_too_many_is_told_what_to_write_instead() {
    let told = [&["watch", "iris", "v2"][..], &["list", "iris"]].map(|args| {
        let refused = run(args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        text(&refused.stderr)
    });
    insta::assert_snapshot!(told.join("\n"), @r"
    error: `watch` follows one service

    hint: write `watch SERVICE`, with `--version VERSION` for the release of one version; `list` shows all services

    error: `list` shows all services and takes no name

    hint: write `list --namespace NAME` for those of a namespace, and `watch SERVICE` to follow one
    ");
}
