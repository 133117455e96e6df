//! How long senders wait, how many events are counted in a second, and how much memory it takes:
//! `cargo bench -p answer-counter`.
//!
//! Each sender is a connection that stays open and waits for its 202 before it sends the next event, as a
//! worker of KServe's agent does. Behind each burst it is waited for the last event to be counted.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

#[path = "../tests/service/process.rs"]
mod process;

use std::{
    fmt::Write as _,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use process::{Server, command};
use socket2::{Domain, Socket, Type};

const SMALL: &str = r#"{"species": "setosa", "version": "v2", "probability": 0.98}"#;

fn main() {
    let mut out = io::stdout().lock();
    let server = Measured::start();
    writeln!(out, "idle: {:.1} MiB", server.memory("VmRSS:")).unwrap();

    let predictions = format!(r#"{{"predictions": [{}2]}}"#, "0,1,".repeat(500));
    let (floats, texts) = (floats(1_000_000), distinct(1_000_000));
    let bursts: [(&str, &str, usize, u32); 6] = [
        ("1 sender, 60 bytes", SMALL, 1, 20_000),
        ("20 senders, 60 bytes", SMALL, 20, 2_500),
        ("200 senders, 60 bytes", SMALL, 200, 250),
        ("20 senders, 1,001 predictions each", &predictions, 20, 500),
        ("20 senders, 1 MB of floats", &floats, 20, 20),
        ("20 senders, 1 MB of answers that all differ", &texts, 20, 20),
    ];
    for (what, body, senders, each) in bursts {
        let before = server.outcomes().0;
        let begun = Instant::now();
        let waits = send(&server, body, senders, each, Duration::ZERO);
        while server.outcomes().0 < before + senders as u64 * u64::from(each) {
            thread::sleep(Duration::from_millis(1));
        }
        report(&mut out, &server, what, &waits, begun.elapsed());
    }
    let before = server.processor_seconds();
    let begun = Instant::now();
    let waits = send(&server, SMALL, 20, 1_250, Duration::from_secs(5) / 1_250);
    let took = begun.elapsed();
    let share = (server.processor_seconds() - before) / took.as_secs_f64();
    let what = format!("20 senders, 60 bytes, paced, {:.0} % of one processor", 100.0 * share);
    report(&mut out, &server, &what, &waits, took);

    let begun = Instant::now();
    let waits = send(&server, &distinct(900_000), 500, 3, Duration::ZERO);
    report(&mut out, &server, "500 senders, 0.9 MB", &waits, begun.elapsed());

    for at in 0..4_000 {
        let mut sender = Connection::open(&server.server.events, at);
        sender.ask(&request(&format!("/models/s{at}/v1"), r#"{"a": [1, 2, 3]}"#));
    }
    let begun = Instant::now();
    let bytes = server.scrape().len();
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    writeln!(
        out,
        "a scrape of {bytes} bytes: {took:.1} ms; memory {:.1} MiB",
        server.memory("VmRSS:")
    )
    .unwrap();
}

fn report(out: &mut impl Write, server: &Measured, what: &str, waits: &[Duration], took: Duration) {
    let wait = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    writeln!(
        out,
        "{what}: {:.0} events/s, a sender waits {:.2} ms, p99 {:.2} ms, at most {:.1} ms; {:.1} % dropped; memory {:.1} MiB, peak {:.1} MiB",
        number(waits.len() as u64) / took.as_secs_f64(),
        wait(50),
        wait(99),
        wait(100),
        server.dropped(),
        server.memory("VmRSS:"),
        server.memory("VmHWM:")
    )
    .unwrap();
}

/// How long each event's sender waited, in order. With a pause, a sender sends that often and no more.
fn send(
    server: &Measured,
    body: &str,
    senders: usize,
    each: u32,
    pause: Duration,
) -> Vec<Duration> {
    let address = &server.server.events;
    let mut waits = thread::scope(|scope| {
        let all: Vec<_> = (0..senders)
            .map(|at| {
                let request = request(&format!("/models/iris/v{}", at % 2), body);
                scope.spawn(move || {
                    let mut connection = Connection::open(address, at);
                    let begun = Instant::now();
                    let ask = |number: u32| {
                        thread::sleep((pause * number).saturating_sub(begun.elapsed()));
                        connection.ask(&request)
                    };
                    (0..each).map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        all.into_iter().flat_map(|sender| sender.join().unwrap()).collect::<Vec<_>>()
    });
    waits.sort_unstable();
    waits
}

#[allow(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
fn number(count: u64) -> f64 {
    count as f64
}

fn request(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nce-specversion: 1.0\r\nce-id: 6e8bc430-9c3a-11d9-9669-0800200c9a66\r\n\
         ce-source: http://localhost:9081/\r\nce-type: org.kubeflow.serving.inference.response\r\n\
         ce-inferenceservicename: iris\r\nce-namespace: models\r\nce-component: predictor\r\nce-endpoint: \r\n\
         ce-metadata: {{}}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn floats(size: usize) -> String {
    let mut text = String::from(
        r#"{"model_name":"iris","outputs":[{"name":"p","datatype":"FP64","shape":[1],"data":[0.5"#,
    );
    while text.len() < size {
        text += ",0.12345678";
    }
    text + "]}]}"
}

fn distinct(size: usize) -> String {
    let mut text = String::from("[0");
    let mut at = 0;
    while text.len() < size {
        at += 1;
        write!(text, ",\"{at:x}\"").unwrap();
    }
    text + "]"
}

struct Measured {
    server: Server,
    /// Events, and dropped ones, when it was last asked
    before: Mutex<(u64, u64)>,
}

impl Measured {
    fn start() -> Self {
        let mut command = command();
        command.env("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072"); // as its Deployment has it
        Self { server: Server::of(&mut command), before: Mutex::default() }
    }

    fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(&self.server.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Events of all outcomes, and dropped ones
    fn outcomes(&self) -> (u64, u64) {
        let text = self.scrape();
        let lines = text.lines().filter(|line| line.starts_with("kanaria_answer_events_total{"));
        lines.fold((0, 0), |(all, dropped), line| {
            let many: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            (all + many, dropped + if line.contains("\"dropped\"") { many } else { 0 })
        })
    }

    /// Percent of the events since it was last asked
    fn dropped(&self) -> f64 {
        let now = self.outcomes();
        let before = std::mem::replace(&mut *self.before.lock().unwrap(), now);
        100.0 * number(now.1 - before.1) / number((now.0 - before.0).max(1))
    }

    /// A figure of the kernel's, in MiB
    fn memory(&self, name: &str) -> f64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.server.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Of the processors, at 100 ticks a second
    fn processor_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.server.process.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        [11, 12].iter().map(|at: &usize| fields[*at].parse::<f64>().unwrap() / 100.0).sum()
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    /// From one of several addresses of this machine, as from several pods
    fn open(address: &str, peer: usize) -> Self {
        let from: SocketAddr = format!("127.0.0.{}:0", 2 + peer % 8).parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, request: &[u8]) -> Duration {
        let begun = Instant::now();
        self.0.get_mut().write_all(request).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 202"), "{line}");
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).unwrap();
        }
        begun.elapsed()
    }
}
