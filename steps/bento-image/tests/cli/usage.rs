//! What is typed: help, and errors that do not repeat secrets.

use insta::assert_snapshot;

use crate::run::command;

fn help(arguments: &[&str]) -> String {
    let output = command().args(arguments).env("COLUMNS", "100").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_teaches_by_example() {
    assert_snapshot!(help(&["--help"]));
}

#[test]
fn each_subcommand_has_its_help() {
    for subcommand in ["assemble", "plan", "prepare", "build", "finish"] {
        assert_snapshot!(subcommand, help(&[subcommand, "--help"]));
    }
}

#[test]
fn what_makes_no_sense_is_a_usage_error_and_no_secret_is_repeated() {
    let told = |arguments: &[&str]| {
        let output = command().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
        format!("$ bento-image {}\n{text}", arguments.first().unwrap_or(&""))
    };
    let store = "--store=s3://bentos";
    let bento = "--bento=iris:v1";
    let image = "--image=registry.example/models/iris";
    assert_snapshot!(
        [
            told(&[]),
            told(&["build"]),
            told(&["finish", store, bento, image]),
            told(&["prepare", store, bento, image]),
            told(&["assemble", store, image]),
            told(&["assemble", store, "--bento=iris", image]),
            told(&["assemble", "--store=s3://user:s3cr3t@b/p", bento, image]),
            told(&["assemble", store, bento, "--image=registry.example/models/iris:v1"]),
            told(&["assemble", store, bento, "--image=user:s3cr3t@registry.example/iris"]),
            told(&["assemble", store, bento, "--image=iris"]),
            told(&["assemble", store, bento, image, "--sha256=s3cr3t"]),
            told(&["assemble", store, bento, image, "--max-age=soon"]),
            told(&["assemble", store, bento, image, "--build-arg=TOKEN=s3cr3t"]),
        ]
        .join("\n")
    );
}
