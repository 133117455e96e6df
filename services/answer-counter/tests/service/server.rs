//! What is asked of a server that runs.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) use crate::process::{Server, command};

pub(crate) const RESPONSE: &str = "org.kubeflow.serving.inference.response";

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        Self::of(command().args(args))
    }

    /// A connection to it
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.events).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Status and body of the answer to this request, on a connection of its own.
    pub(crate) fn ask(&self, head: &str, body: &[u8]) -> (u16, String) {
        ask(&self.events, head, body)
    }

    /// The status that KServe's agent gets for an answer.
    pub(crate) fn send(&self, path: &str, answer: &[u8]) -> u16 {
        self.ask(&event(path, RESPONSE), answer).0
    }

    pub(crate) fn scrape(&self) -> String {
        let (status, text) = ask(&self.metrics, "GET /metrics", b"");
        assert_eq!(status, 200);
        text
    }

    /// The samples of a metric, once they are as many events as this.
    pub(crate) fn samples_after(&self, events: u64, metric: &str) -> Vec<String> {
        loop {
            let text = self.scrape();
            let of = |name: &str| {
                let prefix = format!("{name}{{");
                let lines = text.lines().filter(move |line| line.starts_with(&prefix));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            let values = of("kanaria_answer_events_total");
            let values =
                values.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            if values.sum::<u64>() >= events {
                return of(metric);
            }
        }
    }

    pub(crate) fn terminate(&self) {
        let id = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
    }

    /// Ends it, and gives its exit code and the rest of its log.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.terminate();
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap().code(), log)
    }
}

/// The head of an event's request as KServe's agent writes it, but for its last lines
pub(crate) fn event(path: &str, ty: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nce-specversion: 1.0\r\nce-id: 7\r\nce-source: http://localhost:9081/\r\n\
         ce-type: {ty}\r\nce-metadata: {{}}\r\ncontent-type: application/json"
    )
}

/// `head` may lack the version of HTTP and what is said of the body.
pub(crate) fn ask(address: &str, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let version = if head.contains(" HTTP/1.1") { "" } else { " HTTP/1.1" };
    let rest = format!("host: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{version}\r\n{rest}").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    answer(stream)
}

/// Status and body, up to the end of the connection
pub(crate) fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let body =
        if head.contains("transfer-encoding: chunked") { dechunked(body) } else { body.into() };
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole += &rest[..size];
        body = &rest[size + 2..];
    }
    whole
}

/// The status of the answer on a connection that stays open; it has no body.
pub(crate) fn status(stream: &mut TcpStream) -> io::Result<u16> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().parse().unwrap())
}
