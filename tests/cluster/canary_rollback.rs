//! canary-rollback in the states that a canary can be in.

use serde_json::{Value, json};

use crate::{
    bento::Model,
    canary::{Canary, SERVICE, named},
    namespace::in_namespace,
};

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_live_canary_that_crashes_with_a_long_back_off_is_taken_back() {
    in_namespace("backoff", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create_live("v2", Model::Crashing(25), &[("ladder", "50")]).await;
        let new = live.result("canary-revision");
        canary.long_back_off(new).await;

        canary.assert_rolls_back(&named(new)).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_promoted_canary_that_crashes_is_taken_back() {
    in_namespace("promoted", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create("v2", Model::Crashing(40), &[]).await;
        let new = live.result("canary-revision");
        let promoted = canary.promote(&named(new)).await;
        assert_eq!(promoted.result("outcome"), "promoted", "{promoted:?}");
        canary.long_back_off(new).await;

        canary.assert_rolls_back(&named(new)).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_rollback_after_the_old_revision_is_gone_makes_it_again_from_its_image() {
    in_namespace("gone", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create("v2", Model::Good, &[]).await;
        let (new, old) = (live.result("canary-revision"), live.result("baseline-revision"));
        canary.promote(&named(new)).await;
        canary.kubectl(&["delete", "revision", old]).unwrap();

        canary.assert_rolls_back(&named(new)).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_rollback_of_what_is_not_there_does_nothing() {
    in_namespace("nothing", async |site| {
        let canary = Canary::of(site).await;
        let image = format!("r/iris@sha256:{}", "0".repeat(64));
        for params in [[("canary-image", image.as_str())], named("iris-predictor-00009")] {
            let ended = canary.rollback(&params).await;
            assert_eq!(ended.result("outcome"), "nothing", "{ended:?}");
            assert_eq!(ended.result("restored-image"), "");
        }
        canary.assert_serves("v1").await;
    })
    .await;
}

/// A resource of which the node has this much, as it has GPUs.
const ROOM: &str = "kanaria.dev~1room";

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_rollback_frees_the_canary_s_room_before_the_old_image_needs_it() {
    in_namespace("room", async |site| {
        let room_for_two: Vec<Value> = ["capacity", "allocatable"]
            .iter()
            .map(|what| json!({"op": "add", "path": format!("/status/{what}/{ROOM}"), "value": "2"}))
            .collect();
        let nodes = site.cluster.kubectl(["get", "nodes", "-o", "name"]).unwrap();
        let patch = format!("--patch={}", json!(room_for_two));
        let node = nodes.lines().next().unwrap();
        site.cluster.kubectl(["patch", node, "--subresource=status", "--type=json", &patch]).unwrap();
        let canary = Canary::of(site).await;
        let one = json!([{"op": "add", "path": "/spec/predictor/containers/0/resources/limits/kanaria.dev~1room", "value": "1"}]);
        let patch = format!("--patch={one}");
        canary.kubectl(&["patch", "inferenceservice", SERVICE, "--type=json", &patch]).unwrap();
        canary
            .until("a pod that takes room", |service| {
                let revision = &service["status"]["components"]["predictor"]["latestRolledoutRevision"];
                revision == "iris-predictor-00002"
            })
            .await;
        let live = canary.create_live("v2", Model::Crashing(20), &[("ladder", "20")]).await;
        let new = live.result("canary-revision");
        canary.long_back_off(new).await;

        canary.assert_rolls_back(&named(new)).await;
        assert_eq!(canary.kubectl(&["get", "revision", new]), None, "its pods end with it");
        let next = canary.create("v3", Model::Good, &[]).await;
        assert_eq!(next.result("outcome"), "canary", "the next release finds room: {next:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_rollback_that_a_full_quota_holds_up_goes_on_when_there_is_room() {
    in_namespace("quota", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create_live("v2", Model::Good, &[("ladder", "20")]).await;
        let new = live.result("canary-revision");
        canary.kubectl(&["delete", "taskrun", "--all"]).unwrap();
        let running = ["get", "pods", "--field-selector=status.phase=Running", "-o", "name"];
        canary
            .when("the pods of the site and of two models", async || {
                (canary.kubectl(&running)?.lines().count() == 5).then_some(())
            })
            .await;
        // The sixth is the rollback's own; KServe tries one more pod before it changes anything.
        canary.kubectl(&["create", "quota", "full", "--hard=pods=6"]).unwrap();

        let rollback = canary.start("canary-rollback", &named(new)).await;
        canary
            .until("KServe's refusal", |service| {
                service["status"]["conditions"].to_string().contains("exceeded quota")
            })
            .await;
        canary.kubectl(&["delete", "quota", "full"]).unwrap();
        let back = canary.end(&rollback).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_serves("v1").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_whose_service_somebody_changed_is_taken_back_and_the_change_stays() {
    in_namespace("touched", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create("v2", Model::Good, &[]).await;
        let new = live.result("canary-revision");
        canary.kubectl(&["annotate", "inferenceservice", SERVICE, "owner=ada"]).unwrap();
        canary
            .until("another revision", |service| {
                service["status"]["components"]["predictor"]["latestReadyRevision"] != new
            })
            .await;
        let refused = canary.promote(&named(new)).await;
        assert!(!refused.succeeded && refused.result("outcome") == "changed", "{refused:?}");
        canary.assert_rolls_back(&named(new)).await;
        let service = canary.site.service(SERVICE).await.unwrap().unwrap();
        assert_eq!(service.metadata.annotations.unwrap()["owner"], "ada");
    })
    .await;
}
