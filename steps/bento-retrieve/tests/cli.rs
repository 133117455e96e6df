//! The binary as a process, against a store that answers as each test wants it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use assert_cmd::cargo::cargo_bin;
use support::{
    bento, bento_files, listing,
    server::{Answer, Server},
    tar::{archive, bzip2, file, gzip, symlink, xz},
};
use tempfile::TempDir;

const KEY: &str = "bentos/team/iris/v1.tar.gz";

struct Run {
    home: TempDir,
    server: Server,
}

impl Run {
    fn new(server: Server) -> Self {
        Self { home: tempfile::tempdir().unwrap(), server }
    }

    fn bento(&self) -> PathBuf {
        self.home.path().join("bento")
    }

    fn command(&self) -> Command {
        self.command_with("bento", "500ms")
    }

    fn command_with(&self, into: &str, idle: &str) -> Command {
        let mut command = command();
        command.current_dir(self.home.path()).args([
            &format!("--s3-endpoint={}", self.server.url()),
            "--store=s3://bentos/team",
            "--bento=iris:v1",
            &format!("--into={into}"),
            &format!("--idle-timeout={idle}"),
            "--retries=3",
            "--result-bento=result.bento",
            "--result-sha256=result.sha256",
            "--result-context=result.context",
            "--result-dockerfile=result.dockerfile",
            "--image=registry.local:5000/models/iris",
            "--result-image-url=result.image-url",
        ]);
        command
    }

    fn retrieve(&self) -> Ended {
        self.ended(self.command().output().unwrap())
    }

    fn ended(&self, output: Output) -> Ended {
        let stderr =
            String::from_utf8(output.stderr).unwrap().replace(&self.server.url(), "[server]");
        Ended { code: output.status.code(), stderr }
    }

    fn result(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.home.path().join(format!("result.{name}"))).ok()
    }

    /// What is there that is neither the bento nor a result.
    fn left_over(&self) -> Vec<String> {
        let names = fs::read_dir(self.home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| {
                name != "bento" && !name.starts_with("result.") && name != ".bento.retrieved.json"
            })
            .collect()
    }

    fn assert_whole(&self, ended: &Ended) {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for (name, text) in bento_files("iris", "v1") {
            assert_eq!(fs::read(self.bento().join(name)).unwrap(), text);
        }
        assert_eq!(self.left_over(), Vec::<String>::new());
    }

    fn assert_nothing(&self, ended: &Ended) {
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(!self.bento().exists());
        assert_eq!(self.left_over(), Vec::<String>::new());
        assert_eq!(self.result("bento"), None);
    }
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stderr: String,
}

/// Without anything of the machine it runs on.
fn command() -> Command {
    let mut command = Command::new(cargo_bin!("bento-retrieve"));
    command.env_clear().envs([
        ("AWS_ACCESS_KEY_ID", "user"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "us-east-1"),
        ("HOME", "/nonexistent"),
        ("NO_PROXY", "*"),
    ]);
    command
}

/// Retrieves from an archive instead of a store.
fn retrieve_from(run: &Run, from: &str, more: &[&str]) -> Ended {
    let mut command = command();
    command
        .current_dir(run.home.path())
        .args(["--into=bento", "--from", from, "--retries=3"])
        .args(more);
    command.env("AWS_ENDPOINT_URL", run.server.url());
    run.ended(command.output().unwrap())
}

fn served(answers: impl IntoIterator<Item = Answer>) -> Run {
    Run::new(Server::start([(KEY, bento("iris", "v1"))]).script(answers))
}

fn sha256sum(bytes: &[u8]) -> String {
    sum("sha256sum", bytes)
}

fn sum(program: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, bytes).unwrap();
    let output = Command::new(program).arg(path).output().unwrap().stdout;
    String::from_utf8(output).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn help_teaches_by_example() {
    let output = command().arg("--help").env("COLUMNS", "100").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn a_bento_is_unpacked_and_its_results_are_exact() {
    let run = served([]);
    let ended = run.retrieve();
    run.assert_whole(&ended);
    assert_eq!(run.result("bento").as_deref(), Some("iris:v1"));
    assert_eq!(run.result("sha256"), Some(sha256sum(&bento("iris", "v1"))));
    assert_eq!(run.result("context").as_deref(), Some("bento"));
    assert_eq!(run.result("dockerfile").as_deref(), Some("env/docker/Dockerfile"));
    assert_eq!(run.result("image-url").as_deref(), Some("registry.local:5000/models/iris:v1"));
    assert_eq!(run.server.seen(), [format!("/{KEY}")], "one request is all it takes");
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn everyone_may_read_it_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let run = served([]);
    let (command, mut strict) = (run.command(), Command::new("sh"));
    strict.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(command.get_program());
    strict.args(command.get_args()).current_dir(run.home.path()).env("AWS_ACCESS_KEY_ID", "user");
    run.assert_whole(&run.ended(strict.env("AWS_SECRET_ACCESS_KEY", "secret").output().unwrap()));
    let mode = |name| fs::metadata(run.bento().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["", "env", "bento.yaml"].map(mode), [0o755, 0o755, 0o644]);
}

#[test]
fn a_second_run_finds_it_there_and_asks_the_store_nothing() {
    let run = served([]);
    run.assert_whole(&run.retrieve());
    fs::remove_file(run.home.path().join("result.sha256")).unwrap();
    run.assert_whole(&run.retrieve());
    assert_eq!(run.result("sha256"), Some(sha256sum(&bento("iris", "v1"))));
    assert_eq!(run.server.seen().len(), 1);
}

#[test]
fn another_bento_at_the_place_is_left_alone() {
    let run = served([]);
    run.assert_whole(&run.retrieve());
    let before = listing(&run.bento());
    let ended = run.ended(run.command().arg("--sha256").arg("0".repeat(64)).output().unwrap());
    assert_eq!((ended.code, listing(&run.bento())), (Some(1), before));
    insta::assert_snapshot!(ended.stderr.replace(&sha256sum(&bento("iris", "v1")), "[sha256]"));
}

#[test]
fn a_cut_connection_is_taken_up_at_the_byte_it_had() {
    let whole = bento("iris", "v1");
    let run = served([Answer::CutAfter(50_000), Answer::CutAfter(60_000), Answer::Whole]);
    run.assert_whole(&run.retrieve());
    assert_eq!(run.result("sha256"), Some(sha256sum(&whole)));
    let seen: Vec<_> = run
        .server
        .seen()
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap_or("all").to_owned())
        .collect();
    assert_eq!(seen, ["all", "bytes=50000-", "bytes=110000-"]);
    assert!(
        run.server.seen()[1..].iter().all(|line| line.split(' ').count() == 3),
        "each with If-Match"
    );
}

#[test]
fn what_may_heal_is_tried_again() {
    let run = served([
        Answer::Hangup,
        Answer::Error(503, "SlowDown"),
        Answer::NotS3(500),
        Answer::StallAfter(20_000),
        Answer::StallAfter(0),
        Answer::CutAfter(10_000),
        Answer::Error(500, "InternalError"),
        Answer::CutAfter(0),
    ]);
    run.assert_whole(&run.retrieve());
}

#[test]
fn a_store_that_stays_ill_is_given_up() {
    for answer in [Answer::Error(503, "SlowDown"), Answer::Hangup, Answer::StallAfter(0)] {
        let run = served(vec![answer; 30]);
        run.assert_nothing(&run.retrieve());
        assert_eq!(run.server.seen().len(), 4, "the first try and three more");
    }
}

#[test]
fn what_will_not_heal_is_told_at_once_with_what_to_do() {
    let told = |server: Server| {
        let run = Run::new(server);
        let ended = run.retrieve();
        run.assert_nothing(&ended);
        ended.stderr
    };
    let answered =
        |answer: Answer| told(Server::start([(KEY, bento("iris", "v1"))]).script([answer]));
    let half = bento("iris", "v1").split_off(100_000);
    let folder = || {
        [("bentos/team/iris/v1/bento.yaml", vec![]), ("bentos/team/iris/v1/src/service.py", vec![])]
    };
    let texts = [
        answered(Answer::Error(403, "AccessDenied")),
        answered(Answer::Error(301, "PermanentRedirect")),
        answered(Answer::NotS3(418)),
        told(Server::start([
            ("bentos/team/iris/v2.tar.gz", vec![]),
            ("bentos/team/iris/v3.bento", vec![]),
        ])),
        told(Server::start([("bentos/x", vec![])])),
        told(Server::start([("bentos/x", vec![])]).without_listing()),
        told(Server::start([("others/x", vec![])])),
        told(Server::start(folder())),
        told(
            Server::start([(KEY, bento("iris", "v1"))])
                .script([Answer::CutAfter(9_000), Answer::Replaced(half)]),
        ),
        told(Server::start([(KEY, bento("iris", "v2"))])),
        told(Server::start([(KEY, gzip(&archive([file("README.md", b"hello")])))])),
        told(Server::start([(
            KEY,
            gzip(&archive([file("bento.yaml", b"name: iris\nversion: v1\n")])),
        )])),
        told(Server::start([(KEY, gzip(&archive([file("bento.yaml", b"name: [iris\n")])))])),
        told(Server::start([(
            KEY,
            gzip(&archive(without_model().map(|(name, text)| file(&name, &text)))),
        )])),
        told(Server::start([(KEY, b"<html>Sign in</html>".to_vec())])),
        told(Server::start([(
            KEY,
            gzip(&archive([file("bento.yaml", b""), file("../../etc/x", b"")])),
        )])),
        answered(Answer::Headers(vec![("x-amz-checksum-crc32", "AAAAAA==".into())])),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}

fn without_model() -> impl Iterator<Item = (String, Vec<u8>)> {
    bento_files("iris", "v1").into_iter().filter(|(name, _)| !name.starts_with("./models"))
}

#[test]
fn another_archive_than_the_one_that_was_meant_is_refused() {
    let run = served([]);
    run.assert_nothing(
        &run.ended(run.command().arg("--sha256").arg("0".repeat(64)).output().unwrap()),
    );
    let right = sha256sum(&bento("iris", "v1")).to_uppercase();
    run.assert_whole(
        &run.ended(run.command().arg(format!("--sha256=sha256:{right}")).output().unwrap()),
    );
}

#[test]
fn the_store_s_own_checksum_is_compared_also_after_a_cut() {
    let crc = crc32(&bento("iris", "v1"));
    let header = || Answer::Headers(vec![("x-amz-checksum-crc32", crc.clone())]);
    let run = served([header()]);
    run.assert_whole(&run.retrieve());
    let run = served([Answer::Headers(vec![("x-amz-checksum-crc32", "not base64".into())])]);
    run.assert_whole(&run.retrieve());
}

#[test]
fn an_intact_archive_is_not_called_damaged_for_a_checksum_of_its_parts() {
    let damaged = |crc: &str, kind: Option<&str>, in_parts: bool| {
        let mut headers = vec![("x-amz-checksum-crc32", crc.to_owned())];
        headers.extend(kind.map(|kind| ("x-amz-checksum-type", kind.to_owned())));
        let answer = if in_parts { Answer::InParts(headers) } else { Answer::Headers(headers) };
        let run = served([answer]);
        let ended = run.retrieve();
        if ended.code == Some(0) {
            run.assert_whole(&ended);
            return false;
        }
        run.assert_nothing(&ended);
        assert!(ended.stderr.contains("its checksum is not the one"), "{}", ended.stderr);
        true
    };
    let (right, of_parts) = (&crc32(&bento("iris", "v1")), "nM3ykQ==");
    for (crc, kind) in [
        ("nM3ykQ==-2", Some("COMPOSITE")), // AWS
        ("nM3ykQ==-2", None),
        (of_parts, Some("COMPOSITE")), // older MinIO
        (of_parts, None),
        (of_parts, Some("NEW")),
        (right, Some("FULL_OBJECT")),
    ] {
        assert!(!damaged(crc, kind, true), "{crc} {kind:?}");
    }
    assert!(damaged(of_parts, Some("FULL_OBJECT"), true));
    assert!(damaged(of_parts, Some("FULL_OBJECT"), false));
    assert!(damaged(of_parts, None, false));
    assert!(!damaged(right, None, false));
    let unknown = served([Answer::Headers(vec![("x-amz-checksum-xxhash64", of_parts.into())])]);
    unknown.assert_whole(&unknown.retrieve());
}

#[test]
fn the_store_s_checksum_can_be_left_out_and_the_archive_s_own_remains() {
    let wrong = || Answer::Headers(vec![("x-amz-checksum-crc32", "AAAAAA==".into())]);
    let run = served([wrong()]);
    let with = |run: &Run, more: &str| {
        run.ended(run.command().args(["--store-checksum=false", more]).output().unwrap())
    };
    run.assert_whole(&with(&run, "--retries=3"));
    let run = served([wrong()]);
    run.assert_nothing(&with(&run, &format!("--sha256={}", "0".repeat(64))));
    let mut damaged = bento("iris", "v1");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let run = Run::new(Server::start([(KEY, damaged)]));
    run.assert_nothing(&with(&run, "--retries=3"));
}

fn error(code: &str, more: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{more}</Error>")
}

fn message(text: &str) -> String {
    format!("<Message>{text}</Message>")
}

#[test]
fn each_refusal_of_a_store_leads_to_its_cause() {
    let told = |status: u16, body: String| {
        let run = served([Answer::Says(status, body)]);
        let ended = run.retrieve();
        run.assert_nothing(&ended);
        assert_eq!(run.server.seen().len(), 1, "told at once: {}", ended.stderr);
        ended.stderr
    };
    let page = || "<!DOCTYPE html><html>Sign in</html>".to_owned();
    insta::assert_snapshot!(
        [
            told(
                301,
                error(
                    "PermanentRedirect",
                    "<Endpoint>bentos.s3.eu-west-1.amazonaws.com</Endpoint>"
                )
            ),
            told(400, error("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")),
            told(301, error("PermanentRedirect", "")),
            told(403, error("AccessDenied", &message("Access Denied"))),
            told(
                403,
                error(
                    "AccessDenied",
                    &message(
                        "User: arn:aws:iam::1:user/lea is not authorized to perform: kms:Decrypt"
                    )
                )
            ),
            told(403, error("InvalidAccessKeyId", &message("The key does not exist"))),
            told(403, error("SignatureDoesNotMatch", "")),
            told(400, error("ExpiredToken", "")),
            told(400, error("InvalidToken", "")),
            told(403, error("InvalidObjectState", "<StorageClass>DEEP_ARCHIVE</StorageClass>")),
            told(400, error("KMS.DisabledException", "")),
            told(
                400,
                error(
                    "InvalidRequest",
                    &message("The object was stored using a form of Server Side Encryption")
                )
            ),
            told(403, error("AllAccessDisabled", "")),
            told(
                501,
                error(
                    "NotImplemented",
                    &message("A header you provided implies functionality that is not implemented")
                )
            ),
            told(404, error("NoSuchBucket", "")),
            told(403, page()),
            told(200, page()),
            told(400, "Client sent an HTTP request to an HTTPS server.\n".into()),
        ]
        .join("\n")
    );
}

#[test]
fn a_clock_that_is_wrong_is_set_by_the_store_s_and_told_when_that_does_not_help() {
    let skewed = "<Error><Code>RequestTimeTooSkewed</Code><ServerTime>2026-11-24T06:00:00Z</ServerTime></Error>";
    let run = served([Answer::Says(403, skewed.into())]);
    run.assert_whole(&run.retrieve());
    let run = served(vec![Answer::Says(403, skewed.into()); 30]);
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    for text in ["the clock here says 2", "the store's 2026-11-24T06:00:00Z", "hint: set the clock"]
    {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
}

/// The address of something that answers all that is said to it with these bytes.
fn always_answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(bytes);
        }
    });
    address
}

#[test]
fn tls_and_plain_http_that_are_mixed_up_are_told_apart() {
    let run = served([]);
    let told = |address: String| {
        let ended = retrieve_from(&run, &address, &[]);
        run.assert_nothing(&ended);
        ended.stderr.lines().find(|line| line.starts_with("hint:")).unwrap().to_owned()
    };
    let plain = always_answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let hint = told(format!("https://{plain}/x"));
    assert!(hint.contains("begin `s3-endpoint`, or the address, with `http://`"), "{hint}");
    let alert = always_answering(b"\x15\x03\x01\x00\x02\x02\x46"); // of TLS, to whoever does not speak it
    let hint = told(format!("http://{alert}/x"));
    assert!(hint.contains("begin `s3-endpoint`, or the address, with `https://`"), "{hint}");
}

/// As gzip's trailer has it, in base64.
fn crc32(bytes: &[u8]) -> String {
    let packed = gzip(bytes);
    let trailer = &packed[packed.len() - 8..packed.len() - 4];
    let script = "import sys,base64;print(base64.b64encode(bytes(map(int,sys.argv[:0:-1]))).decode(),end='')";
    let bytes = trailer.iter().map(u8::to_string);
    let output = Command::new("python3").args(["-c", script]).args(bytes).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_archive_is_found_under_each_of_its_usual_names_and_told_by_its_contents() {
    let plain = archive(bento_files("iris", "v1").iter().map(|(name, text)| file(name, text)));
    for (key, packed) in [
        ("bentos/team/iris/v1.bento", xz(&plain)),
        ("bentos/team/iris/v1.tar", plain.clone()),
        ("bentos/team/iris/v1.tar.xz", gzip(&plain)),
        ("bentos/team/iris/v1.tar.bz2", bzip2(&plain)),
        ("bentos/team/iris-v1.bento", xz(&plain)),
        ("bentos/team/iris/v1.tar.gz", plain.clone()),
    ] {
        let run = Run::new(Server::start([(key, packed), ("bentos/team/iris/v10.tar.gz", vec![])]));
        run.assert_whole(&run.retrieve());
    }
}

#[test]
fn a_bundle_of_0_x_loses_its_one_folder() {
    let manifest = b"metadata:\n  service_name: iris\n  service_version: v1\n".to_vec();
    let files = [
        file("iris/bentoml.yml", &manifest),
        file("iris/Dockerfile", b"FROM scratch\n"),
        file("iris/iris/iris.py", b""),
    ];
    let run = Run::new(Server::start([(KEY, gzip(&archive(files)))]));
    assert_eq!(run.retrieve().code, Some(0));
    assert_eq!(run.result("dockerfile").as_deref(), Some("Dockerfile"));
    assert!(run.bento().join("iris/iris.py").is_file());
    assert_eq!(run.left_over(), Vec::<String>::new());
}

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

#[test]
fn a_place_that_cannot_be_is_told_before_anything_is_asked() {
    let run = served([]);
    let file = run.home.path().join("file");
    fs::write(&file, "mine").unwrap();
    let ended = run.ended(run.command_with("file/bento", "500ms").output().unwrap());
    assert_eq!(ended.code, Some(1));
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn sigterm_ends_it_with_nothing_left_behind() {
    let run = served([Answer::StallAfter(100_000)]);
    let mut child = run.command_with("bento", "1h").spawn().unwrap();
    let drafted = || {
        fs::read_dir(run.home.path()).unwrap().flatten().any(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with(".bento.partial-") && entry.path().join("env").exists()
        })
    };
    while !drafted() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(run.left_over(), Vec::<String>::new());
    assert!(!run.bento().exists());
}

#[test]
fn what_a_killed_run_left_is_swept_and_the_next_one_succeeds() {
    let run = served([]);
    fs::create_dir_all(run.home.path().join(".bento.partial-abc/src")).unwrap();
    run.assert_whole(&run.retrieve());
}

#[test]
fn an_archive_is_taken_from_an_exact_key_an_address_and_a_path() {
    let run = served([Answer::CutAfter(40_000)]);
    run.assert_whole(&retrieve_from(&run, "s3://bentos/team/iris/v1.tar.gz", &["--bento=iris:v1"]));
    assert!(run.server.seen()[1].contains("bytes=40000-"));

    let run = served([Answer::CutAfter(40_000), Answer::Redirect(307, format!("/{KEY}"))]);
    let ended =
        retrieve_from(&run, &format!("{}/{KEY}?X-Amz-Signature=s3cr3t", run.server.url()), &[]);
    run.assert_whole(&ended);
    assert!(run.server.seen()[2].contains("bytes=40000- \""), "with If-Match");
    assert!(!ended.stderr.contains("s3cr3t"), "{}", ended.stderr);

    let run = served([]);
    let path = run.home.path().join("result.archive");
    fs::write(&path, bento("iris", "v1")).unwrap();
    run.assert_whole(&retrieve_from(&run, "result.archive", &[]));
    run.assert_whole(&retrieve_from(&run, "result.archive", &[]));
    assert_eq!(run.server.seen(), Vec::<String>::new());
}

#[test]
fn an_address_that_fails_is_told_without_its_signature() {
    let told = |answer: Option<Answer>, key: &str| {
        let run = served(answer);
        let ended =
            retrieve_from(&run, &format!("{}/{key}?X-Amz-Signature=s3cr3t", run.server.url()), &[]);
        run.assert_nothing(&ended);
        assert!(!ended.stderr.contains("s3cr3t"), "{}", ended.stderr);
        ended.stderr
    };
    insta::assert_snapshot!(
        [
            told(None, "bentos/none"),
            told(Some(Answer::Error(403, "AccessDenied")), KEY),
            told(Some(Answer::Redirect(302, "ftp://elsewhere/x".into())), KEY),
            told(Some(Answer::Redirect(302, "/circle".into())), "bentos/none"),
        ]
        .join("\n")
    );
}

const ALL: usize = usize::MAX;

#[test]
fn what_a_server_unpacks_on_the_way_is_begun_anew_after_a_cut() {
    let run = served([Answer::Hangup, Answer::CutAfter(0), Answer::WithoutTag]);
    run.assert_whole(&run.retrieve());
    assert_eq!(run.server.seen().len(), 3);

    let cut = [Answer::Chunked(9_000), Answer::Chunked(150_000), Answer::Chunked(ALL)];
    let run = served(cut.clone());
    run.assert_whole(&run.retrieve());
    assert_eq!(run.server.seen(), vec![format!("/{KEY}"); 3], "no part of it is asked for");
    assert_eq!(run.result("sha256"), Some(sha256sum(&bento("iris", "v1"))));

    let run = served(cut);
    run.assert_whole(&retrieve_from(&run, &format!("{}/{KEY}", run.server.url()), &[]));
}

#[test]
fn a_server_that_sends_another_part_than_was_asked_for_is_begun_anew() {
    for other in [Answer::WithoutRanges, Answer::OtherRange, Answer::Chunked(ALL)] {
        let run = served([Answer::CutAfter(9_000), other]);
        run.assert_whole(&run.retrieve());
        let seen = run.server.seen();
        assert!(seen[1].contains("bytes=9000-") && seen[2] == format!("/{KEY}"), "{seen:?}");
    }
    let run = served([Answer::OtherRange]);
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    assert!(ended.stderr.contains("another part than the one"), "{}", ended.stderr);
}

#[test]
fn an_archive_is_begun_anew_as_often_as_retries_say_and_no_more() {
    let run = served(vec![Answer::Chunked(9_000); 30]);
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    assert_eq!(run.server.seen().len(), 4, "the first time and three more");
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn an_end_without_a_length_is_believed_when_it_comes_again_at_the_same_byte() {
    let run = served([9_000, 150_000, ALL].map(Answer::Unmeasured));
    run.assert_whole(&run.retrieve());
    let run = served(vec![Answer::Unmeasured(9_000); 30]);
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    assert_eq!(run.server.seen().len(), 2);
    assert!(ended.stderr.contains("it ends before its end"), "{}", ended.stderr);
}

#[test]
fn a_slow_server_without_ranges_is_read_on_one_connection() {
    let mut files = bento_files("iris", "v1");
    files.push(("./models/iris_svm/abc/weights".into(), support::noise(24 << 20)));
    let plain = archive(files.iter().map(|(name, text)| file(name, text)));
    let answers = [Answer::Slow].into_iter().chain(vec![Answer::WithoutRanges; 30]);
    let run = Run::new(Server::start([(KEY, plain.clone())]).script(answers));
    run.assert_whole(&run.ended(run.command_with("bento", "10s").output().unwrap()));
    assert_eq!(run.result("sha256"), Some(sha256sum(&plain)));
    assert_eq!(run.server.seen().last(), Some(&format!("/{KEY}")));
}

#[test]
fn a_wrong_sha256_says_why_when_the_bytes_may_not_be_those_that_are_stored() {
    let plain = archive(bento_files("iris", "v1").iter().map(|(name, text)| file(name, text)));
    let told = |key: &str, archive: Vec<u8>, answer: Answer| {
        let run = Run::new(Server::start([(key, archive)]).script([answer]));
        let ended = retrieve_from(&run, &format!("s3://{key}"), &["--sha256", &"0".repeat(64)]);
        run.assert_nothing(&ended);
        ended.stderr.lines().find(|line| line.starts_with("hint:")).unwrap().to_owned()
    };
    let (packed, other) = (bento("iris", "v1"), "bentos/iris-v1.bento");
    let encoded = Answer::Headers(vec![("Content-Encoding", "gzip".into())]);
    insta::assert_snapshot!(
        [
            told(KEY, packed.clone(), Answer::Whole),
            told(KEY, plain, Answer::Chunked(ALL)),
            told(other, packed.clone(), Answer::Chunked(ALL)),
            told(other, packed, encoded),
        ]
        .join("\n")
    );
}

#[test]
fn bytes_that_the_store_marks_as_encoded_are_taken_as_they_are_stored() {
    let run = served([Answer::Headers(vec![("Content-Encoding", "gzip".into())])]);
    let right = sha256sum(&bento("iris", "v1"));
    run.assert_whole(&run.ended(run.command().arg(format!("--sha256={right}")).output().unwrap()));
}

fn shelf() -> Server {
    let saved = |name: &str, version: &str, created: &str, labels: &str| {
        let manifest = format!(
            "name: {name}\nversion: {version}\nbentoml_version: 1.4.39\nservice: service:Iris\ncreation_time: '{created}'\n\
             labels: {{{labels}}}\nmodels: []\nenvs:\n- name: TOKEN\n  value: s3cr3t\n\
             image: {{base_image: 'python:3.11-slim', python_version: '3.11'}}\n\
             schema: {{routes: [{{route: /classify, input: {{properties: {{petal: {{}}, sepal: {{}}}}}}}}]}}\n\
             services:\n- name: Iris\n  models:\n  - {{tag: 'svm:m1', module: bentoml.sklearn}}\n"
        );
        let model = b"name: svm\nmetadata: {accuracy: 0.97}\ncontext: {framework_versions: {scikit-learn: 1.9.1}}\n";
        archive([
            file("./bento.yaml", manifest.as_bytes()),
            file("./models/svm/m1/model.yaml", model),
            file("./models/svm/m1/weights", &support::noise(3_000_000)),
        ])
    };
    let legacy = archive([
        file("Old/Old/artifacts/model.pkl", &support::noise(200_000)),
        file("Old/bentoml.yml", b"version: 0.13.1\nmetadata:\n  created_at: 2020-01-02 03:04:05.678\n  service_name: Old\n  service_version: 2020_A\nartifacts:\n- {name: model, artifact_type: SklearnModelArtifact}\napis:\n- {name: predict}\n"),
    ]);
    let zipped = support::zip::Zip::of([
        support::zip::file(
            "bento.yaml",
            b"name: iris\nversion: z\ncreation_time: '2026-11-25T06:00:00+00:00'\n",
        ),
        support::zip::file("models/weights", &support::noise(300_000)),
    ]);
    Server::start([
        (
            "bentos/team/iris/v1.tar.gz",
            gzip(&saved("iris", "v1", "2026-11-24T06:00:00+00:00", "owner: lea")),
        ),
        ("bentos/team/iris/v2.bento", xz(&saved("iris", "v2", "2026-11-26T06:00:00+00:00", ""))),
        ("bentos/team/iris/z.zip", zipped.bytes()),
        ("bentos/team/wine-a.tar", saved("wine", "a", "2026-11-20T06:00:00+00:00", "")),
        ("bentos/team/Old/2020_A.tar.gz", gzip(&legacy)),
        ("bentos/team/iris/broken.tar.gz", b"<html>".to_vec()),
        ("bentos/team/iris/v1/bento.yaml", vec![]),
        ("bentos/team/notes.txt", vec![]),
    ])
}

fn look(server: &Server, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command();
    command.args(words).env("AWS_ENDPOINT_URL", server.url());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&server.url(), "[server]");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn list_prints_what_is_there_newest_first_from_the_manifests_alone() {
    let server = shelf();
    let (code, stdout, stderr) = look(&server, &["list", "--store=s3://bentos/team"]);
    assert_eq!(code, Some(0), "{stderr}");
    insta::assert_snapshot!(format!("{stdout}{stderr}"));
    let whole = server
        .seen()
        .iter()
        .filter(|line| !line.starts_with("list") && !line.contains("bytes="))
        .count();
    assert_eq!(whole, 0, "no archive is asked for as a whole");
    let (_, stdout, _) =
        look(&server, &["list", "--store=s3://bentos/team", "wine", "--output=json"]);
    insta::assert_snapshot!(stdout);
}

#[test]
fn list_and_show_need_neither_ranges_nor_a_length() {
    for answer in [Answer::Chunked(ALL), Answer::WithoutRanges] {
        let server = shelf().script(vec![answer.clone(); 30]);
        let (_, stdout, stderr) = look(&server, &["list", "--store=s3://bentos/team", "Old"]);
        assert!(stdout.contains("Old:2020_A "), "{answer:?}: {stdout}{stderr}");
        let (_, stdout, stderr) = look(&server, &["show", "--store=s3://bentos/team", "iris:v2"]);
        assert!(stdout.starts_with("iris:v2"), "{answer:?}: {stdout}{stderr}");
    }
}

#[test]
fn list_knows_versions_and_latest_and_says_when_there_is_nothing() {
    let server = shelf();
    let listed = |bento| look(&server, &["list", "--store=s3://bentos/team", bento]);
    for (bento, rows) in [("iris", 5), ("iris:latest", 2), ("iris:v1", 2)] {
        let (_, stdout, stderr) = listed(bento);
        assert_eq!(stdout.lines().count(), rows, "{bento}: {stdout}{stderr}");
    }
    assert!(listed("iris:latest").1.contains("\niris:v2 "));
    let nothing = "there is no bento `none` in `s3://bentos/team`\n";
    assert_eq!(listed("none"), (Some(0), String::new(), nothing.into()));
}

#[test]
fn show_prints_one_and_latest_is_the_newest_by_its_manifest() {
    let server = shelf();
    let (code, stdout, stderr) =
        look(&server, &["show", "--store=s3://bentos/team", "iris:latest"]);
    assert_eq!(code, Some(0), "{stderr}");
    insta::assert_snapshot!(stdout);
    let (_, stdout, _) =
        look(&server, &["show", "--store=s3://bentos/team", "iris:v1", "--output=json"]);
    assert!(stdout.contains("\"TOKEN\"") && !stdout.contains("s3cr3t"), "{stdout}");
    let (_, stdout, _) = look(&server, &["show", "--from=s3://bentos/team/Old/2020_A.tar.gz"]);
    insta::assert_snapshot!(stdout);
    let (code, _, stderr) = look(&server, &["show", "--store=s3://bentos/team", "none:latest"]);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(stderr);
}

/// A title, a colour, a turned line, a value of 70,000 characters and 10,000 labels, in keys and values.
fn hostile() -> Server {
    let bad = r#""\u001b]0;owned\u0007\u001b[31m\u009b2J\u202eevil\nBENTO  forged""#;
    let long = "x".repeat(70_000);
    let many = (0..10_000).fold(String::new(), |labels, at| labels + &format!("l{at}: v, "));
    let manifest = format!(
        "name: iris\nversion: v1\ncreation_time: {bad}\nbentoml_version: {bad}\nservice: {bad}\n\
         labels: {{{bad}: {bad}, {many} long: {long}}}\nimage: {{base_image: {bad}, python_version: {long}}}\n\
         envs: [{{name: {bad}, value: x}}]\nschema: {{routes: [{{route: {bad}}}]}}\n\
         models:\n- {{tag: {bad}, module: {bad}, registry: huggingface}}\n- {{tag: 'b:c', module: {long}}}\n"
    );
    Server::start([
        ("bentos/team/iris/v1.tar.gz", gzip(&archive([file("./bento.yaml", manifest.as_bytes())]))),
        ("bentos/team/iris/v\u{202e}zt.\u{9b}2J.tar.gz", b"<html>".to_vec()),
        ("bentos/team/iris/v2.tar.gz", bento("iris", "v2")),
    ])
}

fn acts(c: char) -> bool {
    c != '\n' && c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn what_others_put_into_a_store_harms_nobody_who_lists_it() {
    let server = hostile();
    for words in [
        &["list", "--store=s3://bentos/team"][..],
        &["show", "--store=s3://bentos/team", "iris:v1"],
        &["list", "--store=s3://bentos/team", "--output=json"],
        &["show", "--store=s3://bentos/team", "iris:v1", "--output=json"],
    ] {
        let (code, stdout, stderr) = look(&server, words);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(!format!("{stdout}{stderr}").contains(acts), "{words:?}\n{stdout}{stderr}");
        assert!(stdout.contains("evil") && !stdout.contains("\nBENTO  forged"), "{stdout}");
        if words.contains(&"--output=json") {
            let value: serde_json::Value = serde_json::from_str(&stdout).unwrap();
            let text = value.to_string();
            assert!(text.contains('\u{202e}') && text.len() > 70_000, "a program reads it exactly");
        } else {
            let longest = stdout.lines().map(|line| line.chars().count()).max();
            assert!(longest < Some(3000), "{longest:?}");
        }
    }
    let (_, stdout, _) = look(&server, &["list", "--store=s3://bentos/team"]);
    assert_eq!(stdout.lines().count(), 4, "a row each, and the heading: {stdout}");
    assert!(stdout.contains("\niris:v2 "), "{stdout}");
}

#[test]
fn latest_is_refused_with_the_version_that_it_would_have_meant() {
    let (code, _, stderr) =
        look(&shelf(), &["--store=s3://bentos/team", "--bento=iris:latest", "--into=/nonexistent"]);
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(stderr);
}

#[test]
fn a_disk_that_is_full_leaves_nothing() {
    let run = served([]);
    // A limit on the size of files stands in for a full disk, which only root can make.
    let mut shell = Command::new("sh");
    let words: Vec<_> =
        run.command().get_args().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let line = format!(
        "trap '' XFSZ; ulimit -f 100; exec '{}' {}",
        cargo_bin!("bento-retrieve").display(),
        words.join(" ")
    );
    shell.current_dir(run.home.path()).args(["-c", &line]).env_clear();
    shell.envs([
        ("AWS_ACCESS_KEY_ID", "user"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("NO_PROXY", "*"),
    ]);
    let ended = run.ended(shell.output().unwrap());
    run.assert_nothing(&ended);
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn a_slow_connection_gets_others_beside_it_and_the_bytes_stay_in_order() {
    let mut files = bento_files("iris", "v1");
    files.push(("./models/iris_svm/abc/weights".into(), support::noise(24 << 20)));
    let plain = archive(files.iter().map(|(name, text)| file(name, text)));
    let with = |more: &str| {
        let answers = [
            Answer::Slow,
            Answer::Whole,
            Answer::CutAfter(1_000_000),
            Answer::Error(503, "SlowDown"),
        ];
        let run = Run::new(Server::start([(KEY, plain.clone())]).script(answers));
        let ended = run.ended(run.command_with("bento", "10s").arg(more).output().unwrap());
        run.assert_whole(&ended);
        assert_eq!(run.result("sha256"), Some(sha256sum(&plain)));
        run.server.seen()
    };
    let seen = with("--connections=4");
    let parts: Vec<_> = seen[1..].iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert!(parts.len() > 4, "{parts:?}");
    assert!(parts.iter().all(|range| !range.ends_with('-')), "each part has its end: {parts:?}");
    assert!(seen[1..].iter().all(|line| line.contains('"')), "each with If-Match");
    assert_eq!(with("--connections=1").len(), 1);
}

#[test]
fn credentials_may_be_files_in_a_folder() {
    let run = served([]);
    fs::write(run.home.path().join("result.none"), "").unwrap();
    let folder = run.home.path().join("result.aws");
    fs::create_dir(&folder).unwrap();
    let ended = |run: &Run| {
        let mut command = run.command();
        command
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .arg("--credentials=result.aws");
        run.ended(command.output().unwrap())
    };
    let without = ended(&run);
    assert!(without.stderr.contains("there are no credentials"), "{}", without.stderr);
    fs::write(
        folder.join("credentials"),
        "[default]\naws_access_key_id = a\naws_secret_access_key = b\n",
    )
    .unwrap();
    run.assert_whole(&ended(&run));
}

/// Puts a key and a certificate for these hosts into a new folder, and gives the authority that signed it, in PEM.
fn certify(folder: &Path, hosts: &[&str]) -> String {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    fs::create_dir(folder).unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(hosts).unwrap().signed_by(&key, &authority).unwrap();
    fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("certificate"), certificate.pem()).unwrap();
    authority.pem()
}

/// AWS, as far as it is needed, behind a proxy of its own. The bucket `bentos` is in eu-west-1.
struct Aws {
    home: TempDir,
    server: Child,
    port: String,
    lines: BufReader<ChildStdout>,
}

impl Aws {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("tls");
        let hosts =
            ["us-east-1", "us-west-2", "eu-west-1"].map(|r| format!("*.s3.{r}.amazonaws.com"));
        let mut hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        hosts.push("portal.sso.us-east-1.amazonaws.com");
        fs::write(home.path().join("ca.crt"), certify(&folder, &hosts)).unwrap();
        fs::write(folder.join("archive"), bento("iris", "v1")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/aws.py");
        let mut python = Command::new("python3");
        python.arg(script).arg("archive").current_dir(&folder).stdout(Stdio::piped());
        let mut server = python.spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        Self { home, server, port: port.trim().into(), lines }
    }

    /// Retrieves with these files of the AWS tools and no keys but theirs.
    fn command(&self, config: &str) -> Command {
        let folder = self.home.path().join(".aws");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config"), config).unwrap();
        let mut command = command();
        command.current_dir(self.home.path()).args(["--bento=iris:v1", "--retries=1"]);
        command.args(["--store=s3://bentos", "--into=bento", "--ca-bundle=ca.crt"]);
        command.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", self.port));
        command.env("NO_PROXY", "127.0.0.1").env("HOME", self.home.path());
        for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
            command.env_remove(key);
        }
        command
    }

    /// Runs it, and gives what it said and what was asked of AWS meanwhile.
    fn run(mut self, mut command: Command) -> (Ended, Vec<String>) {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let asked = self.lines.lines().map_while(Result::ok).collect();
        assert!(!stderr.contains("s3cr3t"), "{stderr}");
        (Ended { code: output.status.code(), stderr }, asked)
    }
}

const LOADED: &str = "bentos.s3.eu-west-1.amazonaws.com /iris/v1.tar.gz";

#[test]
fn at_aws_the_bucket_s_region_is_found_where_none_is_set() {
    let keys = |command: &mut Command| {
        command.envs([("AWS_ACCESS_KEY_ID", "user"), ("AWS_SECRET_ACCESS_KEY", "s3cr3t")]);
    };
    let aws = Aws::start();
    let mut command = aws.command("");
    keys(&mut command);
    let (ended, asked) = aws.run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no region is set; the bucket is in `eu-west-1`"),
        "{}",
        ended.stderr
    );
    let head = "HEAD bentos.s3.us-east-1.amazonaws.com / user us-east-1 s3";
    assert_eq!(asked, [head.to_owned(), format!("GET {LOADED} user eu-west-1 s3")]);

    let aws = Aws::start();
    let mut command = aws.command("[default]\nregion = us-west-2\n");
    keys(&mut command);
    let (ended, _) = aws.run(command);
    assert!(ended.stderr.contains("hint: set AWS_REGION to `eu-west-1`"), "{}", ended.stderr);
}

#[test]
fn a_session_of_sso_lends_the_keys_and_without_one_it_says_how_to_log_in() {
    let session = "[profile lab]\nregion = eu-west-1\nsso_session = lab\nsso_account_id = 1\nsso_role_name = reader\n\
                   [sso-session lab]\nsso_region = us-east-1\nsso_start_url = https://lab.example/start\n";
    let older = "[profile lab]\nregion = eu-west-1\nsso_account_id = 1\nsso_role_name = reader\n\
                 sso_region = us-east-1\nsso_start_url = https://lab.example/start\n";
    for (config, name) in [(session, "lab"), (older, "https://lab.example/start")] {
        let aws = Aws::start();
        let cache = aws.home.path().join(".aws/sso/cache");
        fs::create_dir_all(&cache).unwrap();
        let token = r#"{"accessToken": "a-token", "expiresAt": "2100-01-01T00:00:00Z"}"#;
        fs::write(cache.join(format!("{}.json", sum("sha1sum", name.as_bytes()))), token).unwrap();
        let mut command = aws.command(config);
        command.env("AWS_PROFILE", "lab");
        let (ended, asked) = aws.run(command);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let portal = "GET portal.sso.us-east-1.amazonaws.com /federation/credentials";
        assert_eq!(asked, [portal.to_owned(), format!("GET {LOADED} lent eu-west-1 s3")]);

        let aws = Aws::start();
        let mut command = aws.command(config);
        command.arg("--profile=lab"); // which goes before the keys of the environment
        command.envs([("AWS_ACCESS_KEY_ID", "other"), ("AWS_SECRET_ACCESS_KEY", "s3cr3t")]);
        let (ended, asked) = aws.run(command);
        assert_eq!((ended.code, asked.len()), (Some(1), 0), "{}", ended.stderr);
        assert!(ended.stderr.contains("there are no credentials"), "{}", ended.stderr);
        assert!(ended.stderr.contains("hint: log in with `aws sso login`"), "{}", ended.stderr);
    }
}

#[test]
fn a_program_that_prints_keys_is_asked_and_missed_where_there_is_none() {
    let keys = r#"{"Version": 1, "AccessKeyId": "made", "SecretAccessKey": "s3cr3t"}"#;
    let config = "[default]\nregion = eu-west-1\ncredential_process = cat keys.json\n";
    let aws = Aws::start();
    fs::write(aws.home.path().join("keys.json"), keys).unwrap();
    let mut command = aws.command(config);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let (ended, asked) = aws.run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(asked, [format!("GET {LOADED} made eu-west-1 s3")]);

    let aws = Aws::start();
    let mut command = aws.command(config);
    command.env("PATH", "/nonexistent"); // as in the image
    let (ended, asked) = aws.run(command);
    assert_eq!((ended.code, asked.len()), (Some(1), 0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("hint: the profile's `credential_process` runs a program"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_store_s_address_and_style_come_from_the_files_of_the_aws_tools_too() {
    // Through a proxy it is seen what is asked for, and no name needs to be known.
    let asked = |config: &str, env: &[(&str, &str)], flags: &[&str]| {
        let server = Server::start([]);
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("config"), config).unwrap();
        let mut command = command();
        command.args(["--store=s3://bentos", "--bento=iris:v1", "--into=bento", "--retries=0"]);
        command.args(flags).current_dir(home.path()).env_remove("NO_PROXY");
        command.env("AWS_CONFIG_FILE", home.path().join("config")).env("HTTP_PROXY", server.url());
        let output = command.envs(env.iter().copied()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        server.seen().first().cloned().unwrap_or(stderr)
    };
    let path = |host: &str| format!("http://{host}/bentos/iris/v1.tar.gz");
    let own_host = |host: &str| format!("http://bentos.{host}/iris/v1.tar.gz");
    let file = "[default]\nendpoint_url = http://file.test\n";
    let all = ("AWS_ENDPOINT_URL", "http://all.test");
    let s3 = ("AWS_ENDPOINT_URL_S3", "http://s3.test");
    assert_eq!(asked(file, &[], &[]), path("file.test"));
    assert_eq!(asked(file, &[all], &[]), path("all.test"));
    assert_eq!(asked(file, &[all, s3], &[]), path("s3.test"));
    assert_eq!(asked(file, &[all, s3], &["--s3-endpoint=http://typed.test"]), path("typed.test"));
    let virtual_hosts = format!("{file}s3 =\n  addressing_style = virtual\n");
    assert_eq!(asked(&virtual_hosts, &[], &[]), own_host("file.test"));
    assert_eq!(asked(&virtual_hosts, &[s3], &[]), own_host("s3.test"));
    assert_eq!(asked(&virtual_hosts, &[], &["--s3-path-style"]), path("file.test"));
    assert_eq!(asked(file, &[], &["--s3-path-style=false"]), own_host("file.test"));
    let services =
        "[profile lab]\nservices = lab\n[services lab]\ns3 =\n  endpoint_url = http://lab.test\n";
    assert_eq!(asked(services, &[], &["--profile=lab", "--anonymous"]), path("lab.test"));
    assert_eq!(asked(services, &[("AWS_PROFILE", "lab")], &[]), path("lab.test"));
    let aws = ("AWS_ENDPOINT_URL_S3", "http://s3.eu-west-1.amazonaws.com");
    assert_eq!(asked(file, &[aws], &[]), own_host("s3.eu-west-1.amazonaws.com"));

    let bad = asked("", &[("AWS_ENDPOINT_URL_S3", "http://user:s3cr3t@s3.test")], &[]);
    assert!(bad.contains("the endpoint of the store is none") && !bad.contains("s3cr3t"), "{bad}");
}

#[test]
fn a_profile_that_is_not_there_is_told() {
    let run = served([]);
    let ended = run.ended(run.command().arg("--profile=lab").output().unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("have no profile `lab`"), "{}", ended.stderr);
    let mut command = run.command();
    command.env_remove("AWS_ACCESS_KEY_ID").env("AWS_PROFILE", "lab");
    let ended = run.ended(command.output().unwrap());
    run.assert_nothing(&ended);
    assert!(ended.stderr.contains("there are no credentials"), "{}", ended.stderr);
    assert_eq!(run.server.seen(), Vec::<String>::new());
}

#[test]
fn a_store_without_a_region_is_asked_as_in_one_that_all_take() {
    let run = served([]);
    let mut command = run.command();
    let ended = run.ended(command.env_remove("AWS_REGION").output().unwrap());
    run.assert_whole(&ended);
    assert!(
        ended.stderr.starts_with("no region is set; asking as in `us-east-1`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_server_with_a_certificate_of_one_s_own_is_trusted_by_its_authority_alone() {
    let run = served([]);
    let folder = run.home.path().join("result.trust");
    let authority = certify(&folder, &["localhost"]);
    fs::write(folder.join("v1.tar.gz"), bento("iris", "v1")).unwrap();
    let script = "import http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('certificate', 'key')
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()";
    let mut python = Command::new("python3");
    python.args(["-c", script]).current_dir(&folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut python = python.spawn().unwrap();
    let mut port = String::new();
    BufReader::new(python.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
    let from = format!("https://localhost:{}/v1.tar.gz", port.trim());

    let stranger = retrieve_from(&run, &from, &["--credentials=result.trust"]);
    run.assert_nothing(&stranger);
    insta::assert_snapshot!(stranger.stderr.replace(port.trim(), "[port]"));
    fs::write(folder.join("ca.crt"), "not PEM").unwrap();
    assert_eq!(retrieve_from(&run, &from, &["--credentials=result.trust"]).code, Some(1));
    fs::write(folder.join("ca.crt"), authority).unwrap();
    run.assert_whole(&retrieve_from(&run, &from, &["--credentials=result.trust"]));
    let again = ["--into=result.again", "--ca-bundle=result.trust/ca.crt"];
    let mut bundled = command();
    bundled.current_dir(run.home.path()).args(["--from", &from]).args(again);
    assert_eq!(run.ended(bundled.output().unwrap()).code, Some(0));
    python.kill().unwrap();
    python.wait().unwrap();
}

#[test]
fn a_length_that_is_wrong_is_never_taken_for_a_whole_archive() {
    let run = served([Answer::Claims(150_000)]);
    let short = run.retrieve();
    run.assert_nothing(&short);
    assert!(short.stderr.contains("it ends before its end"), "{}", short.stderr);
    let run = served([Answer::Claims(1_000_000), Answer::Error(416, "InvalidRange")]);
    let long = run.retrieve();
    run.assert_nothing(&long);
    assert!(long.stderr.contains("416 InvalidRange"), "{}", long.stderr);
}

#[test]
fn a_place_that_nothing_can_be_made_in_is_told() {
    let run = served([]);
    let ended = run.ended(run.command_with("/proc/bento", "500ms").output().unwrap());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("failed to create a folder in `/proc`"), "{}", ended.stderr);
    assert_eq!(run.server.seen(), Vec::<String>::new(), "before anything is asked");
}
