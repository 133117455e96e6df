//! How soon the server serves, how long an answer takes, and how much memory it all takes:
//! `cargo bench -p cloudevent-interceptor`.
//!
//! The whole way is measured, over a connection that stays open as Tekton's does: JSON in, the event
//! read and checked, its signature where there is a key, JSON out.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::{
    fmt::Write as _,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const TIMES: usize = 200;

fn main() {
    let mut out = std::io::stdout().lock();
    let starts: Vec<_> = (0..20).map(|_| Server::start(None).1).collect();
    writeln!(out, "from start to serving: median {:.1} ms", median(starts)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hmac"), "key").unwrap();
    for (keys, described) in [(None, "no key"), (Some(folder.path()), "signed")] {
        let (server, _) = Server::start(keys);
        let mut connection = Connection::open(&server.address);
        connection.ask(&request(200, "{}", keys.is_some()));
        writeln!(out, "{described}: idle {:.1} MiB", server.memory("VmRSS:")).unwrap();
        for (size, shape) in [
            (1_000, "\"text\""),
            (1_000_000, "\"text\""),
            (1_000_000, "{}"),
            (1_000_000, "[[1,\"a\"]]"),
        ] {
            let request = request(size, shape, keys.is_some());
            let taken: Vec<_> = (0..TIMES)
                .map(|_| {
                    let begun = Instant::now();
                    let answer = connection.ask(&request);
                    assert!(answer.contains("\"continue\":true"), "{answer}");
                    begun.elapsed()
                })
                .collect();
            let best = taken.iter().min().unwrap().as_secs_f64() * 1000.0;
            writeln!(
                out,
                "{described}: event of {size:7} bytes of {shape:11} best {best:6.2} ms, median {:6.2} ms; memory {:4.1} MiB, peak {:4.1} MiB",
                median(taken),
                server.memory("VmRSS:"),
                server.memory("VmHWM:")
            )
            .unwrap();
        }
    }
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all[all.len() / 2].as_secs_f64() * 1000.0
}

/// What the EventListener sends for an event of about this size, filled with values of a shape.
fn request(size: usize, shape: &str, signed: bool) -> Vec<u8> {
    let mut fill = String::new();
    let one = match shape {
        "\"text\"" => format!("\"{}\"", "x".repeat(size / 2)),
        other => other.to_owned(),
    };
    while fill.len() < size {
        write!(fill, ",{one}").unwrap();
    }
    let event = format!(
        r#"{{"specversion":"1.0","type":"build.canary.release.requested.v1","id":"7","source":"/bench","data":{{"serviceName":"iris","serviceVersion":"v2","more":[0{fill}]}}}}"#
    );
    let mut headers = serde_json::json!({ "Content-Type": ["application/cloudevents+json"] });
    if signed {
        headers["X-Hub-Signature-256"] = serde_json::json!([sign(&event)]);
    }
    let body = serde_json::json!({ "header": headers, "body": event }).to_string();
    format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn sign(event: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"key").unwrap();
    mac.update(event.as_bytes());
    format!("sha256={}", step::text::hex(&mac.finalize().into_bytes()))
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// A server, and how long it took until it served.
    fn start(keys: Option<&Path>) -> (Self, Duration) {
        let begun = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloudevent-interceptor"));
        command
            .env_clear()
            .env("STEP_LOG", "cloudevent_interceptor=info")
            .arg("--listen=127.0.0.1:0");
        if let Some(folder) = keys {
            command.arg(format!("--credentials={}", folder.display()));
        }
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("serving on ") {
            line.clear();
            log.read_line(&mut line).unwrap();
        }
        let address = line.trim_end().rsplit(' ').next().unwrap().to_owned();
        let took = begun.elapsed();
        // Read on, or a full pipe would stop the server.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        (Self { process, address }, took)
    }

    /// A figure of the kernel's, in MiB.
    fn memory(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, request: &[u8]) -> String {
        self.0.get_mut().write_all(request).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }
}
