//! Certificates and keys, made fresh for each cluster, readable by root alone.

use std::{fs, net::IpAddr, path::PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::{
    network::{API_SERVICE, NODE},
    paths::{private_dir, private_file, run},
};

/// The node's name in Kubernetes.
pub(crate) const NODE_NAME: &str = "kanaria";

/// Who a client is to Kubernetes: common name and organisation, which are user and group there.
struct Identity {
    file: &'static str,
    user: &'static str,
    group: Option<&'static str>,
}

/// `observer` reads pods and services: Prometheus, `kube-state-metrics` and `CoreDNS` need no more.
const CLIENTS: [Identity; 8] = [
    Identity { file: "admin", user: "kanaria:admin", group: Some("system:masters") },
    Identity {
        file: "apiserver-to-kubelet",
        user: "kanaria:apiserver",
        group: Some("system:masters"),
    },
    Identity { file: "apiserver-to-etcd", user: "kanaria:apiserver-to-etcd", group: None },
    Identity { file: "controller-manager", user: "system:kube-controller-manager", group: None },
    Identity { file: "scheduler", user: "system:kube-scheduler", group: None },
    Identity { file: "proxy", user: "system:kube-proxy", group: None },
    Identity { file: "kubelet", user: "system:node:kanaria", group: Some("system:nodes") },
    Identity { file: "observer", user: "kanaria:observer", group: None },
];

const API_SERVER_NAMES: [&str; 5] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// What KServe shows to the API server when it asks for admission.
pub(crate) const KSERVE_WEBHOOK: &str = "kserve-webhook";

pub(crate) fn path(file: &str) -> PathBuf {
    run("pki").join(file)
}

/// The kubeconfig of an identity; the admin's is the cluster's.
pub(crate) fn kubeconfig(identity: &str) -> PathBuf {
    if identity == "admin" { run("kubeconfig") } else { path(&format!("{identity}.kubeconfig")) }
}

/// Makes them all, unless this cluster has them.
pub(crate) fn ensure() -> Result<()> {
    if !path("ca.crt").exists() {
        make().context("failed to make certificates")?;
    }
    let admin = kubeconfig("admin");
    if admin.exists() { Ok(()) } else { private_file(&admin, kubeconfig_text("admin")) }
}

/// In a sibling that is renamed when whole: a kill leaves all of them or none.
fn make() -> Result<()> {
    let unfinished = run("pki.unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    private_dir(&unfinished)?;
    let write = |name: String, text: String| private_file(&unfinished.join(name), text);

    let (ca_text, ca) = authority()?;
    write("ca.crt".into(), ca_text)?;
    let keep = |file: &str, params: CertificateParams| -> Result<()> {
        let key = KeyPair::generate()?;
        write(format!("{file}.crt"), params.signed_by(&key, &ca)?.pem())?;
        write(format!("{file}.key"), key.serialize_pem())
    };
    keep(
        "apiserver",
        server("kube-apiserver", &API_SERVER_NAMES, &[NODE, "127.0.0.1", API_SERVICE])?,
    )?;
    keep("kubelet-server", server("kubelet", &[NODE_NAME], &[NODE, "127.0.0.1"])?)?;
    keep(
        KSERVE_WEBHOOK,
        server(KSERVE_WEBHOOK, &["kserve-webhook-server-service.kserve.svc"], &[])?,
    )?;
    keep("etcd", server("etcd", &["localhost"], &["127.0.0.1"])?)?;
    for identity in &CLIENTS {
        keep(identity.file, client(identity))?;
        write(format!("{}.kubeconfig", identity.file), kubeconfig_text(identity.file))?;
    }
    let accounts = KeyPair::generate()?;
    write("service-accounts.key".into(), accounts.serialize_pem())?;
    write("service-accounts.pub".into(), accounts.public_key_pem())?;

    let _ = fs::remove_dir_all(run("pki"));
    Ok(fs::rename(&unfinished, run("pki"))?)
}

fn authority() -> Result<(String, Issuer<'static, KeyPair>)> {
    let mut params = named("kanaria", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let text = params.self_signed(&key)?.pem();
    Ok((text, Issuer::new(params, key)))
}

fn server(name: &str, dns: &[&str], addresses: &[&str]) -> Result<CertificateParams> {
    let mut params = named(name, None);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // etcd calls itself with its own certificate.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for name in dns {
        params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
    }
    for address in addresses {
        params.subject_alt_names.push(SanType::IpAddress(address.parse::<IpAddr>()?));
    }
    Ok(params)
}

fn client(identity: &Identity) -> CertificateParams {
    let mut params = named(identity.user, identity.group);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn named(common_name: &str, organisation: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    if let Some(organisation) = organisation {
        params.distinguished_name.push(DnType::OrganizationName, organisation);
    }
    params.use_authority_key_identifier_extension = true;
    params
}

fn kubeconfig_text(identity: &str) -> String {
    let file = |name: String| path(&name).display().to_string();
    format!(
        "apiVersion: v1
kind: Config
current-context: kanaria
clusters:
- name: kanaria
  cluster:
    server: https://{NODE}:6443
    certificate-authority: {}
users:
- name: {identity}
  user:
    client-certificate: {}
    client-key: {}
contexts:
- name: kanaria
  context:
    cluster: kanaria
    user: {identity}
",
        file("ca.crt".into()),
        file(format!("{identity}.crt")),
        file(format!("{identity}.key")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    /// OpenSSL is the independent judge.
    #[test]
    fn a_client_certificate_carries_user_and_group_and_its_authority_vouches_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (ca_text, ca) = authority().unwrap();
        let key = KeyPair::generate().unwrap();
        let admin = client(&CLIENTS[0]).signed_by(&key, &ca).unwrap().pem();
        let (ca_file, file) = (dir.path().join("ca.crt"), dir.path().join("admin.crt"));
        fs::write(&ca_file, ca_text).unwrap();
        fs::write(&file, admin).unwrap();

        let subject =
            command::run("openssl", ["x509", "-noout", "-subject", "-in", file.to_str().unwrap()])
                .unwrap();
        assert_eq!(subject, "subject=CN = kanaria:admin, O = system:masters");
        let (ca_file, file) = (ca_file.to_str().unwrap(), file.to_str().unwrap());
        command::run("openssl", ["verify", "-purpose", "sslclient", "-CAfile", ca_file, file])
            .unwrap();
        assert!(
            command::run("openssl", ["verify", "-purpose", "sslserver", "-CAfile", ca_file, file])
                .is_err()
        );
    }

    #[test]
    fn the_kubelets_identity_is_the_nodes_name() {
        assert!(CLIENTS.iter().any(|client| client.user == format!("system:node:{NODE_NAME}")));
    }
}
