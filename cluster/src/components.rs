//! What runs on the host, part by part: program, flags, address, and the question that says it works.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    certificates::{self, NODE_NAME},
    component::{Part, Ready},
    network::{self, NODE},
    paths::{Cache, private_dir, private_file, run},
    store::Keys,
};

/// Files of the run directory's `config/`, as they are.
const CONFIG: [(&str, &str); 10] = [
    ("containerd.toml", include_str!("../config/containerd.toml")),
    ("cni/kanaria.conflist", include_str!("../config/cni.conflist")),
    ("certs.d/registry.local:5000/hosts.toml", include_str!("../config/registry.local.toml")),
    ("certs.d/127.0.0.1:5000/hosts.toml", include_str!("../config/registry.local.toml")),
    ("certs.d/ghcr.io/hosts.toml", include_str!("../config/ghcr.io.toml")),
    ("kubelet.yaml", include_str!("../config/kubelet.yaml")),
    ("Corefile", include_str!("../config/Corefile")),
    ("registry.yaml", include_str!("../config/registry.yaml")),
    ("prometheus.yaml", include_str!("../config/prometheus.yaml")),
    ("observer.yaml", include_str!("../config/observer.yaml")),
];

/// Rights of the observer, to be applied with kubectl.
pub(crate) const OBSERVER: &str = "config/observer.yaml";

/// Writes every configuration file of this version.
pub(crate) fn write_config() -> Result<()> {
    for (name, text) in CONFIG {
        let path = run("config").join(name);
        if fs::read_to_string(&path).is_ok_and(|written| written == text) {
            continue;
        }
        path.parent().map_or(Ok(()), private_dir)?;
        private_file(&path, text)?;
    }
    Ok(())
}

/// All parts, in groups: each needs the groups before it.
pub(crate) fn all(cache: &Cache, keys: &Keys) -> [Vec<Part>; 4] {
    [vec![registry(cache)], vec![etcd(), containerd()], vec![api_server()], dependants(keys)]
}

fn dependants(keys: &Keys) -> Vec<Part> {
    vec![
        controller_manager(),
        scheduler(),
        kubelet(),
        proxy(),
        dns(),
        s3(keys),
        state_metrics(),
        prometheus(),
    ]
}

/// The one part that the build of images needs.
pub(crate) fn registry(cache: &Cache) -> Part {
    Part {
        args: vec!["serve".into(), config("registry.yaml")],
        env: vec![(
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
            cache.join("registry").display().to_string(),
        )],
        reads: vec![run("config/registry.yaml")],
        ..part(
            "registry",
            "images, also on 127.0.0.1:5000",
            Path::new("/usr/bin/docker-registry"),
            &["10.244.0.1:5000"],
            Ready::Http("10.244.0.1:5000", "/v2/"),
        )
    }
}

fn etcd() -> Part {
    Part {
        args: flags(&[
            ("name", NODE_NAME),
            ("data-dir", &path("etcd")),
            ("listen-client-urls", "https://127.0.0.1:2379"),
            ("advertise-client-urls", "https://127.0.0.1:2379"),
            ("cert-file", &pki("etcd.crt")),
            ("key-file", &pki("etcd.key")),
            ("client-cert-auth", "true"),
            ("trusted-ca-file", &pki("ca.crt")),
            ("listen-peer-urls", "https://127.0.0.1:2380"),
            ("initial-advertise-peer-urls", "https://127.0.0.1:2380"),
            ("initial-cluster", "kanaria=https://127.0.0.1:2380"),
            ("peer-cert-file", &pki("etcd.crt")),
            ("peer-key-file", &pki("etcd.key")),
            ("peer-client-cert-auth", "true"),
            ("peer-trusted-ca-file", &pki("ca.crt")),
            ("listen-metrics-urls", "http://127.0.0.1:2381"),
            // The data live as long as the cluster, and a reboot ends both.
            ("unsafe-no-fsync", "true"),
            ("log-level", "warn"),
        ]),
        ..part(
            "etcd",
            "the state",
            &bin("etcd"),
            &["127.0.0.1:2379", "127.0.0.1:2380", "127.0.0.1:2381"],
            Ready::Http("127.0.0.1:2381", "/health"),
        )
    }
}

fn api_server() -> Part {
    let ready =
        Ready::Api { kubectl: bin("kubectl"), kubeconfig: certificates::kubeconfig("admin") };
    Part {
        args: flags(&[
            ("bind-address", NODE),
            ("advertise-address", NODE),
            ("secure-port", "6443"),
            ("tls-cert-file", &pki("apiserver.crt")),
            ("tls-private-key-file", &pki("apiserver.key")),
            ("client-ca-file", &pki("ca.crt")),
            ("etcd-servers", "https://127.0.0.1:2379"),
            ("etcd-cafile", &pki("ca.crt")),
            ("etcd-certfile", &pki("apiserver-to-etcd.crt")),
            ("etcd-keyfile", &pki("apiserver-to-etcd.key")),
            // The node has a name in Kubernetes only.
            ("kubelet-preferred-address-types", "InternalIP"),
            ("kubelet-certificate-authority", &pki("ca.crt")),
            ("kubelet-client-certificate", &pki("apiserver-to-kubelet.crt")),
            ("kubelet-client-key", &pki("apiserver-to-kubelet.key")),
            ("service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
            ("service-account-key-file", &pki("service-accounts.pub")),
            ("service-account-signing-key-file", &pki("service-accounts.key")),
            ("service-cluster-ip-range", "10.96.0.0/16"),
            ("authorization-mode", "Node,RBAC"),
            // A step image that was pushed anew under its version is the one that runs next.
            ("enable-admission-plugins", "NodeRestriction,AlwaysPullImages"),
            ("allow-privileged", "true"),
            ("endpoint-reconciler-type", "lease"),
            ("profiling", "false"),
        ]),
        ..part(
            "apiserver",
            "the Kubernetes API",
            &bin("kube-apiserver"),
            &["10.244.0.1:6443"],
            ready,
        )
    }
}

fn controller_manager() -> Part {
    Part {
        args: flags(&[
            ("kubeconfig", &kubeconfig("controller-manager")),
            ("authentication-kubeconfig", &kubeconfig("controller-manager")),
            ("authorization-kubeconfig", &kubeconfig("controller-manager")),
            ("bind-address", "127.0.0.1"),
            ("leader-elect", "false"),
            ("use-service-account-credentials", "true"),
            ("service-account-private-key-file", &pki("service-accounts.key")),
            ("root-ca-file", &pki("ca.crt")),
            ("profiling", "false"),
        ]),
        ..part(
            "controller-manager",
            "Deployments, Jobs, tokens …",
            &bin("kube-controller-manager"),
            &["127.0.0.1:10257"],
            Ready::Tcp("127.0.0.1:10257"),
        )
    }
}

fn scheduler() -> Part {
    Part {
        args: flags(&[
            ("kubeconfig", &kubeconfig("scheduler")),
            ("authentication-kubeconfig", &kubeconfig("scheduler")),
            ("authorization-kubeconfig", &kubeconfig("scheduler")),
            ("bind-address", "127.0.0.1"),
            ("leader-elect", "false"),
            ("profiling", "false"),
        ]),
        ..part(
            "scheduler",
            "pods to the node",
            &bin("kube-scheduler"),
            &["127.0.0.1:10259"],
            Ready::Tcp("127.0.0.1:10259"),
        )
    }
}

fn containerd() -> Part {
    let socket = run("host/run/containerd/containerd.sock");
    Part {
        args: vec![
            "--config".into(),
            config("containerd.toml"),
            "--log-level".into(),
            "warn".into(),
        ],
        reads: vec![run("config/containerd.toml")],
        private: true,
        ..part(
            "containerd",
            "containers",
            Path::new("/usr/bin/containerd"),
            &[],
            Ready::Unix(socket),
        )
    }
}

fn kubelet() -> Part {
    Part {
        args: flags(&[
            ("config", &config("kubelet.yaml")),
            ("kubeconfig", &kubeconfig("kubelet")),
            ("hostname-override", NODE_NAME),
            ("node-ip", NODE),
        ]),
        reads: vec![run("config/kubelet.yaml")],
        private: true,
        ..part(
            "kubelet",
            "pods",
            &bin("kubelet"),
            &["10.244.0.1:10250", "127.0.0.1:10248"],
            Ready::Http("127.0.0.1:10248", "/healthz"),
        )
    }
}

fn proxy() -> Part {
    Part {
        args: flags(&[
            ("kubeconfig", &kubeconfig("proxy")),
            ("hostname-override", NODE_NAME),
            ("proxy-mode", "nftables"),
            ("cluster-cidr", "10.244.0.0/24"),
            ("nodeport-addresses", "10.244.0.1/32"),
            ("healthz-bind-address", "127.0.0.1:10256"),
            ("metrics-bind-address", "127.0.0.1:10249"),
            // The machine's connection tracking is the machine's.
            ("conntrack-max-per-core", "0"),
            ("conntrack-min", "0"),
            ("conntrack-tcp-timeout-established", "0s"),
            ("conntrack-tcp-timeout-close-wait", "0s"),
        ]),
        // Of a table that it finds, kube-proxy keeps endpoint chains that its predecessor had emptied:
        // their Service, most of all `kubernetes`, then leads nowhere.
        clear: network::remove_proxy_tables,
        ..part(
            "proxy",
            "Services' addresses",
            &bin("kube-proxy"),
            &["127.0.0.1:10256", "127.0.0.1:10249"],
            Ready::Http("127.0.0.1:10256", "/healthz"),
        )
    }
}

fn dns() -> Part {
    Part {
        args: vec!["-conf".into(), config("Corefile")],
        reads: vec![run("config/Corefile")],
        ..part(
            "dns",
            "names in pods",
            &bin("coredns"),
            &["10.244.0.1:53", "127.0.0.1:10301"],
            Ready::Http("127.0.0.1:10301", "/health"),
        )
    }
}

fn s3(keys: &Keys) -> Part {
    Part {
        args: [
            &flags(&[
                ("port", "10.244.0.1:9000"),
                ("health", "/healthz"),
                ("virtual-domain", "s3.local"), // and BUCKET.s3.local
            ])[..],
            &["--quiet".into(), "posix".into(), path("s3")],
        ]
        .concat(),
        env: vec![
            ("ROOT_ACCESS_KEY", keys.access.clone()),
            ("ROOT_SECRET_KEY", keys.secret.clone()),
        ],
        ..part(
            "s3",
            "bentos, also on 127.0.0.1:9000",
            &bin("versitygw"),
            &["10.244.0.1:9000"],
            Ready::Http("10.244.0.1:9000", "/healthz"),
        )
    }
}

fn state_metrics() -> Part {
    Part {
        args: flags(&[
            ("kubeconfig", &kubeconfig("observer")),
            ("host", "127.0.0.1"),
            ("port", "10302"),
            ("telemetry-host", "127.0.0.1"),
            ("telemetry-port", "10303"),
            ("resources", "deployments,namespaces,nodes,pods"),
        ]),
        ..part(
            "kube-state-metrics",
            "pods as series",
            &bin("kube-state-metrics"),
            &["127.0.0.1:10302", "127.0.0.1:10303"],
            Ready::Http("127.0.0.1:10302", "/healthz"),
        )
    }
}

fn prometheus() -> Part {
    Part {
        args: flags(&[
            ("config.file", &config("prometheus.yaml")),
            ("storage.tsdb.path", &path("prometheus")),
            ("storage.tsdb.retention.time", "2d"),
            ("web.listen-address", "10.244.0.1:9090"),
            ("log.level", "warn"),
        ]),
        reads: vec![run("config/prometheus.yaml")],
        ..part(
            "prometheus",
            "series, also on 127.0.0.1:9090",
            &bin("prometheus"),
            &["10.244.0.1:9090"],
            Ready::Http("10.244.0.1:9090", "/-/ready"),
        )
    }
}

fn part(
    name: &'static str,
    does: &'static str,
    program: &Path,
    listens: &[&'static str],
    ready: Ready,
) -> Part {
    Part {
        name,
        does,
        program: program.to_owned(),
        args: Vec::new(),
        env: Vec::new(),
        reads: Vec::new(),
        private: false,
        listens: listens.to_vec(),
        ready,
        clear: || (),
    }
}

/// A built program, by the link that says which build this cluster runs. Kubernetes' programs are
/// one file that goes by the name it is called with.
pub(crate) fn bin(name: &str) -> PathBuf {
    run("bin").join(name)
}

fn flags(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

fn path(below: &str) -> String {
    run(below).display().to_string()
}

fn config(name: &str) -> String {
    path(&format!("config/{name}"))
}

fn pki(name: &str) -> String {
    path(&format!("pki/{name}"))
}

fn kubeconfig(identity: &str) -> String {
    certificates::kubeconfig(identity).display().to_string()
}

/// Directories that programs expect to find.
pub(crate) fn make_directories() -> Result<()> {
    ["logs", "etcd", "s3", "prometheus", "config"]
        .iter()
        .try_for_each(|name| private_dir(&run(name)))
        .context("failed to lay out the run directory")
}
