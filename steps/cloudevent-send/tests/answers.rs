//! Answers that begin well and go on badly: the head decides, whatever becomes of the body.

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use assert_cmd::{Command, assert::Assert};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::spawn_blocking,
    time::{Duration, sleep},
};

/// What a sink does after it has read a request.
#[derive(Clone, Copy)]
enum Then {
    /// Nothing more, while the connection stays
    Hang,
    /// A byte at a time, without an end
    Drip,
    /// The connection ends within the body
    BreakOff,
}

/// A sink that writes this, then does that; and how many requests it has seen.
async fn sink(head: &'static str, then: Then) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(connection, head, then));
        }
    });
    (address, seen)
}

async fn answer(mut connection: TcpStream, head: &str, then: Then) {
    read_request(&mut connection).await;
    connection.write_all(head.as_bytes()).await.unwrap();
    match then {
        Then::Hang => sleep(Duration::MAX).await,
        Then::Drip => {
            while connection.write_all(b"1\r\na\r\n").await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        }
        Then::BreakOff => {}
    }
}

/// Headers and the body that they announce.
async fn read_request(connection: &mut TcpStream) {
    let mut text = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = connection.read(&mut part).await.unwrap();
        text.extend_from_slice(&part[..read]);
        let so_far = String::from_utf8_lossy(&text).to_lowercase();
        let Some((headers, body)) = so_far.split_once("\r\n\r\n") else { continue };
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            return;
        }
    }
}

async fn send(address: &str, flags: &'static [&'static str]) -> Assert {
    let sink = format!("--sink={address}");
    let send = move || {
        let mut step = Command::cargo_bin("cloudevent-send").unwrap();
        step.args(["--type=t.v1", "--source=/s", "--field=a=1", &sink]).args(flags).assert()
    };
    spawn_blocking(send).await.unwrap()
}

const CHUNKED: &str = "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\nno";
const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_sink_that_accepts_and_then_hangs_drips_or_breaks_off_has_accepted_once() {
    for then in [Then::Hang, Then::Drip, Then::BreakOff] {
        let (address, seen) = sink(CHUNKED, then).await;
        // Even where an attempt may not take as long as the body does.
        send(&address, &["--attempt-timeout=1s"]).await.code(0);
        assert_eq!(seen.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_sink_that_refuses_and_then_hangs_has_refused_once() {
    let (address, seen) = sink(REFUSED, Then::Hang).await;
    let run = send(&address, &["--attempt-timeout=1s"]).await.code(3);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    let text = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(text.contains("it answered 400 Bad Request: no\n"), "{text}");
}

#[tokio::test]
async fn a_sink_that_is_busy_and_drips_is_tried_again() {
    let (address, seen) = sink(BUSY, Then::Drip).await;
    send(&address, &["--retries=1"]).await.code(1);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_head_that_never_ends_is_no_answer() {
    let (address, seen) = sink("HTTP/1.1 202 Accepted\r\nx-a: b\r\n", Then::Hang).await;
    let run = send(&address, &["--retries=0", "--attempt-timeout=1s"]).await.code(1);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    let text = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(text.contains("no answer within 1s"), "{text}");
}
