//! The catalog as a site has it: installed from the overlay that it keeps, with its own values.

use std::{fs, path::PathBuf, process::Command};

use cluster::Cluster;
use demo::Site;

use crate::{
    namespace::{cluster, unused},
    release::first,
};

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_site_installs_from_its_overlay_and_releases_with_images_of_its_own_registry() {
    let cluster = cluster();
    let namespace = unused("site");
    let registry = format!("{}/acme/kanaria", cluster.registry.pod);
    mirror(cluster);
    let overlay = overlay(cluster, &namespace, &registry);
    let rendered = cluster.kubectl(["kustomize", overlay.to_str().unwrap()]).unwrap();
    let is_own = |image: &str| image.starts_with(&registry);
    assert!(images(&rendered).all(is_own), "{:?}", images(&rendered).collect::<Vec<_>>());

    let site = Site::install_from(cluster, &namespace, &overlay).await.unwrap();
    site.suspend_sweep().await.unwrap();
    let address = format!("--docker-server={}", cluster.registry.pod);
    let secret = ["create", "secret", "docker-registry", "canary-pull", "-n", &namespace, &address];
    let login = ["--docker-username=acme", "--docker-password=acme"];
    cluster.kubectl(secret.into_iter().chain(login)).unwrap();
    first(&site, "own").await;

    let pods = |what: &str| {
        let path = format!("jsonpath={{.items[*].spec{what}}}");
        let of = ["get", "pods", "-l", "app.kubernetes.io/part-of=kanaria", "-n", &namespace, "-o"];
        cluster.kubectl(of.into_iter().chain([path.as_str()])).unwrap()
    };
    let steps = pods(".containers[*].image");
    assert!(steps.contains("/kaniko:") && !steps.contains("ghcr.io"), "{steps}");
    let secrets = pods(".imagePullSecrets[*].name");
    assert!(secrets.split(' ').all(|name| name == "canary-pull"), "{secrets}");
    let image = "jsonpath={.spec.predictor.containers[0].image}";
    let serves = ["get", "inferenceservice", "own", "-n", &namespace, "-o", image];
    let serves = cluster.kubectl(serves).unwrap();
    assert!(serves.starts_with(&format!("{}/acme/models/own@", cluster.registry.pod)), "{serves}");
    let policies = cluster.kubectl(["get", "networkpolicies", "-n", &namespace, "-o", "name"]);
    assert_eq!(policies.unwrap().lines().count(), 3);

    fs::remove_dir_all(overlay).unwrap();
    cluster.kubectl(["delete", "namespace", &namespace, "--wait=false"]).unwrap();
}

/// Copies the catalog's images, as `make images` pushes them to a registry.
fn mirror(cluster: &Cluster) {
    let catalog = demo::tree().unwrap();
    let rendered = cluster.kubectl(["kustomize", catalog.to_str().unwrap()]).unwrap();
    let host = &cluster.registry.host;
    for image in images(&rendered) {
        let name = image.strip_prefix("ghcr.io").unwrap();
        let copied = Command::new(cluster.kubectl.with_file_name("crane"))
            .args(["copy", &format!("{host}{name}"), &format!("{host}/acme{name}")])
            .output()
            .unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    }
}

fn images(rendered: &str) -> impl Iterator<Item = &str> {
    rendered.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("image: "))
}

/// A copy of examples/site, beside which the catalog is where the original finds it.
fn overlay(cluster: &Cluster, namespace: &str, registry: &str) -> PathBuf {
    let tree = demo::tree().unwrap();
    let copy = tree.join("target").join(namespace);
    fs::create_dir_all(&copy).unwrap();
    for file in fs::read_dir(tree.join("examples/site")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let values = fs::read_to_string(copy.join("values.yaml")).unwrap();
    let values = [
        ("ghcr.io/acme/kanaria\n", format!("{registry}\n")),
        ("s3://acme-bentos", format!("s3://{}", cluster.store.bucket)),
        ("\"\" # AWS", cluster.store.endpoint.pod.clone()),
        ("ghcr.io/acme/models", format!("{}/acme/models", cluster.registry.pod)),
        ("ghcr.io/acme/environments", format!("{}/acme/environments", cluster.registry.pod)),
        ("\"false\"", "\"true\"".into()),
        ("\"\" # Docker Hub itself", cluster.registry.pod.clone()),
        ("http://prometheus-operated.monitoring:9090", cluster.prometheus.pod.clone()),
    ]
    .into_iter()
    .fold(values, |values, (shown, own)| {
        assert!(values.contains(shown), "{shown}");
        values.replace(shown, &own)
    });
    fs::write(copy.join("values.yaml"), values).unwrap();
    copy
}
