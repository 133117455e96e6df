//! Help, config and addresses.

use std::{fs, process::Output};

use crate::server::{Server, command};

fn with_config(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yaml"), text).unwrap();
    command()
        .args(["--listen=192.0.2.1:9", "--config=config.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap()
}

#[test]
fn help_teaches_by_example() {
    let output = command().arg("--help").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn a_config_with_a_fault_is_wrong_usage() {
    for (name, text) in [
        (
            "bounds",
            "services:\n  - name: iris\n    fields:\n      - {pointer: /score, kind: number, buckets: [1, 0.5]}\n",
        ),
        ("key", "services:\n  - name: iris\n    field: /species\n"),
    ] {
        let output = with_config(text);
        assert_eq!(output.status.code(), Some(2), "{name}");
        insta::assert_snapshot!(name, String::from_utf8(output.stderr).unwrap());
    }
}

#[test]
fn the_log_says_what_is_counted() {
    let output =
        with_config("{services: [{name: iris, fields: [{pointer: /species}]}], others: refuse}");
    assert_eq!(output.status.code(), Some(1), "it is no address of this machine");
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
    let output = command().args(["--listen=192.0.2.1:9", "--config=/nowhere/config.yaml"]).output();
    let log = String::from_utf8(output.unwrap().stderr).unwrap();
    assert_eq!(
        log.lines().next().unwrap(),
        "no config at `/nowhere/config.yaml`: all services are counted by themselves"
    );
}

#[test]
fn a_config_that_cannot_be_read_is_an_error() {
    let output = command().args(["--listen=192.0.2.1:9", "--config=/"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
}

#[test]
fn services_that_the_config_does_not_name_may_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    fs::write(&file, "{services: [{name: iris, namespace: models}], others: refuse}").unwrap();
    let server = Server::with(&[&format!("--config={}", file.display())]);
    assert_eq!(server.send("/models/iris/v1", br#"{"a": 1}"#), 202);
    assert_eq!(server.send("/models/fraud/v1", br#"{"a": 1}"#), 404);
    assert_eq!(server.samples_after(1, "kanaria_answers_total").len(), 1);
    // Whoever sets a logger can ask before, and is no event.
    for method in ["GET", "HEAD", "PUT"] {
        assert_eq!(server.ask(&format!("{method} /models/iris/v2"), b"").0, 405, "{method}");
        assert_eq!(server.ask(&format!("{method} /models/fraud/v2"), b"").0, 404, "{method}");
    }
}
