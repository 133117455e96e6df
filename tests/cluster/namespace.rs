//! A namespace for one test.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use cluster::Cluster;
use demo::Site;

/// Installs the catalog in a namespace of this name that nobody used before, runs the scenario in it,
/// and removes it. One that fails leaves its namespace to be looked at; a later run removes it.
pub(crate) async fn in_namespace(name: &str, scenario: impl AsyncFnOnce(Site)) {
    let cluster = cluster();
    let site = Site::install(cluster, &unused(name)).await.unwrap();
    // What takes a canary back is what a test looks at, unless it is about the sweep.
    site.suspend_sweep().await.unwrap();
    // So that many namespaces on two cores do not each have a page that nobody looks at.
    site.kubectl(["scale", "deployment/release-page", "--replicas=0"]).unwrap();
    site.kubectl(["patch", "cronjob/release-record", "--patch", r#"{"spec": {"suspend": true}}"#])
        .unwrap();
    // Each rung is a run of its own, and most tests are about one.
    site.set("ladder", "10").await.unwrap();
    let namespace = site.namespace.clone();
    scenario(site).await;
    cluster.kubectl(["delete", "namespace", &namespace, "--wait=false"]).unwrap();
    // An EventListener that is told to end computes until it is killed, half a minute later.
    cluster
        .kubectl(["delete", "pods", "--all", "-n", &namespace, "--grace-period=1", "--wait=false"])
        .unwrap();
}

/// The cluster that runs.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::attach().unwrap();
        sweep(&cluster);
        cluster
    })
}

const PREFIX: &str = "kanaria-test-";

/// No run of the tests takes this long, so what is older belongs to one that has ended.
const OLD: u128 = 60 * 60 * 1000;

/// Milliseconds, which make a name that nobody used before.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

pub(crate) fn unused(name: &str) -> String {
    format!("{PREFIX}{name}-{}", now())
}

/// What tests that failed left behind.
fn sweep(cluster: &Cluster) {
    let found = cluster.kubectl(["get", "namespaces", "-o", "name"]).unwrap();
    for namespace in found.lines().filter_map(|line| line.strip_prefix("namespace/")) {
        let born = namespace.rsplit_once('-').and_then(|(_, born)| born.parse::<u128>().ok());
        if namespace.starts_with(PREFIX) && born.is_some_and(|born| born + OLD < now()) {
            cluster
                .kubectl(["delete", "namespace", namespace, "--wait=false", "--ignore-not-found"])
                .unwrap();
        }
    }
}
