//! The server as a process: its help, its start, its answers over HTTP, its end.

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const REQUESTED: &str = "build.canary.release.requested.v1";

/// A server that runs, and what it says.
struct Server {
    process: Child,
    log: BufReader<ChildStderr>,
    address: String,
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudevent-interceptor"));
    command.env_clear();
    command
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut process = command()
            .args(["--listen=127.0.0.1:0"])
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut server = Self { process, log, address: String::new() };
        let serving = server.line_with("serving on ");
        server.address.push_str(serving.rsplit(' ').next().unwrap());
        server
    }

    /// The next line of the log that has these words.
    fn line_with(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "no line with `{words}`");
            if line.contains(words) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// Status and body of the answer to this request, on a connection of its own.
    fn ask(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        stream
            .write_all(format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes())
            .unwrap();
        stream.write_all(body).unwrap();
        answer(stream)
    }

    /// What an EventListener is told about an event with these headers.
    fn intercept(&self, headers: &Value, body: &str) -> Value {
        let request = json!({ "header": headers, "body": body, "extensions": null, "interceptor_params": null,
            "context": { "event_url": "http://el/", "event_id": "14a6", "trigger_id": "namespaces/team/triggers/release" } });
        let (status, answer) = self.ask("POST /", request.to_string().as_bytes());
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    fn terminate(&self) {
        let id = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn event(more: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/people/ada","data":{{"serviceName":"iris","serviceVersion":"v2"}}{more}}}"#
    )
}

fn structured() -> Value {
    json!({ "Content-Type": ["application/cloudevents+json"] })
}

#[test]
fn help_teaches_by_example() {
    let output = command().arg("--help").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn an_event_goes_on_as_one_plain_object_and_leaves_a_line() {
    let mut server = Server::start(&[]);
    let answer = server.intercept(&structured(), &event(""));
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap());
    insta::assert_snapshot!(server.line_with("took"));
}

#[test]
fn a_refused_event_stops_with_200_and_leaves_one_line_and_why_no_event_does() {
    let mut server = Server::start(&[]);
    let answer = server.intercept(&structured(), &event(r#","chainhops":9"#));
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap());
    insta::assert_snapshot!(server.line_with("refused"));
    insta::assert_snapshot!(server.line_with("failed"));
}

#[test]
fn the_news_of_an_end_stops_without_a_line() {
    let mut server = Server::start(&[]);
    let told = event("").replace("requested", "failed");
    assert_eq!(server.intercept(&structured(), &told)["continue"], false);
    server.intercept(&structured(), &event(""));
    let line = server.line_with("event");
    assert!(line.starts_with("took"), "{line}");
}

#[test]
fn both_modes_give_the_same_object() {
    let server = Server::start(&[]);
    let binary = json!({ "Content-Type": ["application/json"], "Ce-Specversion": ["1.0"], "Ce-Id": ["7"],
        "Ce-Type": [REQUESTED], "Ce-Source": ["/people/ada"], "User-Agent": ["curl"] });
    let data = r#"{"serviceName":"iris","serviceVersion":"v2"}"#;
    assert_eq!(server.intercept(&binary, data), server.intercept(&structured(), &event("")));
}

#[test]
fn who_has_the_key_may_send_and_a_new_key_counts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    key("hmac", "It's a Secret to Everybody\n");
    let mut server = Server::start(&[&format!("--credentials={}", folder.path().display())]);
    let with = |name: &str, value: &str| {
        let mut headers = structured();
        headers[name] = json!([value]);
        headers
    };
    let refused = server.intercept(&structured(), &event(""));
    assert_eq!((&refused["continue"], &refused["status"]["code"]), (&json!(false), &json!(16)));
    let line = server.line_with("refused");
    assert!(line.contains("event `7`") && line.contains("X-Hub-Signature-256"), "{line}");
    assert!(!line.contains("Secret to"), "{line}");

    // printf '%s' BODY | openssl dgst -sha256 -hmac "It's a Secret to Everybody"
    let digits = "76fc26937d9679d63008ead672af71345941e2101842d63a59ad486384af138b";
    let signed = with("X-Hub-Signature-256", &format!("sha256={digits}"));
    assert_eq!(server.intercept(&signed, &event(""))["continue"], true);

    key("token", "t0ken");
    fs::remove_file(folder.path().join("hmac")).unwrap();
    let bearer = with("Authorization", "Bearer t0ken");
    assert_eq!(server.intercept(&bearer, &event(""))["continue"], true);
    assert_eq!(server.intercept(&structured(), &event(""))["continue"], false);
}

#[test]
fn a_key_that_is_empty_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hmac"), "\n").unwrap();
    let output = command()
        .args(["--listen=127.0.0.1:0", "--credentials"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
}

#[test]
fn without_a_key_the_start_says_that_everybody_may_send() {
    let mut process =
        command().args(["--listen=127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    insta::assert_snapshot!(line);
}

#[test]
fn what_is_no_request_of_tekton_is_told_so() {
    let server = Server::start(&[]);
    assert_eq!(server.ask("GET /healthz", b""), (200, "ok\n".into()));
    assert_eq!(server.ask("GET /", b"").0, 405);
    assert_eq!(server.ask("POST /healthz", b"").0, 405);
    assert_eq!(server.ask("POST /elsewhere", b"{}").0, 404);
    for body in ["", "[]x", "nonsense", r#"{"body":7}"#, r#"{"header":[]}"#] {
        assert_eq!(server.ask("POST /", body.as_bytes()).0, 400, "{body}");
    }
    assert_eq!(server.ask("POST /", b"{}").0, 200, "an event that is refused");
}

#[test]
fn a_request_that_is_too_large_is_refused_with_a_line() {
    let mut server = Server::start(&[]);
    let (status, answer) = server.ask("POST /", &vec![b' '; 3 << 20]);
    assert_eq!(status, 200);
    assert!(answer.contains("larger than 2 MiB"), "{answer}");
    insta::assert_snapshot!(server.line_with("refused"));

    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    for _ in 0..3 {
        stream.write_all(b"100000\r\n").unwrap();
        stream.write_all(&vec![b' '; 1 << 20]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert!(self::answer(stream).1.contains("larger than 2 MiB"));
}

#[test]
fn a_request_that_breaks_off_holds_up_no_other() {
    let server = Server::start(&[]);
    let mut half = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").unwrap();
        half.push(stream);
    }
    half[0].shutdown(Shutdown::Both).unwrap();
    assert_eq!(server.intercept(&structured(), &event(""))["continue"], true);
}

#[test]
fn sigterm_ends_it_after_what_has_begun() {
    let mut server = Server::start(&[]);
    let body = json!({ "header": structured(), "body": event("") }).to_string();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    server.terminate();
    server.line_with("stopping");
    assert_eq!(server.ask("GET /healthz", b"").0, 200, "others do not know of the end yet");
    stream.write_all(body.as_bytes()).unwrap();
    assert!(answer(stream).1.contains("\"continue\":true"));
    assert_eq!(server.process.wait().unwrap().code(), Some(143));
}
