//! The binary as a process, against a registry that answers as each test wants it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use assert_cmd::cargo::cargo_bin;
use insta::assert_snapshot;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

const SHA256: &str = "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592";

struct Run {
    server: MockServer,
    home: TempDir,
}

struct Ended {
    code: Option<i32>,
    stderr: String,
    digest: Option<String>,
}

impl Run {
    async fn new() -> Self {
        Self { server: MockServer::start().await, home: tempfile::tempdir().unwrap() }
    }

    async fn serves(&self, at: &str, answer: ResponseTemplate) {
        Mock::given(path(format!("/v2/models/iris/{at}")))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    /// An image with these labels at the tag; returns its digest.
    async fn holds(&self, labels: serde_json::Value) -> String {
        let config = json!({ "config": { "Labels": labels } }).to_string();
        let manifest = json!({ "config": { "digest": digest(&config) } }).to_string();
        self.serves(&format!("blobs/{}", digest(&config)), ok(&config)).await;
        self.serves("manifests/v1", ok(&manifest)).await;
        self.serves(&format!("manifests/{}", digest(&manifest)), ok(&manifest)).await;
        digest(&manifest)
    }

    async fn confirm(&self, more: &[&str]) -> Ended {
        let mut command = Command::new(cargo_bin!("bento-image"));
        let image = format!("--image={}/models/iris:v1", self.server.address());
        command.env_clear().env("NO_PROXY", "*").current_dir(self.home.path());
        command.args([&image, &format!("--sha256={SHA256}"), "--result-digest=result"]).args(more);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        Ended {
            code: output.status.code(),
            stderr: stderr.replace(&self.server.address().to_string(), "[registry]"),
            digest: fs::read_to_string(self.home.path().join("result")).ok(),
        }
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold("sha256:".to_owned(), |all, byte| format!("{all}{byte:02x}"))
}

fn ok(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(text.to_owned(), "application/json")
}

#[test]
fn the_help_teaches_by_example() {
    let output = Command::new(cargo_bin!("bento-image")).arg("--help").output().unwrap();
    assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_same_archive_is_found() {
    let run = Run::new().await;
    let digest = run.holds(json!({ "kanaria.dev/bento-sha256": SHA256 })).await;
    let ended = run.confirm(&[]).await;
    assert_eq!((ended.code, ended.digest), (Some(0), Some(digest.clone())), "{}", ended.stderr);
    assert_snapshot!(ended.stderr);

    let again = run.confirm(&["--rebuild=true"]).await;
    assert_eq!((again.code, again.digest.as_deref()), (Some(0), Some("")));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_image_is_built_anew_and_what_that_means_is_said() {
    let mut told = String::new();
    for labels in [json!({ "kanaria.dev/bento-sha256": "00\u{1b}[2J" }), json!({}), json!(null)] {
        let run = Run::new().await;
        run.holds(labels).await;
        let ended = run.confirm(&[]).await;
        assert_eq!((ended.code, ended.digest.as_deref()), (Some(0), Some("")));
        told += &ended.stderr;
    }
    let run = Run::new().await;
    told += &run.confirm(&[]).await.stderr;
    assert_snapshot!(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_tell_does_not_stop_a_build() {
    let run = Run::new().await;
    run.serves(
        "manifests/v1",
        ResponseTemplate::new(401).insert_header("www-authenticate", "Basic"),
    )
    .await;
    fs::write(run.home.path().join("config.json"), r#"{"credsStore": "ecr-login"}"#).unwrap();
    let ended = run.confirm(&["--registry-auth=."]).await;
    assert_eq!((ended.code, ended.digest.as_deref()), (Some(0), Some("")));
    assert_snapshot!(ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_reported_once_the_registry_has_it() {
    let run = Run::new().await;
    let digest = run.holds(json!({})).await;
    fs::write(run.home.path().join("pushed"), &digest).unwrap();
    let ended = run.confirm(&["--pushed=pushed", "--found="]).await;
    assert_eq!((ended.code, ended.digest), (Some(0), Some(digest.clone())), "{}", ended.stderr);

    // Nothing was built, as it was found before.
    fs::remove_file(run.home.path().join("result")).unwrap();
    let ended = run.confirm(&["--pushed=nothing", &format!("--found={digest}")]).await;
    assert_eq!((ended.code, ended.digest), (Some(0), Some(digest)), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_was_not_pushed_is_never_reported() {
    let run = Run::new().await;
    run.holds(json!({})).await;
    fs::write(run.home.path().join("pushed"), digest("what the registry refused")).unwrap();
    let mut told = String::new();
    for more in [["--pushed=pushed", "--found="], ["--pushed=nothing", "--found="]] {
        let ended = run.confirm(&more).await;
        assert_eq!((ended.code, ended.digest), (Some(1), None));
        told += &ended.stderr;
    }
    assert_snapshot!(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_tell_leaves_the_builder_s_word() {
    let run = Run::new().await;
    let pushed = digest("x");
    fs::write(run.home.path().join("pushed"), &pushed).unwrap();
    run.serves(&format!("manifests/{pushed}"), ResponseTemplate::new(403)).await;
    let ended = run.confirm(&["--pushed=pushed"]).await;
    assert_eq!((ended.code, ended.digest), (Some(0), Some(pushed)), "{}", ended.stderr);
}

#[test]
fn a_registry_with_a_certificate_of_one_s_own_is_trusted_by_its_authority_and_never_asked_without_tls()
 {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("certificate"), certificate.pem()).unwrap();
    fs::create_dir_all(folder.join("v2/models/iris/manifests")).unwrap();
    fs::write(folder.join("v2/models/iris/manifests/v1"), "{}").unwrap();
    let script = "import http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('certificate', 'key')
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()";
    let mut python = Command::new("python3");
    python.args(["-c", script]).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut python = python.spawn().unwrap();
    let mut port = String::new();
    BufReader::new(python.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
    let tell = || {
        let mut command = Command::new(cargo_bin!("bento-image"));
        command.env_clear().env("NO_PROXY", "*").current_dir(folder);
        let image = format!("--image=localhost:{}/models/iris:v1", port.trim());
        let output = command
            .args([&image, "--sha256=00", "--credentials=.", "--timeout=1s"])
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let stranger = tell();
    assert!(
        stranger.contains("failed to look for") && stranger.contains("certificate"),
        "{stranger}"
    );
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    let trusted = tell();
    assert!(trusted.contains("holds another image"), "{trusted}");
    fs::write(folder.join("ca.crt"), "not PEM").unwrap();
    assert!(
        tell().contains("hint: `ca.crt` of the Secret that `build-secret` names"),
        "{}",
        tell()
    );
    python.kill().unwrap();
    python.wait().unwrap();
}

#[test]
fn what_makes_no_sense_is_a_usage_error_and_a_bad_file_is_not_quoted() {
    let run = |args: &[&str]| {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("config.json"), "{\"auths\": {\"r\": \"s3cr3t\"}}").unwrap();
        let output = Command::new(cargo_bin!("bento-image"))
            .current_dir(home.path())
            .args(args)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, stderr) = run(&["--image=registry.example/iris", "--sha256=00"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("an image is `HOST/REPOSITORY:TAG`"), "{stderr}");
    let (code, stderr) =
        run(&["--image=registry.example/iris:v1", "--sha256=00", "--registry-auth=."]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("is not a valid configuration of Docker") && !stderr.contains("s3cr3t"),
        "{stderr}"
    );
}
