//! What goes to the proxy that a cluster or a machine has set for everybody, by all steps that speak
//! HTTP: what is near never, the rest unless `NO_PROXY` names it, and a failure says so.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use crate::binaries;

/// A proxy that wants a password, and knows what it was asked for.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (line, stream) = request(stream.unwrap()).unwrap();
                seen.lock().unwrap().push(line);
                refuse(stream).unwrap();
            }
        });
        Self { address, asked }
    }
}

fn request(stream: TcpStream) -> io::Result<(String, TcpStream)> {
    let mut head = BufReader::new(stream.try_clone()?).lines();
    let line = head.next().transpose()?.unwrap_or_default();
    head.map_while(Result::ok).find(String::is_empty);
    Ok((line.trim_end_matches(" HTTP/1.1").to_owned(), stream))
}

fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes())
}

/// A step that asks this address once, and what it said. The variables name our proxy with `PROXY`.
fn ask(step: &str, address: &str, variables: &[(&str, &str)]) -> (Vec<String>, String) {
    let proxy = Proxy::start();
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(binaries::path(step));
    let with_password = format!("http://ada:hunter2@{}", proxy.address);
    command.env_clear().current_dir(&home).args(arguments(step, address, &home, variables));
    for (name, value) in variables.iter().filter(|(name, _)| *name != "proxy-url") {
        command.env(name, value.replace("PROXY", &with_password));
    }
    if step.starts_with("canary-") {
        let own = variables.iter().find(|(name, _)| *name == "proxy-url").map(|_| &with_password);
        command.env("KUBECONFIG", kubeconfig(&home, address, own));
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{step}: {said}");
    assert!(!said.contains("hunter2"), "{said}");
    let asked = proxy.asked.lock().unwrap().clone();
    (asked, said.replace(&proxy.address, "PROXY"))
}

fn arguments(step: &str, address: &str, home: &TempDir, variables: &[(&str, &str)]) -> Vec<String> {
    let words = match step {
        "bento-image" => {
            // The image of an archive that is known is looked for before the archive itself.
            let (_, host) = address.split_once("://").unwrap();
            let sha256 = "a".repeat(64);
            format!(
                "assemble --image={host}/models/iris --sha256={sha256} --timeout=1s --store=s3://bentos \
                 --bento=iris:v1 --s3-endpoint=http://127.0.0.1:9 --anonymous --retries=0"
            )
        }
        "bento-retrieve" if variables.contains(&STORE) => {
            format!(
                "--s3-endpoint={address} --store=s3://bentos --bento=iris:v1 --retries=0 --into=bento"
            )
        }
        "bento-retrieve" => format!("--from={address}/iris.tar.gz --retries=0 --into=bento"),
        "cloudevent-send" => {
            format!("--sink={address} --type=done.v1 --source=/ci --field=a=b --retries=0")
        }
        "prometheus-gate" => {
            fs::write(home.path().join("gate.yaml"), SPEC).unwrap();
            format!("check --prometheus-url={address} gate.yaml")
        }
        "release-record" => {
            format!("runs --s3-endpoint={address} --releases=s3://bentos/releases --retries=0")
        }
        "canary-rollback" => "--service=iris --canary-revision=iris-2 --timeout=0s".into(),
        other => panic!("nothing is known of {other}"),
    };
    words.split(' ').map(str::to_owned).collect()
}

const SPEC: &str = "criteria: [{name: up, query: up, when: value >= 0}]";
const STORE: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "secret");
const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "key");

fn kubeconfig(home: &TempDir, server: &str, proxy: Option<&String>) -> std::path::PathBuf {
    let file = home.path().join("kubeconfig");
    let proxy = proxy.map(|proxy| format!(", \"proxy-url\": \"{proxy}\"")).unwrap_or_default();
    let text = format!(
        r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{{"name": "c", "context": {{"cluster": "c", "user": "u"}}}}],
            "clusters": [{{"name": "c", "cluster": {{"server": "{server}"{proxy}}}}}],
            "users": [{{"name": "u", "user": {{"token": "t"}}}}]}}"#
    );
    fs::write(&file, text).unwrap();
    file
}

const HTTP: (&str, &str) = ("HTTP_PROXY", "PROXY");
const HTTPS: (&str, &str) = ("https_proxy", "PROXY");

/// Each step, and what else it wants to know before it asks.
const STEPS: [(&str, &[(&str, &str)]); 7] = [
    ("bento-image", &[]),
    ("bento-retrieve", &[]),
    ("bento-retrieve", &[KEY, STORE]),
    ("cloudevent-send", &[]),
    ("prometheus-gate", &[]),
    ("release-record", &[KEY, STORE]),
    ("canary-rollback", &[]),
];

#[test]
fn what_is_near_goes_to_no_proxy() {
    for (step, more) in STEPS {
        for address in ["http://el-canary:9", "http://el-canary.models.svc:9", "http://127.0.0.1:9"]
        {
            let (asked, said) = ask(step, address, &[&[HTTP, HTTPS], more].concat());
            assert_eq!(asked, Vec::<String>::new(), "{step}: {said}");
            assert!(!said.contains("through proxy"), "{step}: {said}");
        }
    }
}

#[test]
fn what_is_far_goes_to_the_proxy_and_a_failure_says_so() {
    for (step, more) in STEPS {
        let (asked, said) = ask(step, "https://far.invalid:9", &[&[HTTPS], more].concat());
        assert!(asked.iter().all(|line| line == "CONNECT far.invalid:9"), "{step}: {asked:?}");
        assert!(!asked.is_empty(), "{step}: {said}");
        assert!(said.contains("through proxy http://PROXY"), "{step}: {said}");
        assert!(said.contains("NO_PROXY"), "{step}: {said}");
    }
    // Registries and API servers are asked over TLS; without a tunnel the proxy itself answers.
    let over_tls = ["bento-image", "canary-rollback"];
    for (step, more) in STEPS.into_iter().filter(|(step, _)| !over_tls.contains(step)) {
        let (asked, said) = ask(step, "http://far.invalid:9", &[&[HTTP], more].concat());
        assert!(
            asked.iter().all(|line| line.contains(" http://far.invalid:9/")),
            "{step}: {asked:?}"
        );
        assert!(!asked.is_empty(), "{step}: {said}");
        assert!(said.contains("through proxy http://PROXY"), "{step}: {said}");
        assert!(said.contains("407 Proxy Authentication Required"), "{step}: {said}");
    }
}

#[test]
fn no_proxy_is_heeded() {
    for (step, more) in STEPS {
        for no_proxy in ["far.invalid", ".invalid", "far.invalid:9", "*"] {
            let exception = ("NO_PROXY", no_proxy);
            let variables = [&[HTTP, HTTPS, exception], more].concat();
            let (asked, said) = ask(step, "https://far.invalid:9", &variables);
            assert_eq!(asked, Vec::<String>::new(), "{step}, NO_PROXY={no_proxy}: {said}");
        }
        let variables = [&[HTTP, HTTPS, ("no_proxy", "invalid:8,other.invalid")], more].concat();
        let (asked, said) = ask(step, "https://far.invalid:9", &variables);
        assert!(!asked.is_empty(), "{step}: {said}");
    }
}

#[test]
fn the_proxy_of_a_kubeconfig_is_that_of_its_cluster_whatever_the_environment_says() {
    for more in [&[][..], &[("NO_PROXY", "*")], &[("HTTPS_PROXY", "http://none.invalid:1")]] {
        let variables = [&[("proxy-url", "PROXY")], more].concat();
        let (asked, said) = ask("canary-rollback", "https://far.invalid:9", &variables);
        assert_eq!(asked.first().map(String::as_str), Some("CONNECT far.invalid:9"), "{said}");
        assert!(said.contains("through proxy http://PROXY"), "{said}");
    }
}
