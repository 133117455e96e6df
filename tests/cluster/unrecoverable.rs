//! What will not heal by itself ends a release at once, with the sentence that helps.

use std::{fs, time::Duration};

use demo::{Event, Mode, Site};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    bento::{self, Model},
    canary::LIMIT,
    image,
    namespace::in_namespace,
    sink::Sink,
};

/// Long enough that nothing of this file waits for it.
const START_TIMEOUT: &str = "--start-timeout=20m";

/// Runs `canary-create` at a terminal, as where pods are refused, those of Tekton are too. Returns its
/// exit code and its log.
async fn create(site: &Site, image: &str) -> (Option<i32>, String) {
    let mut command = Command::new(demo::built("canary-create").unwrap());
    command
        .env("KUBECONFIG", &site.cluster.kubeconfig)
        .args(["--service=iris", "--image", image, "--namespace", &site.namespace])
        .args(["--memory=64Mi", "--cpu=10m", START_TIMEOUT])
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.expect("the release ends long before its timeout").unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn apply(site: &Site, object: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("object.json");
    fs::write(&file, object.to_string()).unwrap();
    let file = file.display().to_string();
    site.cluster.kubectl(["apply", "-n", &site.namespace, "-f", &file]).unwrap();
}

fn limit_range(name: &str, limits: Value) -> Value {
    let mut container = limits;
    container["type"] = "Container".into();
    json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name}, "spec": {"limits": [container]}})
}

fn quota() -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "limits"},
           "spec": {"hard": {"limits.cpu": "100"}}})
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_namespace_that_refuses_the_pods_ends_a_release_at_once_and_the_next_one_tries_again() {
    in_namespace("refused", async |site| {
        let image = image::push(&site, "v1", Model::Good).await;
        apply(&site, &quota());
        let (code, log) = create(&site, &image).await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("must specify limits.cpu") && log.contains("LimitRange"), "{log}");

        apply(&site, &limit_range("defaults", json!({"default": {"cpu": "1", "memory": "64Mi"}})));
        let (code, log) = create(&site, &image).await;
        assert_eq!(code, Some(0), "{log}");

        apply(&site, &limit_range("small", json!({"max": {"memory": "32Mi"}})));
        let (code, log) = create(&site, &image::push(&site, "v2", Model::Good).await).await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("maximum memory usage per Container is 32Mi"), "{log}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_spec_that_refers_to_what_is_not_there_ends_a_release_soon() {
    let variable = json!({"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}});
    let volume = json!({"name": "db", "secret": {"secretName": "db"}});
    let mount = json!({"name": "db", "mountPath": "/db"});
    let add = |path: &str, value: Value| json!({"op": "add", "path": format!("/spec/predictor{path}"), "value": value});
    let cases = [
        (
            "field",
            vec![add("/nodeSelector", json!({"gpu": "none"}))],
            "must not set the field",
            "config-features",
        ),
        (
            "account",
            vec![add("/serviceAccountName", "nobody".into())],
            "\"nobody\" not found",
            "create the ServiceAccount",
        ),
        (
            "variable",
            vec![add("/containers/0/env", json!([variable]))],
            "secret \"db\" not found",
            "create the Secret",
        ),
        (
            "volume",
            vec![
                add("/volumes", json!([volume])),
                add("/containers/0/volumeMounts", json!([mount])),
            ],
            "secret \"db\" not found",
            "create the Secret",
        ),
    ];
    for (name, change, why, hint) in cases {
        in_namespace(name, async |site| {
            let canary = crate::canary::Canary::of(site).await;
            let patch = json!(change).to_string();
            canary
                .kubectl(&["patch", "inferenceservice", "iris", "--type=json", "-p", &patch])
                .unwrap();
            let image = image::push(&canary.site, "v2", Model::Good).await;
            let (code, log) = create(&canary.site, &image).await;
            assert_eq!(code, Some(1), "{name}: {log}");
            assert!(log.contains(why) && log.contains(hint), "{name}: {log}");
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_release_whose_steps_are_refused_too_is_told_of_by_the_sweep() {
    in_namespace("no-pods", async |mut site| {
        let sink = Sink::before(&mut site).await;
        bento::save(&site, "iris", "v1", Model::Good).await;
        apply(&site, &quota());
        site.sweep_every_minute().await.unwrap();
        let event = Event::requested("iris-v1", "iris", "v1");
        assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
        let told = tokio::time::timeout(LIMIT, async {
            loop {
                if let Some(told) =
                    sink.told_of("iris", "v1").into_iter().find(|told| told.is("failed"))
                {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let told = told.await.expect("the sweep tells of it");
        assert_eq!(told.data["stage"], "bento-build", "{told:?}");
        let message = told.data["message"].as_str().unwrap_or_default();
        assert!(message.contains("must specify limits.cpu"), "{told:?}");
    })
    .await;
}
