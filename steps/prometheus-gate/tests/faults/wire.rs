//! A server whose answers are raw bytes, and a gate that asks it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use assert_cmd::cargo::CommandCargoExt as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// What a server sends after it has read a request, as raw bytes.
pub(crate) type Answer = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// A server that answers each connection once, until the process ends.
pub(crate) fn serve(answer: Box<Answer>, tls: Option<ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = tls.map(Arc::new);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            match &tls {
                None => talk(socket, &*answer),
                Some(config) => talk(
                    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), socket),
                    &*answer,
                ),
            }
        }
    });
    port
}

fn talk(mut stream: impl Read + Write, answer: &Answer) {
    let Some(request) = read_request(&mut stream) else { return };
    // A client that has given up is no concern of the server.
    let _ = stream.write_all(&answer(&request)).and_then(|()| stream.flush());
}

/// A whole request, unless the client goes away before.
pub(crate) fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    // A body follows its headers; its length is told by them.
    while !whole(&request) {
        match stream.read(&mut part) {
            Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&request).into_owned())
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((headers, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}

/// What the server's clock says from beginning to end: when the tests began, because a gate whose server
/// does not tell the time goes by this machine's. Whole ten seconds, so that points are known.
pub(crate) static NOW: LazyLock<f64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Duration::from_secs(now / 10 * 10).as_secs_f64()
});

pub(crate) fn ok(body: &str) -> Vec<u8> {
    answer("200 OK", "", body)
}

pub(crate) fn status(line: &str, headers: &str) -> Vec<u8> {
    answer(line, headers, "")
}

pub(crate) fn answer(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {line}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The fields of a request: its body, or what follows the path.
pub(crate) fn form(request: &str) -> &str {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or_default();
    if !body.is_empty() {
        return body;
    }
    let target = head.split(' ').nth(1).unwrap_or_default();
    target.split_once('?').map_or("", |(_, query)| query)
}

/// What a sound server answers: the time, and 0 at every point that is asked for.
pub(crate) fn sound(request: &str) -> Vec<u8> {
    let form = form(request);
    if form.starts_with("query=time") {
        return ok(&format!(
            r#"{{"status":"success","data":{{"resultType":"scalar","result":[{0},"{0}"]}}}}"#,
            *NOW
        ));
    }
    let number = |name: &str| {
        form.split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    let (start, end, step) = (number("start"), number("end"), number("step"));
    if (end - start) / step > 11_000.0 {
        let body = r#"{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points"}"#;
        return answer("400 Bad Request", "", body);
    }
    let mut values = Vec::new();
    let mut at = start;
    while at <= end {
        values.push(format!(r#"[{at},"0"]"#));
        at += step;
    }
    ok(&format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{}]}}]}}}}"#,
        values.join(",")
    ))
}

/// Sound as to the clock, with this answer to all else.
pub(crate) fn knowing_only_the_time(answer: Vec<u8>) -> Box<Answer> {
    Box::new(
        move |request| {
            if request.contains("query=time") { sound(request) } else { answer.clone() }
        },
    )
}

/// A gate that has all it needs to decide at its first look.
pub(crate) fn command(url: &str) -> Command {
    let mut command = Command::cargo_bin("prometheus-gate").unwrap();
    command
        .env_clear()
        .env("NO_PROXY", "*")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .arg(format!("--prometheus-url={url}"))
        .args([
            "--query=errors",
            "--when=value == 0",
            "--hold=60s",
            "--deadline=10m",
            "--poll=100ms",
            "--max-outage=20s",
        ])
        .arg(format!("--start=@{:.0}", *NOW - 240.0));
    command
}

pub(crate) fn gate(url: &str, more: &[&str]) -> Output {
    command(url).args(more).output().unwrap()
}

/// A gate with results, and their folder.
pub(crate) fn gate_with_results(url: &str, more: &[&str]) -> (Output, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let output = command(url).args(results(folder.path())).args(more).output().unwrap();
    (output, folder)
}

pub(crate) fn results(folder: &Path) -> [String; 2] {
    ["verdict", "reason"].map(|name| format!("--result-{name}={}", folder.join(name).display()))
}

pub(crate) fn result(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

pub(crate) fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Sound but for the first `times` questions after that for the time.
pub(crate) fn after_a_while(times: usize, answer: Vec<u8>) -> Box<Answer> {
    let asked = AtomicUsize::new(0);
    Box::new(move |request| {
        let is_clock = form(request).starts_with("query=time");
        if is_clock || asked.fetch_add(1, Ordering::Relaxed) >= times {
            sound(request)
        } else {
            answer.clone()
        }
    })
}

/// Asserts that the fault is told, and that nothing is concluded from it.
pub(crate) fn is_an_outage(answer: Box<Answer>, told: &str) {
    let port = serve(answer, None);
    let output = gate(&format!("http://127.0.0.1:{port}"), &["--max-outage=2s", "--timeout=500ms"]);
    let log = log(&output);
    assert_eq!(output.status.code(), Some(3), "{log}");
    assert!(log.contains(told), "{log}");
    assert!(log.contains("inconclusive: outage: "), "{log}");
}
