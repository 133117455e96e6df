//! A server that wants to know who asks, or whom it should not trust.

use std::{fs, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};

use crate::wire::{gate, log, serve, sound, status};

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
