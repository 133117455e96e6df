//! How to reach a cluster that runs: its addresses, its keys and its kubectl.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;
use step::Failure;

use crate::{
    addons::NAMESPACES,
    certificates, command,
    component::{LOOK_AGAIN, STARTS, answers},
    network::NODE,
    paths::bin,
    store::{BUCKET, Keys, REGION},
    wait::retry_until,
};

/// How to reach everything a release needs.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub kubeconfig: PathBuf,
    pub kubectl: PathBuf,
    /// Image registry, `HOST:PORT`; plain HTTP on the embedded cluster
    pub registry: Endpoint,
    pub store: Store,
    /// Prometheus, as a URL
    pub prometheus: Endpoint,
    /// Kourier's URL, to be asked with a service's `Host`
    pub gateway: String,
    /// This machine's address as pods call it, for a server that a test starts; empty when nobody told
    pub machine: String,
}

/// One thing under two names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What programs on this machine call
    pub host: String,
    /// What pods call
    pub pod: String,
}

/// The S3 store.
#[derive(Clone, Debug)]
pub struct Store {
    /// URL
    pub endpoint: Endpoint,
    pub bucket: String,
    pub region: String,
    pub access_key: String,
    pub secret_key: String,
}

/// What a cluster must have, as the names of custom resources, and which project brings it.
const NEEDS: [(&str, &str); 5] = [
    ("pipelineruns.tekton.dev", "Tekton Pipelines"),
    ("eventlisteners.triggers.tekton.dev", "Tekton Triggers"),
    ("services.serving.knative.dev", "Knative Serving"),
    ("ingresses.networking.internal.knative.dev", "Knative Serving"),
    ("inferenceservices.serving.kserve.io", "KServe"),
];

/// Settings of a cluster that is not ours, which nothing but its owner can tell.
const SETTINGS: [&str; 6] = [
    "KANARIA_REGISTRY",
    "KANARIA_S3_ENDPOINT",
    "KANARIA_PROMETHEUS",
    "KANARIA_GATEWAY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
];

impl Cluster {
    /// The cluster that runs already: nothing is started. With `CLUSTER=current` it is the one that
    /// KUBECONFIG names, after a check that says what is missing there.
    pub fn attach() -> Result<Self> {
        if is_current() { Self::current() } else { Self::embedded() }
    }

    fn embedded() -> Result<Self> {
        let kubeconfig = certificates::kubeconfig("admin");
        if !kubeconfig.exists() {
            return Err(Failure {
                what: "failed to find the cluster: none runs on this machine".into(),
                hint: "`cargo run -p cluster -- up` starts one; CLUSTER=current takes the one that KUBECONFIG names".into(),
            }
            .into());
        }
        let keys = Keys::read()?;
        let url = |name: &str, port| Endpoint {
            host: format!("http://127.0.0.1:{port}"),
            pod: format!("http://{name}.local:{port}"),
        };
        let mut cluster = Self {
            kubeconfig,
            kubectl: bin("kubectl"),
            registry: Endpoint { host: "127.0.0.1:5000".into(), pod: "registry.local:5000".into() },
            store: Store {
                endpoint: url("s3", 9000),
                bucket: BUCKET.into(),
                region: REGION.into(),
                access_key: keys.access,
                secret_key: keys.secret,
            },
            prometheus: url("prometheus", 9090),
            gateway: String::new(),
            machine: NODE.into(),
        };
        let address = cluster
            .kubectl([
                "get",
                "service",
                "kourier",
                "-n",
                "kourier-system",
                "-o",
                "jsonpath={.spec.clusterIP}",
            ])
            .context("failed to find the gateway")?;
        cluster.gateway = format!("http://{address}");
        Ok(cluster)
    }

    /// The cluster that KUBECONFIG names.
    fn current() -> Result<Self> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let kubeconfig = set("KUBECONFIG").map(PathBuf::from).context(Failure {
            what: "failed to find the current cluster: KUBECONFIG is not set".into(),
            hint:
                "set KUBECONFIG to the file of a cluster with Tekton and KServe, or unset CLUSTER"
                    .into(),
        })?;
        let either = |name: &str| set(name).unwrap_or_default();
        let same = |name: &str| Endpoint { host: either(name), pod: either(name) };
        let cluster = Self {
            kubeconfig,
            kubectl: "kubectl".into(),
            registry: same("KANARIA_REGISTRY"),
            store: Store {
                endpoint: same("KANARIA_S3_ENDPOINT"),
                bucket: set("KANARIA_S3_BUCKET").unwrap_or_else(|| BUCKET.into()),
                region: set("AWS_REGION").unwrap_or_else(|| REGION.into()),
                access_key: either("AWS_ACCESS_KEY_ID"),
                secret_key: either("AWS_SECRET_ACCESS_KEY"),
            },
            prometheus: same("KANARIA_PROMETHEUS"),
            gateway: either("KANARIA_GATEWAY"),
            machine: either("KANARIA_MACHINE"),
        };
        let found = cluster
            .kubectl(["get", "customresourcedefinitions", "-o", "name"])
            .with_context(|| Failure {
                what: format!("failed to ask the cluster of `{}`", cluster.kubeconfig.display()),
                hint: "kubectl must be on the PATH and may list CustomResourceDefinitions there"
                    .into(),
            })?;
        let missing = missing(&found, |name| set(name).is_some());
        if missing.is_empty() {
            return Ok(cluster);
        }
        Err(Failure {
            what: format!("failed to use the cluster of `{}`: missing there: {}", cluster.kubeconfig.display(), missing.join(", ")),
            hint: "install the projects and set the variables; cluster/README.md says what each variable means".into(),
        }
        .into())
    }

    /// Runs kubectl on this cluster and returns what it printed.
    pub fn kubectl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        command::read(
            Command::new(&self.kubectl).arg("--kubeconfig").arg(&self.kubeconfig).args(args),
        )
    }

    /// Shell lines that point a terminal's programs at this cluster.
    pub fn shell(&self) -> String {
        let bin = self.kubectl.parent().filter(|dir| dir.is_absolute()).map(Path::display);
        let path = bin.map(|bin| format!("export PATH={bin}:\"$PATH\"\n")).unwrap_or_default();
        format!(
            "export KUBECONFIG={}
{path}export AWS_ACCESS_KEY_ID={}
export AWS_SECRET_ACCESS_KEY={}
export AWS_DEFAULT_REGION={}
export AWS_ENDPOINT_URL={}
export KANARIA_REGISTRY={}
export KANARIA_PROMETHEUS={}
export KANARIA_GATEWAY={}",
            self.kubeconfig.display(),
            self.store.access_key,
            self.store.secret_key,
            self.store.region,
            self.store.endpoint.host,
            self.registry.host,
            self.prometheus.host,
            self.gateway,
        )
    }

    /// Waits until the gateway answers, whatever it says: it knows no Host at first.
    pub(crate) fn wait_for_gateway(&self) -> Result<()> {
        let address = format!("{}:80", self.gateway.trim_start_matches("http://"));
        let answered = retry_until(STARTS, LOOK_AGAIN, || answers(&address, "/"));
        answered.map(drop).with_context(|| Failure {
            what: format!("failed to reach the gateway `{}`", self.gateway),
            hint: "`cluster logs 3scale-kourier-gateway` says why".into(),
        })
    }

    /// `NAMESPACE NAME READY/WANTED` of every Deployment of the add-ons.
    pub(crate) fn deployments(&self) -> Result<Vec<[String; 3]>> {
        let list: Value = serde_json::from_str(&self.kubectl([
            "get",
            "deployments",
            "--all-namespaces",
            "-o",
            "json",
        ])?)?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |item: &Value| {
            let ready = item["status"]["readyReplicas"].as_u64().unwrap_or(0);
            let wanted = item["spec"]["replicas"].as_u64().unwrap_or(0);
            [
                text(&item["metadata"]["namespace"]),
                text(&item["metadata"]["name"]),
                format!("{ready}/{wanted}"),
            ]
        };
        let rows = items.iter().map(row);
        Ok(rows.filter(|[namespace, ..]| NAMESPACES.contains(&&namespace[..])).collect())
    }
}

/// A program of the cluster that runs on this machine, such as `versitygw`, for a test that starts one of its own.
pub fn program(name: &str) -> Result<PathBuf> {
    let program = bin(name);
    if program.exists() {
        return Ok(program);
    }
    Err(Failure {
        what: format!("failed to find `{name}`: no cluster runs on this machine"),
        hint: "`make cluster-up` builds and starts it".into(),
    }
    .into())
}

pub(crate) fn is_current() -> bool {
    env::var("CLUSTER").is_ok_and(|which| which == "current")
}

/// Projects and settings that are not there, each once.
fn missing(found: &str, is_set: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let has = |name: &str| {
        found.lines().any(|line| {
            line.strip_prefix("customresourcedefinition.apiextensions.k8s.io/") == Some(name)
        })
    };
    let mut missing: Vec<_> =
        NEEDS.iter().filter(|(name, _)| !has(name)).map(|(_, project)| *project).collect();
    missing.dedup();
    missing.extend(SETTINGS.iter().filter(|name| !is_set(name)));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_cluster_lacks_every_project_once_and_every_setting() {
        let lacks = missing("", |_| false);
        assert_eq!(
            lacks[..4],
            ["Tekton Pipelines", "Tekton Triggers", "Knative Serving", "KServe"]
        );
        assert_eq!(lacks[4..], SETTINGS);
    }

    #[test]
    fn a_complete_cluster_lacks_nothing() {
        let found = NEEDS
            .map(|(name, _)| format!("customresourcedefinition.apiextensions.k8s.io/{name}"))
            .join("\n");
        assert!(missing(&found, |_| true).is_empty());
        let other = found.replace("serving.kserve.io", "serving.example.test");
        assert_eq!(missing(&other, |_| true), ["KServe"]);
    }
}
