//! The binary as a process, in a folder of its own, against a scripted store.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

use crate::support::{
    bento, bento_files,
    server::{Answer, Server},
    tar::gzip,
};

pub(crate) const KEY: &str = "bentos/team/iris/v1.tar.gz";

pub(crate) struct Run {
    pub(crate) home: TempDir,
    pub(crate) server: Server,
}

impl Run {
    pub(crate) fn new(server: Server) -> Self {
        Self { home: tempfile::tempdir().unwrap(), server }
    }

    pub(crate) fn bento(&self) -> PathBuf {
        self.home.path().join("bento")
    }

    pub(crate) fn command(&self) -> Command {
        self.command_with("bento", "500ms")
    }

    pub(crate) fn command_with(&self, into: &str, idle: &str) -> Command {
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

    pub(crate) fn retrieve(&self) -> Ended {
        self.ended(self.command().output().unwrap())
    }

    pub(crate) fn ended(&self, output: Output) -> Ended {
        let stderr =
            String::from_utf8(output.stderr).unwrap().replace(&self.server.url(), "[server]");
        Ended { code: output.status.code(), stderr }
    }

    pub(crate) fn result(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.home.path().join(format!("result.{name}"))).ok()
    }

    /// What is there that is neither the bento nor a result.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let names = fs::read_dir(self.home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| {
                name != "bento" && !name.starts_with("result.") && name != ".bento.retrieved.json"
            })
            .collect()
    }

    pub(crate) fn assert_whole(&self, ended: &Ended) {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for (name, text) in bento_files("iris", "v1") {
            assert_eq!(fs::read(self.bento().join(name)).unwrap(), text);
        }
        assert_eq!(self.left_over(), Vec::<String>::new());
    }

    pub(crate) fn assert_nothing(&self, ended: &Ended) {
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(!self.bento().exists());
        assert_eq!(self.left_over(), Vec::<String>::new());
        assert_eq!(self.result("bento"), None);
    }
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

/// Without anything of the machine it runs on.
pub(crate) fn command() -> Command {
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
pub(crate) fn retrieve_from(run: &Run, from: &str, more: &[&str]) -> Ended {
    let mut command = command();
    command
        .current_dir(run.home.path())
        .args(["--into=bento", "--from", from, "--retries=3"])
        .args(more);
    command.env("AWS_ENDPOINT_URL", run.server.url());
    run.ended(command.output().unwrap())
}

pub(crate) fn served(answers: impl IntoIterator<Item = Answer>) -> Run {
    Run::new(Server::start([(KEY, bento("iris", "v1"))]).script(answers))
}

pub(crate) fn sha256sum(bytes: &[u8]) -> String {
    sum("sha256sum", bytes)
}

pub(crate) fn sum(program: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, bytes).unwrap();
    let output = Command::new(program).arg(path).output().unwrap().stdout;
    String::from_utf8(output).unwrap().split(' ').next().unwrap().to_owned()
}

/// As gzip's trailer has it, in base64.
pub(crate) fn crc32(bytes: &[u8]) -> String {
    let packed = gzip(bytes);
    let trailer = &packed[packed.len() - 8..packed.len() - 4];
    let script = "import sys,base64;print(base64.b64encode(bytes(map(int,sys.argv[:0:-1]))).decode(),end='')";
    let bytes = trailer.iter().map(u8::to_string);
    let output = Command::new("python3").args(["-c", script]).args(bytes).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) const ALL: usize = usize::MAX;
