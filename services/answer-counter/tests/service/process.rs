//! The service as a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
};

pub(crate) struct Server {
    pub(crate) process: Child,
    /// What it has written since it serves
    pub(crate) log: BufReader<ChildStderr>,
    pub(crate) events: String,
    pub(crate) metrics: String,
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_answer-counter"));
    command.env_clear();
    command
}

impl Server {
    /// One that serves, on ports of its own.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut process = command
            .args(["--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut server = Self { process, log, events: String::new(), metrics: String::new() };
        let mut line = String::new();
        while !line.contains("serving metrics on ") {
            line.clear();
            assert!(server.log.read_line(&mut line).unwrap() > 0, "it does not serve");
        }
        let addresses = line.trim_end().strip_prefix("serving metrics on ").unwrap();
        let (metrics, events) = addresses.split_once(", and events on ").unwrap();
        (server.events, server.metrics) = (events.into(), metrics.into());
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
