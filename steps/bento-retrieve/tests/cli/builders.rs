//! What a builder cannot build.

use crate::{
    run::{Ended, KEY, Run},
    support::{
        server::Server,
        tar::{archive, file, gzip, symlink},
    },
};

#[test]
fn what_to_know_before_building_is_said() {
    let manifest = b"name: iris\nversion: v1\nenvs:\n- name: TOKEN\n  value: s3cr3t\nmodels:\n- tag: org/llm:main\n  registry: huggingface\n";
    let dockerfile = b"FROM x\nRUN --mount=type=secret,id=TOKEN pip install x\n";
    let files = [
        file("bento.yaml", manifest),
        file("env/docker/Dockerfile", dockerfile),
        symlink("latest", "env"),
    ];
    let run = Run::new(Server::start([(KEY, gzip(&archive(files)))]));
    let ended = run.retrieve();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains("s3cr3t"));
    insta::assert_snapshot!(
        ended
            .stderr
            .lines()
            .filter(|line| line.starts_with("warning"))
            .collect::<Vec<_>>()
            .join("\n")
    );
}

/// A bento with this Dockerfile and entrypoint, and what became of it when kaniko is to build it.
fn retrieved_for(builder: &[&str], dockerfile: &str, entrypoint: &str) -> (Run, Ended) {
    let files = [
        file("bento.yaml", b"name: iris\nversion: v1\n"),
        file("env/docker/Dockerfile", dockerfile.as_bytes()),
        file("env/docker/entrypoint.sh", entrypoint.as_bytes()),
    ];
    let run = Run::new(Server::start([(KEY, gzip(&archive(files)))]));
    let output = run.command().args(builder).output().unwrap();
    let ended = run.ended(output);
    (run, ended)
}

/// As BentoML 1.0.0 wrote it for a service with conda packages.
const CONDA: &str = "# syntax = docker/dockerfile:1.4.3
FROM continuumio/miniconda3:latest as base-container
ENV BENTO_PATH=/home/bentoml/bento
COPY --chown=bentoml:bentoml . ./
RUN --mount=type=cache,target=/opt/conda/pkg bash <<EOF
set -euxo pipefail
/opt/conda/bin/conda env update -n base -f /home/bentoml/bento/env/conda/environment.yml
EOF
ENTRYPOINT [ \"/home/bentoml/bento/env/docker/entrypoint.sh\" ]
";

#[test]
fn a_bento_that_would_become_another_image_is_refused_with_the_line() {
    let windows = "#!/usr/bin/env bash\r\nexec \"$@\"\r\n";
    let backslashes = "FROM x\nCOPY .\\env\\docker ./env/docker\n";
    let two = "FROM x\nRUN --mount=type=secret,id=A true\nRUN --network=none true\n";
    let mut told = String::new();
    for (dockerfile, entrypoint) in
        [(CONDA, ""), ("FROM x\n", windows), (backslashes, ""), (two, "")]
    {
        let (run, ended) = retrieved_for(&["--builder=kaniko"], dockerfile, entrypoint);
        run.assert_nothing(&ended);
        told += &ended.stderr;
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_builder_is_refused_only_what_it_cannot_build() {
    let (run, ended) = retrieved_for(&["--builder=buildkit"], CONDA, "");
    assert_eq!((ended.code, run.result("bento").is_some()), (Some(0), true), "{}", ended.stderr);
    let (run, ended) = retrieved_for(&["--builder=buildkit"], "FROM x\n", "#!/bin/sh\r\n");
    run.assert_nothing(&ended);
    for dockerfile in [CONDA, "FROM x\r\nRUN a \\\r\n && b <<< c\r\n"] {
        let (_, ended) = retrieved_for(&[], dockerfile, "#!/bin/sh\r\n");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let warning = "warning: `env/docker/entrypoint.sh`, line 1";
        assert!(ended.stderr.contains(warning), "{}", ended.stderr);
    }
}

#[test]
fn names_of_windows_are_told_from_a_bento_that_is_not_whole() {
    let files = [
        file("bento.yaml", b"name: iris\nversion: v1\n"),
        file("env\\docker\\Dockerfile", b"FROM x\n"),
    ];
    let run = Run::new(Server::start([(KEY, gzip(&archive(files)))]));
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    let told = "names its files as Windows does: `env\\docker\\Dockerfile`";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}
