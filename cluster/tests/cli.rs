//! The command line as a process.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::{Command, Output};

fn cluster(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cluster")).args(args).output().unwrap()
}

#[test]
fn help_teaches_by_example() {
    let help = String::from_utf8(cluster(&["--help"]).stdout).unwrap();
    for verb in ["up", "status", "down", "logs", "env"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}: {help}");
    }
    assert!(help.contains("eval \"$(cargo run -q -p cluster -- env)\""), "{help}");
}

#[test]
fn an_unknown_verb_is_a_usage_error() {
    assert_eq!(cluster(&["upp"]).status.code(), Some(2));
}

#[test]
fn without_root_the_command_says_so_and_what_to_do() {
    // A copy, because the build directory may be closed to others.
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let program = dir.path().join("cluster");
    std::fs::copy(env!("CARGO_BIN_EXE_cluster"), &program).unwrap();
    let readable = Command::new("chmod").arg("755").arg(dir.path()).arg(&program).status().unwrap();
    assert!(readable.success());
    let nobody = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .arg("up")
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(nobody.stderr).unwrap(),
        "error: failed to start the cluster: it takes root, for namespaces, the network and containers\n\n\
         hint: run it with sudo -E (the cache stays yours), or in a root shell\n"
    );
}
