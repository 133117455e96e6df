//! What cannot recover by itself ends a release at once, with the sentence that helps.

use demo::{Event, Mode, Site};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    bento::{self, Model},
    canary::{Canary, LIMIT},
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
        site.create(quota()).await.unwrap();
        let (code, log) = create(&site, &image).await;
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("must specify limits.cpu") && log.contains("LimitRange"), "{log}");

        let defaults = json!({"default": {"cpu": "1", "memory": "64Mi"}});
        site.create(limit_range("defaults", defaults)).await.unwrap();
        let (code, log) = create(&site, &image).await;
        assert_eq!(code, Some(0), "{log}");

        site.create(limit_range("small", json!({"max": {"memory": "32Mi"}}))).await.unwrap();
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
            let canary = Canary::of(site).await;
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
async fn a_release_whose_steps_are_refused_too_gets_its_event_from_the_sweep() {
    in_namespace("no-pods", async |mut site| {
        let sink = Sink::before(&mut site).await;
        bento::save(&site, "iris", "v1", Model::Good).await;
        site.create(quota()).await.unwrap();
        site.sweep_every_minute().await.unwrap();
        let event = Event::requested("iris-v1", "iris", "v1");
        assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
        let failed = sink.event(LIMIT, ("iris", "v1"), &["failed"]).await;
        assert_eq!(failed.data["stage"], "bento-build", "{failed:?}");
        let message = failed.data["message"].as_str().unwrap_or_default();
        assert!(message.contains("must specify limits.cpu"), "{failed:?}");
    })
    .await;
}
