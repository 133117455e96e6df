//! What runs on the host, one by one: program, flags, address, and the question whose yes means that it works.

use std::path::Path;

use crate::{
    certificates::{self, NODE_NAME},
    component::{Component, Ready},
    network::{self, NODE},
    paths::{Cache, bin, run},
    store::Keys,
};

/// All components, in groups: each needs the groups before it.
pub(crate) fn all(cache: &Cache, keys: &Keys) -> [Vec<Component>; 4] {
    [vec![registry(cache)], vec![etcd(), containerd()], vec![api_server()], dependants(keys)]
}

fn dependants(keys: &Keys) -> Vec<Component> {
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

/// The one component that the build of images needs.
pub(crate) fn registry(cache: &Cache) -> Component {
    Component {
        args: vec!["serve".into(), config("registry.yaml")],
        env: vec![(
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
            cache.join("registry").display().to_string(),
        )],
        reads: vec![run("config/registry.yaml")],
        ..component(
            "registry",
            "images, also on 127.0.0.1:5000",
            Path::new("/usr/bin/docker-registry"),
            &["10.244.0.1:5000"],
            Ready::Http("10.244.0.1:5000", "/v2/"),
        )
    }
}

fn etcd() -> Component {
    Component {
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
        ..component(
            "etcd",
            "the state",
            &bin("etcd"),
            &["127.0.0.1:2379", "127.0.0.1:2380", "127.0.0.1:2381"],
            Ready::Http("127.0.0.1:2381", "/health"),
        )
    }
}

fn api_server() -> Component {
    let ready =
        Ready::Api { kubectl: bin("kubectl"), kubeconfig: certificates::kubeconfig("admin") };
    Component {
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
        ..component(
            "apiserver",
            "the Kubernetes API",
            &bin("kube-apiserver"),
            &["10.244.0.1:6443"],
            ready,
        )
    }
}

fn controller_manager() -> Component {
    Component {
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
        ..component(
            "controller-manager",
            "Deployments, Jobs, tokens …",
            &bin("kube-controller-manager"),
            &["127.0.0.1:10257"],
            Ready::Tcp("127.0.0.1:10257"),
        )
    }
}

fn scheduler() -> Component {
    Component {
        args: flags(&[
            ("kubeconfig", &kubeconfig("scheduler")),
            ("authentication-kubeconfig", &kubeconfig("scheduler")),
            ("authorization-kubeconfig", &kubeconfig("scheduler")),
            ("bind-address", "127.0.0.1"),
            ("leader-elect", "false"),
            ("profiling", "false"),
        ]),
        ..component(
            "scheduler",
            "pods to the node",
            &bin("kube-scheduler"),
            &["127.0.0.1:10259"],
            Ready::Tcp("127.0.0.1:10259"),
        )
    }
}

fn containerd() -> Component {
    let socket = run("host/run/containerd/containerd.sock");
    Component {
        args: vec![
            "--config".into(),
            config("containerd.toml"),
            "--log-level".into(),
            "warn".into(),
        ],
        reads: vec![run("config/containerd.toml")],
        private: true,
        ..component(
            "containerd",
            "containers",
            Path::new("/usr/bin/containerd"),
            &[],
            Ready::Unix(socket),
        )
    }
}

fn kubelet() -> Component {
    Component {
        args: flags(&[
            ("config", &config("kubelet.yaml")),
            ("kubeconfig", &kubeconfig("kubelet")),
            ("hostname-override", NODE_NAME),
            ("node-ip", NODE),
        ]),
        reads: vec![run("config/kubelet.yaml")],
        private: true,
        ..component(
            "kubelet",
            "pods",
            &bin("kubelet"),
            &["10.244.0.1:10250", "127.0.0.1:10248"],
            Ready::Http("127.0.0.1:10248", "/healthz"),
        )
    }
}

fn proxy() -> Component {
    Component {
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
        ..component(
            "proxy",
            "Services' addresses",
            &bin("kube-proxy"),
            &["127.0.0.1:10256", "127.0.0.1:10249"],
            Ready::Http("127.0.0.1:10256", "/healthz"),
        )
    }
}

fn dns() -> Component {
    Component {
        args: vec!["-conf".into(), config("Corefile")],
        reads: vec![run("config/Corefile")],
        ..component(
            "dns",
            "names in pods",
            &bin("coredns"),
            &["10.244.0.1:53", "127.0.0.1:10301"],
            Ready::Http("127.0.0.1:10301", "/health"),
        )
    }
}

fn s3(keys: &Keys) -> Component {
    Component {
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
        ..component(
            "s3",
            "bentos, also on 127.0.0.1:9000",
            &bin("versitygw"),
            &["10.244.0.1:9000"],
            Ready::Http("10.244.0.1:9000", "/healthz"),
        )
    }
}

fn state_metrics() -> Component {
    Component {
        args: flags(&[
            ("kubeconfig", &kubeconfig("observer")),
            ("host", "127.0.0.1"),
            ("port", "10302"),
            ("telemetry-host", "127.0.0.1"),
            ("telemetry-port", "10303"),
            ("resources", "deployments,namespaces,nodes,pods"),
        ]),
        ..component(
            "kube-state-metrics",
            "pods as series",
            &bin("kube-state-metrics"),
            &["127.0.0.1:10302", "127.0.0.1:10303"],
            Ready::Http("127.0.0.1:10302", "/healthz"),
        )
    }
}

fn prometheus() -> Component {
    Component {
        args: flags(&[
            ("config.file", &config("prometheus.yaml")),
            ("storage.tsdb.path", &path("prometheus")),
            ("storage.tsdb.retention.time", "2d"),
            ("web.listen-address", "10.244.0.1:9090"),
            ("log.level", "warn"),
        ]),
        reads: vec![run("config/prometheus.yaml")],
        ..component(
            "prometheus",
            "series, also on 127.0.0.1:9090",
            &bin("prometheus"),
            &["10.244.0.1:9090"],
            Ready::Http("10.244.0.1:9090", "/-/ready"),
        )
    }
}

fn component(
    name: &'static str,
    does: &'static str,
    program: &Path,
    listens: &[&'static str],
    ready: Ready,
) -> Component {
    Component {
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
