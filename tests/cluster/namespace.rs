//! A namespace for one test.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use cluster::Cluster;
use demo::Site;

/// Installs the catalog in a namespace of this name that nobody used before, tells the story in it,
/// and removes it. A story that fails leaves its namespace to be looked at; the next run removes it.
pub(crate) async fn in_namespace(name: &str, story: impl AsyncFnOnce(Site)) {
    let cluster = cluster();
    let site = Site::install(cluster, &unused(name)).await.unwrap();
    let namespace = site.namespace.clone();
    story(site).await;
    cluster.kubectl(["delete", "namespace", &namespace, "--wait=false"]).unwrap();
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

fn unused(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    format!("{PREFIX}{name}-{now}")
}

/// What tests that failed left behind.
fn sweep(cluster: &Cluster) {
    let found = cluster.kubectl(["get", "namespaces", "-o", "name"]).unwrap();
    for namespace in found.lines().filter_map(|line| line.strip_prefix("namespace/")) {
        if namespace.starts_with(PREFIX) {
            cluster
                .kubectl(["delete", "namespace", namespace, "--wait=false", "--ignore-not-found"])
                .unwrap();
        }
    }
}
