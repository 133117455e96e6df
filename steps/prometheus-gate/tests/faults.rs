//! A server that misbehaves on the wire, or wants to know who asks: never a panic, a hang or a pass.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use assert_cmd::cargo::CommandCargoExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier,
};

/// What a server sends after it has read a request, as raw bytes.
type Answer = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// A server that answers each connection once, until the process ends.
fn serve(answer: Box<Answer>, tls: Option<ServerConfig>) -> u16 {
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
    let mut request = Vec::new();
    let mut part = [0; 4096];
    // A body follows its headers; its length is told by them.
    while !whole(&request) {
        match stream.read(&mut part) {
            Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
    // A client that has given up is no concern of the server.
    let _ =
        stream.write_all(&answer(&String::from_utf8_lossy(&request))).and_then(|()| stream.flush());
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((headers, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn status(line: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nConnection: close\r\n{headers}Content-Length: 0\r\n\r\n")
        .into_bytes()
}

/// What a sound server answers: the time, and 0 at every point that is asked for.
fn sound(request: &str) -> Vec<u8> {
    let form = request.rsplit("\r\n\r\n").next().unwrap_or_default();
    if form.starts_with("query=time") {
        return ok(&format!(
            r#"{{"status":"success","data":{{"resultType":"scalar","result":[{0},"{0}"]}}}}"#,
            now()
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
        return format!(
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
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
fn knowing_only_the_time(answer: Vec<u8>) -> Box<Answer> {
    Box::new(
        move |request| {
            if request.contains("query=time") { sound(request) } else { answer.clone() }
        },
    )
}

fn gate(url: &str, more: &[&str]) -> Output {
    Command::cargo_bin("prometheus-gate")
        .unwrap()
        .env_clear()
        .env("NO_PROXY", "*")
        .arg(format!("--prometheus-url={url}"))
        .args([
            "--query=errors",
            "--when=value == 0",
            "--hold=60s",
            "--deadline=10m",
            "--poll=100ms",
        ])
        .arg(format!("--start=@{:.0}", now() - 240.0))
        .args(more)
        .output()
        .unwrap()
}

fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that the fault is told, and that nothing is concluded from it.
fn is_an_outage(answer: Box<Answer>, told: &str) {
    let port = serve(answer, None);
    let output = gate(&format!("http://127.0.0.1:{port}"), &["--max-outage=2s", "--timeout=500ms"]);
    let log = log(&output);
    assert_eq!(output.status.code(), Some(3), "{log}");
    assert!(log.contains(told), "{log}");
    assert!(log.contains("inconclusive: outage: "), "{log}");
}

#[test]
fn a_body_that_is_cut_is_no_answer() {
    is_an_outage(
        Box::new(|_| {
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\":\"success\",\"data\""
                .to_vec()
        }),
        "failed to query Prometheus",
    );
}

#[test]
fn a_body_that_ends_in_the_middle_of_its_json_is_no_answer() {
    is_an_outage(
        Box::new(|_| {
            ok(r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"val"#)
        }),
        "the answer is not that of a Prometheus",
    );
}

#[test]
fn a_connection_that_is_closed_at_once_is_no_answer() {
    is_an_outage(Box::new(|_| Vec::new()), "failed to query Prometheus");
}

#[test]
fn a_server_that_takes_too_long_is_no_answer() {
    let slow = |_: &str| {
        thread::sleep(std::time::Duration::from_secs(1));
        Vec::new()
    };
    is_an_outage(Box::new(slow), "no answer in time");
}

#[test]
fn a_redirect_to_a_login_page_is_not_followed() {
    let port =
        serve(Box::new(|_| status("302 Found", "Location: http://127.0.0.1:1/login\r\n")), None);
    let output = gate(&format!("http://127.0.0.1:{port}"), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", log(&output));
    assert!(log(&output).contains("there is no Prometheus API (302 Found"), "{}", log(&output));
}

#[test]
fn a_query_that_cannot_be_carried_out_ends_after_three_tries() {
    let body =
        r#"{"status":"error","errorType":"execution","error":"many-to-many matching not allowed"}"#;
    let refused = format!(
        "HTTP/1.1 422 X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let port = serve(knowing_only_the_time(refused.into_bytes()), None);
    let output = gate(&format!("http://127.0.0.1:{port}"), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(
        log(&output)
            .contains("the server cannot carry out the query: many-to-many matching not allowed")
    );
}

#[test]
fn a_query_that_the_server_doubts_ends_after_three_tries() {
    let port = serve(
        knowing_only_the_time(ok(
            r#"{"status":"success","warnings":["PromQL warning: bucket label \"le\" is missing"],"data":{"resultType":"matrix","result":[]}}"#,
        )),
        None,
    );
    let output = gate(&format!("http://127.0.0.1:{port}"), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(log(&output).contains("hint: the server doubts the query"), "{}", log(&output));
}

#[test]
fn native_histograms_are_no_numbers() {
    let port = serve(
        knowing_only_the_time(ok(
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{"count":"1","sum":"2","buckets":[]}]]}]}}"#,
        )),
        None,
    );
    let output = gate(&format!("http://127.0.0.1:{port}"), &["--deadline=4m"]);
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert!(log(&output).contains("inconclusive: nodata: query: no data"), "{}", log(&output));
}

#[test]
fn more_points_than_a_server_gives_at_once_are_asked_for_in_parts() {
    let port = serve(Box::new(sound), None);
    let flags = ["--start=@1000000000", "--step=1s", "--hold=5h", "--deadline=6h"];
    let output = gate(&format!("http://127.0.0.1:{port}"), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
}

#[test]
fn a_user_and_a_tenant_are_told_with_each_request() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("username"), "ada\n").unwrap();
    fs::write(folder.path().join("password"), "engine\n").unwrap();
    let checked = |request: &str| {
        let told = request.contains("authorization: Basic YWRhOmVuZ2luZQ==")
            && request.contains("x-scope-orgid: team-a");
        if told { sound(request) } else { status("401 Unauthorized", "") }
    };
    let port = serve(Box::new(checked), None);
    let credentials = format!("--credentials={}", folder.path().display());
    let output = gate(
        &format!("http://127.0.0.1:{port}"),
        &[&credentials, "--header=X-Scope-OrgID: team-a"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert!(!log(&output).contains("engine"), "no secret is told");
}

/// An authority, and a server that only talks to whom it knows.
struct Trust {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Trust {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            authority: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    fn serve(&self) -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        serve(Box::new(sound), Some(config))
    }

    fn write(&self, folder: &Path) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["gate".to_owned()])
            .unwrap()
            .signed_by(&key, &self.authority)
            .unwrap();
        fs::write(folder.join("ca.crt"), self.authority.pem()).unwrap();
        fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
        fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    }
}

#[test]
fn a_private_authority_and_a_client_certificate_come_from_the_secret() {
    let trust = Trust::new();
    let folder = tempfile::tempdir().unwrap();
    trust.write(folder.path());
    let credentials = format!("--credentials={}", folder.path().display());
    let output = gate(&format!("https://localhost:{}", trust.serve()), &[&credentials]);
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
}

#[test]
fn a_server_of_an_unknown_authority_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    Trust::new().write(folder.path());
    let credentials = format!("--credentials={}", folder.path().display());
    let output = gate(
        &format!("https://localhost:{}", Trust::new().serve()),
        &[&credentials, "--max-outage=1s"],
    );
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert!(log(&output).contains("invalid peer certificate"), "{}", log(&output));
}
