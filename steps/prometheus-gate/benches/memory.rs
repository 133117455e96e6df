//! How much memory a gate takes with many pods and a long past: `cargo bench -p prometheus-gate --bench memory`.
//!
//! A scripted server has 100 pods a side, 8 status codes and 20 buckets, or 20 fields of 51 answers, and an hour to catch up
//! with, a small part of the Task's limit of 256 MiB, which is there for days of waiting for permission. The figures are the process's
//! own peak, and its time on a processor for each of the looks, with all that they take from the answer to the verdict.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const BUCKETS: usize = 20;
const CODES: usize = 8;
const FIELDS: usize = 20;
const ANSWERS: usize = 51;
const LOOKS: f64 = 720.0;

fn main() {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "peak memory of a gate with an hour to catch up, in MiB, and ms of a processor per look"
    )
    .unwrap();
    for (pods, criteria) in [
        (1, "--query=up"),
        (1, "errors,latency"),
        (30, "errors,latency"),
        (100, "errors,latency"),
        (100, "errors,rejections,latency"),
        (1, "answers"),
    ] {
        let (peak, each) = cost(pods, criteria);
        let described = criteria.trim_start_matches("--query=");
        writeln!(out, "  {pods:4} pods a side, {described:26} {peak:6.1} {each:6.2}").unwrap();
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Watches a gate until it is done, or for as long as it takes to catch up.
fn cost(pods: usize, criteria: &str) -> (f64, f64) {
    let port = serve(pods);
    let mut command = Command::new(env!("CARGO_BIN_EXE_prometheus-gate"));
    command.env_clear().arg(format!("--prometheus-url=http://127.0.0.1:{port}"));
    if criteria.starts_with("--") {
        command.args([criteria, "--when=value == 1"]);
    } else {
        command.arg(format!("--criteria={criteria}"));
    }
    let mut child = command
        .args(["--namespace=models", "--canary-revision=m-2", "--baseline-revision=m-1"])
        .args(["--service=m", "--canary-version=v2"])
        .args(["--hold=59m", "--deadline=2h", "--timeout=60s"])
        .arg(format!("--start=@{:.0}", now() - 3600.0))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let id = child.id();
    let of = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}"));
    let of = |file: &str| of(file).unwrap_or_default();
    let (mut peak, mut spent) = (0.0_f64, 0.0_f64);
    while child.try_wait().unwrap().is_none() {
        let text = of("status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
        peak = peak.max(kib.unwrap_or(0.0) / 1024.0);
        // In its own mode and in the kernel's, in hundredths of a second.
        let ticks: f64 = of("stat").split(' ').skip(13).take(2).flat_map(str::parse::<f64>).sum();
        spent = spent.max(ticks * 10.0);
        thread::sleep(Duration::from_millis(5));
    }
    (peak, spent / LOOKS)
}

/// A Prometheus that knows this many pods a side, until the process ends.
fn serve(pods: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || answer(socket, pods));
        }
    });
    port
}

fn answer(mut socket: TcpStream, pods: usize) {
    while let Some(form) = request(&mut socket) {
        let field = |name: &str| {
            form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let query = field("query").unwrap_or_default();
        let number = |name: &str| field(name).and_then(|text| text.parse::<f64>().ok());
        let body = match (number("start"), number("end"), number("step")) {
            (Some(start), Some(end), Some(step)) => matrix(query, pods, (start, end, step)),
            _ if query.starts_with("time") => scalar(),
            _ if query.contains("count%28") => vector(&["\"gate_part\":\"1\"".to_owned()]),
            _ if query.contains("kanaria") => vector(&[format!("{EVENTS},\"pod\":\"counter\"")]),
            _ => vector(&samples(pods)),
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if socket
            .write_all(head.as_bytes())
            .and_then(|()| socket.write_all(body.as_bytes()))
            .is_err()
        {
            return;
        }
    }
}

/// The body of the next request on a connection.
fn request(socket: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut part = vec![0; 65536];
    loop {
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length: ").and_then(|length| length.parse().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(body.to_owned());
            }
        }
        match socket.read(&mut part) {
            Ok(read) if read > 0 => text.extend_from_slice(&part[..read]),
            _ => return None,
        }
    }
}

fn scalar() -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"scalar","result":[{0},"{0}"]}}}}"#,
        now()
    )
}

fn vector(series: &[String]) -> String {
    let one = |labels: &String| format!(r#"{{"metric":{{{labels}}},"value":[{},"1"]}}"#, now());
    let series: Vec<String> = series.iter().map(one).collect();
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
        series.join(",")
    )
}

const EVENTS: &str = r#""__name__":"kanaria_answer_events_total","outcome":"taken""#;

/// The series as they are, before the server sums them.
fn samples(pods: usize) -> Vec<String> {
    let of = |side: &str, pod: usize, code: usize| {
        format!(
            r#""namespace":"models","revision":"{side}","pod":"{side}-deployment-{pod}","instance":"10.0.0.{pod}:9091","job":"queue-proxy","http_response_status_code":"{}""#,
            200 + code
        )
    };
    let mut series = Vec::new();
    for side in ["m-1", "m-2"] {
        for pod in 0..pods {
            series.extend((0..CODES).map(|code| of(side, pod, code)));
        }
    }
    series
}

/// What the query asks for, by the roles that it names, at every point.
fn matrix(query: &str, pods: usize, (start, end, step): (f64, f64, f64)) -> String {
    let mut body = String::from(r#"{"status":"success","data":{"resultType":"matrix","result":["#);
    let mut series = |labels: &str, value: &dyn Fn(f64) -> f64| {
        let comma = if body.ends_with('[') { "" } else { "," };
        let _ = write!(body, r#"{comma}{{"metric":{{{labels}}},"values":["#);
        let mut at = start;
        while at <= end {
            let comma = if at > start { "," } else { "" };
            let _ = write!(body, "{comma}[{at},\"{}\"]", value(at));
            at += step;
        }
        body.push_str("]}");
    };
    let count = |at: f64, per_second: f64| ((at - 1.7e9) * per_second).floor();
    for side in ["canary", "baseline"] {
        for role in ["total", "errors", "inner", "bucket", "sampled"] {
            if !query.contains(&format!("{side}_{role}")) {
                continue;
            }
            for pod in 0..pods {
                let labels = format!(r#""gate_part":"{side}_{role}","pod":"{side}-{pod}""#);
                match role {
                    "bucket" => {
                        for bucket in 0..BUCKETS {
                            let bound = if bucket + 1 == BUCKETS {
                                "+Inf".to_owned()
                            } else {
                                bucket.to_string()
                            };
                            let part = f64::from(u32::try_from(bucket + 1).unwrap());
                            series(&format!(r#"{labels},"le":"{bound}""#), &|at| count(at, part));
                        }
                    }
                    "sampled" => series(&labels, &|at| at),
                    "total" => series(&labels, &|at| count(at, 20.0)),
                    _ => series(&labels, &|at| count(at, 0.1)),
                }
            }
        }
    }
    for side in ["canary", "baseline"] {
        if !query.contains(&format!("{side}_taken")) {
            continue;
        }
        let part = |role: &str| format!(r#""gate_part":"{side}_{role}","pod":"counter""#);
        series(&part("taken"), &|at| count(at, 20.0));
        for field in 0..FIELDS {
            let filled = part("filled");
            series(&format!(r#"{filled},"field":"/field-{field}""#), &|at| count(at, 20.0));
            for answer in 0..ANSWERS {
                let labels = part("answer");
                let labels = format!(r#"{labels},"field":"/field-{field}","answer":"a-{answer}""#);
                series(&labels, &|at| count(at, 0.4));
            }
        }
    }
    if !query.contains("gate_part") || query.contains("scraped") {
        series("", &|_| 1.0);
    }
    body.push_str("]}}");
    body
}
