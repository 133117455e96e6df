//! The binary as a process, against a store that answers as each test wants it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod aws;
mod builders;
mod checksums;
mod destination;
mod download;
mod errors;
mod listing;
mod run;
mod sources;
#[path = "../support/mod.rs"]
mod support;

use crate::run::command;

#[test]
fn help_teaches_by_example() {
    let output = command().arg("--help").env("COLUMNS", "100").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn words_that_make_no_sense_are_usage_and_no_secret_is_repeated() {
    let told = |args: &[&str]| {
        let output = command().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
        text
    };
    let to = "--into=x";
    insta::assert_snapshot!(
        [
            told(&[]),
            told(&["--from=https://user:s3cr3t@host/x", to]),
            told(&["--from=s3://b", to]),
            told(&["--store=s3://user:s3cr3t@b/p", "--bento=iris:v1", to]),
            told(&["--store=s3://b/p?secret=s3cr3t", "--bento=iris:v1", to]),
            told(&["--store=/data", "--bento=iris:v1", to]),
            told(&["--store=s3://b", "--bento=iris", to]),
            told(&["--store=s3://b", "--bento=iris:v1", "--sha256=abc", to]),
        ]
        .join("\n")
    );
}
