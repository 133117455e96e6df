//! Every Task but the one that builds images runs where the *restricted* pod security standard is enforced.

use std::time::Duration;

use demo::{Site, TaskRun};
use serde_json::json;

use crate::{
    build::repository, canary::restrict, namespace::in_namespace, release::first,
    task_run::task_run,
};

const LIMIT: Duration = Duration::from_mins(3);

/// The user that a platform gives to a namespace's pods, as `OpenShift` does; none: the image's own
type User = Option<u32>;

/// Runs one Task with these params.
async fn run(
    site: &Site,
    user: User,
    task: &str,
    account: &str,
    params: &[(&str, &str)],
    workspace: Option<&str>,
) -> TaskRun {
    let mut run = task_run(task, account, params);
    let spec = &mut run["spec"];
    spec["workspaces"] = workspace.map(|name| json!([{ "name": name, "emptyDir": {} }])).into();
    let given = user.map(|user| json!({ "runAsUser": user, "runAsGroup": 0, "fsGroup": user }));
    spec["podTemplate"] = json!({ "securityContext": given });
    let name = site.create(run).await.unwrap().metadata.name.unwrap();
    site.task_run(&name, LIMIT).await.unwrap()
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn every_task_but_the_build_runs_under_the_restricted_standard_as_any_user() {
    in_namespace("restricted", async |site| {
        // Building needs more than the standard allows, so the image is made before it is enforced.
        first(&site, "restricted").await;
        restrict(&site);
        for user in [None, Some(1_000_650_000)] {
            every_task_runs(&site, user).await;
        }
    })
    .await;
}

async fn every_task_runs(site: &Site, user: User) {
    let from = [
        ("store", "s3://bentos"),
        ("bento", "restricted:v1"),
        ("s3-endpoint", "http://s3.local:9000"),
    ];
    let retrieved = run(site, user, "bento-retrieve", "canary-builder", &from, Some("bento")).await;
    assert_eq!(retrieved.results["bento"], "restricted:v1", "{retrieved:?}");

    let image = repository(site, &format!("image-{}", user.unwrap_or_default()));
    let registry = [
        ("image", image.as_str()),
        ("environments", "registry.local:5000/environments"),
        ("registry-insecure", "true"),
        ("registry-mirror", "registry.local:5000"),
    ];
    let to_image = [&from[..], &registry].concat();
    let assembled = run(site, user, "bento-image", "canary-builder", &to_image, None).await;
    assert_eq!(assembled.results["assembled"], "yes", "{assembled:?}");

    let service = site.service("restricted").await.unwrap().unwrap();
    let image =
        service.data["spec"]["predictor"]["containers"][0]["image"].as_str().unwrap().to_owned();
    let asked = [("service", "restricted"), ("image", &image)];
    let created = run(site, user, "canary-create", "canary-releaser", &asked, None).await;
    assert_eq!(created.results["outcome"], "unchanged", "{created:?}");

    let revision = created.results["canary-revision"].clone();
    let about = [("service", "restricted"), ("canary-revision", &revision)];
    let promoted = run(site, user, "canary-promote", "canary-releaser", &about, None).await;
    assert!(promoted.succeeded, "it serves everybody already: {promoted:?}");

    let nothing = [("service", "restricted"), ("canary-revision", "restricted-predictor-00099")];
    let rolled_back = run(site, user, "canary-rollback", "canary-releaser", &nothing, None).await;
    assert!(
        rolled_back.has_ended && !rolled_back.message.contains("PodSecurity"),
        "{rolled_back:?}"
    );

    let criteria = [
        ("prometheus-url", "http://prometheus.local:9090"),
        ("query", "vector(0)"),
        ("when", "value == 0"),
        ("hold", "10s"),
        ("deadline", "2m"),
    ];
    let gate = run(site, user, "prometheus-gate", "canary-observer", &criteria, None).await;
    assert_eq!(gate.results["verdict"], "pass", "{gate:?}");

    let event = [
        ("sink", "http://el-canary:8080"),
        ("type", "org.example.greeting.v1"),
        ("subject", "nobody/in-particular"),
    ];
    let sent = run(site, user, "cloudevent-send", "canary-observer", &event, None).await;
    assert_eq!(sent.results["status-code"], "202", "{sent:?}");
}
