//! TLS: whom the step trusts, and how it proves who it is.

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
    thread::{self, JoinHandle},
};

use assert_cmd::Command;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, Stream,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;

/// An authority, and what it issued to a sink on this machine and to a sender.
struct Trust {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Trust {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
        Self { authority, folder }
    }

    fn issue(&self, name: &str) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.authority)
            .unwrap();
        (certificate.der().clone(), key)
    }

    /// Puts a client certificate beside the authority's, as a Secret of type `kubernetes.io/tls` has it.
    fn with_client(self) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["sender".to_owned()])
            .unwrap()
            .signed_by(&key, &self.authority)
            .unwrap();
        fs::write(self.folder.path().join("tls.crt"), certificate.pem()).unwrap();
        fs::write(self.folder.path().join("tls.key"), key.serialize_pem()).unwrap();
        self
    }

    /// A sink that takes one event from a sender that this authority knows, or from anyone.
    fn sink(&self, known_only: bool) -> (String, JoinHandle<Option<String>>) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = if known_only {
            config.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .unwrap(),
            )
        } else {
            config.with_no_client_auth()
        };
        let (certificate, key) = self.issue("localhost");
        let config = config
            .with_single_cert(
                vec![certificate],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let serve = move || {
            let (mut socket, _) = listener.accept().ok()?;
            let mut connection = ServerConnection::new(Arc::new(config)).ok()?;
            let mut stream = Stream::new(&mut connection, &mut socket);
            let mut request = [0; 4096];
            let read = stream.read(&mut request).ok()?;
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").ok()?;
            stream.flush().ok()?;
            Some(String::from_utf8_lossy(&request[..read]).into_owned())
        };
        (address, thread::spawn(serve))
    }

    fn send(&self, sink: &str) -> Command {
        let mut step = Command::cargo_bin("cloudevent-send").unwrap();
        step.args([
            "--type=t.v1",
            "--source=/s",
            "--field=a=1",
            "--retries=0",
            &format!("--sink={sink}"),
        ]);
        step.arg(format!("--credentials={}", self.folder.path().display()));
        step
    }
}

#[test]
fn an_authority_from_the_secret_is_trusted() {
    let trust = Trust::new();
    let (address, sink) = trust.sink(false);
    trust.send(&address).assert().success();
    assert!(sink.join().unwrap().unwrap().starts_with("POST / HTTP/1.1\r\n"));
}

#[test]
fn an_authority_from_knative_s_variable_is_trusted() {
    let trust = Trust::new();
    let (address, _sink) = trust.sink(false);
    let ca = fs::read_to_string(trust.folder.path().join("ca.crt")).unwrap();
    fs::remove_file(trust.folder.path().join("ca.crt")).unwrap();
    trust.send(&address).env("K_CA_CERTS", ca).assert().success();
}

#[test]
fn an_unknown_authority_gets_nothing() {
    let (trust, other) = (Trust::new(), Trust::new());
    let (address, sink) = trust.sink(false);
    let run = other.send(&address).assert().code(1);
    assert_eq!(sink.join().unwrap(), None);
    let text = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[test]
fn a_client_certificate_is_shown_to_a_sink_that_asks() {
    let trust = Trust::new().with_client();
    let (address, sink) = trust.sink(true);
    trust.send(&address).assert().success();
    assert!(sink.join().unwrap().is_some());

    let stranger = Trust { folder: TempDir::new().unwrap(), ..trust };
    fs::write(stranger.folder.path().join("ca.crt"), stranger.authority.pem()).unwrap();
    let (address, sink) = stranger.sink(true);
    stranger.send(&address).assert().code(1);
    assert_eq!(sink.join().unwrap(), None);
}
