//! What a site wants of its services: more memory for one version, a registry that asks who pulls, a
//! template of its own.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    bento::Model,
    canary::{Canary, SERVICE, restrict},
    image,
    namespace::in_namespace,
};

/// What a release brings: more memory, variables of both kinds, and one that is not read on the way.
fn brought() -> Value {
    let from_secret = json!({"secretKeyRef": {"name": "iris-env", "key": "version"}});
    json!({
        "resources": {"requests": {"memory": "96Mi"}, "limits": {"memory": "96Mi", "cpu": null}},
        "env": [
            {"name": "MODEL_VERSION", "valueFrom": from_secret},
            {"name": "QUOTED", "value": "$(MODEL_VERSION) \"a\" \\ 'b' {c}\n$$(d)"},
        ],
    })
}

async fn container(canary: &Canary) -> Value {
    canary.predictor().await["containers"][0].clone()
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn what_a_release_brings_comes_with_its_canary_and_goes_with_it() {
    in_namespace("brought", async |site| {
        let canary = Canary::of(site).await;
        let secret =
            ["create", "secret", "generic", "iris-env", "--from-literal=version=v2-from-secret"];
        canary.kubectl(&secret).unwrap();
        let before = container(&canary).await;
        let bring = brought().to_string().replace('$', "\\u0024"); // as the interceptor writes it
        for (version, mark_is_lost) in [("v2", false), ("v3", true)] {
            let live = canary.create_live(version, Model::Good, &[("container", &bring)]).await;
            let with = container(&canary).await;
            assert_eq!(with["env"], brought()["env"], "{with}");
            assert_eq!(with["resources"]["limits"]["memory"], "96Mi");
            assert_eq!(
                with["resources"]["requests"]["cpu"],
                before["resources"]["requests"]["cpu"]
            );
            let again = canary.create(version, Model::Good, &[("container", &bring)]).await;
            assert_eq!(again.results, live.results, "a repeated release says the same");
            let other = canary
                .create(
                    version,
                    Model::Good,
                    &[("container", r#"{"env": [{"name": "A", "value": "hunter2"}]}"#)],
                )
                .await;
            assert!(other.log.contains("with other resources or variables"), "{other:?}");
            assert!(!other.log.contains("hunter2"), "{other:?}");

            let new = [("canary-revision", live.result("canary-revision"))];
            if mark_is_lost {
                canary.kubectl(&["delete", "lease", "iris-canary"]).unwrap();
            } else {
                canary.promote(&new).await;
                canary.assert_serves("v2-from-secret").await;
                assert_eq!(container(&canary).await, with, "a promotion keeps it");
            }
            canary.rollback(&new).await;
            canary.assert_serves("v1").await;
            assert_eq!(container(&canary).await, before, "mark lost: {mark_is_lost}");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn pods_pull_from_a_registry_that_asks_who_they_are() {
    in_namespace("private", async |site| {
        let registry = Registry::start();
        let canary = Canary::of(site).await;
        let login =
            json!({ "auths": { &registry.host: { "username": "puller", "password": "secret" } } });
        let login = login.to_string();
        let image = image::push_to(&canary.site, &registry.host, &login, "v2", Model::Good).await;
        let asked = ("image", image.as_str());

        let refused = canary.run("canary-create", &[asked]).await;
        assert!(refused.log.contains("its image cannot be pulled"), "{refused:?}");
        assert!(refused.log.contains("hint: let `pull-secret` name a Secret"), "{refused:?}");
        canary.rollback(&[("canary-image", &image)]).await;

        let address = format!("--docker-server={}", registry.host);
        let login = ["--docker-username=puller", "--docker-password=secret"];
        let secret = ["create", "secret", "docker-registry", "canary-registry", &address];
        canary.kubectl(&[&secret[..], &login[..]].concat()).unwrap();
        let again = [("pull-secret", "canary-registry"), ("retry-rejected", "true")];
        let live = canary.run("canary-create", &[&[asked], &again[..]].concat()).await;
        assert_eq!(live.result("outcome"), "canary", "{live:?}");
        let new = [("canary-revision", live.result("canary-revision"))];
        canary.promote(&new).await;
        canary.assert_serves("v2").await;
        canary.rollback(&new).await;
        canary.assert_serves("v1").await;
        let secrets = canary.predictor().await["imagePullSecrets"].clone();
        assert_eq!(secrets, json!([{"name": "canary-registry"}]), "the next image may need it");
    })
    .await;
}

/// A registry that gives nothing to strangers, on an address that the node reaches.
struct Registry {
    host: String,
    process: Child,
    _folder: TempDir,
}

/// `secret`, as `htpasswd -B` writes it
const USERS: &str = "puller:$2a$04$e31jFy7r.zCln5nHQ7ZwiO7gNeSojRYEAmF4A2f/0oMH4N1RXwn1u\n";

impl Registry {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at("users"), USERS).unwrap();
        let config = json!({
            "version": "0.1", "log": {"level": "warn"}, "http": {"addr": host},
            "storage": {"filesystem": {"rootdirectory": at("images")}},
            "auth": {"htpasswd": {"realm": "models", "path": at("users")}},
        });
        fs::write(at("config.yaml"), config.to_string()).unwrap();
        let process = Command::new("docker-registry").args(["serve", &at("config.yaml")]).spawn();
        Self { host, process: process.unwrap(), _folder: folder }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

const TEMPLATE: &str = "
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  labels: {team: vision}
spec:
  predictor:
    containerConcurrency: 3
    serviceAccountName: reader
    volumes: [{name: cache, emptyDir: {}}]
    containers:
      - name: kserve-container
        env: [{name: MODEL_VERSION, valueFrom: {secretKeyRef: {name: keys, key: version}}}]
        envFrom: [{secretRef: {name: keys}}]
        volumeMounts: [{name: cache, mountPath: /cache}]
        resources: {requests: {cpu: 10m}, limits: {memory: 64Mi}}
";

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_first_release_begins_with_the_template_of_the_site() {
    in_namespace("template", async |site| {
        restrict(&site);
        let canary = Canary { site };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("iris.yaml");
        let give = |text: &str| {
            fs::write(&file, text).unwrap();
            let from = format!("--from-file={}", file.display());
            canary
                .kubectl(&["delete", "configmap", "canary-template", "--ignore-not-found"])
                .unwrap();
            canary.kubectl(&["create", "configmap", "canary-template", &from]).unwrap();
        };
        give(&TEMPLATE.replace("containerConcurrency", "canaryTrafficPercent"));
        let refused = canary.create("v1", Model::Good, &[]).await;
        assert!(
            refused
                .log
                .contains("`iris.yaml` is not a valid template: it has `canaryTrafficPercent`"),
            "{refused:?}"
        );
        assert!(canary.site.service(SERVICE).await.unwrap().is_none());

        give(TEMPLATE);
        canary.kubectl(&["create", "serviceaccount", "reader"]).unwrap();
        canary
            .kubectl(&["create", "secret", "generic", "keys", "--from-literal=version=of-the-site"])
            .unwrap();
        let first = canary.create("v1", Model::Good, &[("min-replicas", "1")]).await;
        assert_eq!(first.result("outcome"), "first", "{first:?}");
        canary.assert_serves("of-the-site").await;
        let service = canary.site.service(SERVICE).await.unwrap().unwrap();
        assert_eq!(service.metadata.labels.unwrap()["team"], "vision");
        let revision = first.result("canary-revision");
        let revision = canary.kubectl(&["get", "revision", revision, "-o", "json"]).unwrap();
        let revision: Value = serde_json::from_str(&revision).unwrap();
        assert_eq!(revision["spec"]["containerConcurrency"], 3);
        assert_eq!(revision["spec"]["serviceAccountName"], "reader");
        let container = &revision["spec"]["containers"][0];
        assert_eq!(container["envFrom"], json!([{"secretRef": {"name": "keys"}}]));
        assert_eq!(container["volumeMounts"][0]["mountPath"], "/cache");
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz", "a default");
    })
    .await;
}
