//! canary-create and canary-promote in the states that a canary can be in.

use crate::{
    bento::Model,
    canary::{Canary, named},
    image,
    namespace::in_namespace,
};

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_gets_its_percent_a_ladder_and_all_requests_and_is_taken_back_after_that() {
    in_namespace("ladder", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create_live("v2", Model::Good, &[("ladder", "20")]).await;
        let (new, old) = (live.result("canary-revision"), live.result("baseline-revision"));
        assert_eq!(canary.traffic().await, [(new.to_owned(), 20), (old.to_owned(), 80)]);
        assert!(live.result("canary-url").starts_with("http://latest-iris-predictor."), "{live:?}");

        let mut again = canary.create("v2", Model::Good, &[]).await.results;
        let ladder = again.insert("ladder".into(), live.result("ladder").into());
        assert_eq!(ladder.as_deref(), Some("10,25,50,100"), "each release has a ladder of its own");
        assert_eq!(again, live.results, "a repeated release says the same and lowers nothing");
        let other = canary.create("v3", Model::Good, &[("when-busy", "refuse")]).await;
        assert!(
            !other.succeeded && other.log.contains("another canary is in progress"),
            "{other:?}"
        );

        let rung = |percent| [named(new)[0], ("ladder", "20,50"), ("percent", percent)];
        let advanced = canary.promote(&rung("20")).await;
        assert_eq!(advanced.result("outcome"), "advanced", "{advanced:?}");
        assert_eq!(advanced.result("percent"), "50", "{advanced:?}");
        let promoted = canary.promote(&rung("50")).await;
        assert_eq!(promoted.result("outcome"), "promoted", "{promoted:?}");
        canary.assert_serves("v2").await;
        assert_eq!(canary.create("v2", Model::Good, &[]).await.result("outcome"), "unchanged");

        let back = canary.rollback(&named(new)).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        assert_eq!(back.result("restored-image"), live.result("baseline-image"));
        canary.assert_serves("v1").await;
        assert_eq!(
            canary.rollback(&named(new)).await.results,
            back.results,
            "run again it says the same"
        );

        let refused = canary.create("v2", Model::Good, &[]).await;
        assert!(
            !refused.succeeded && refused.log.contains("it was rolled back before"),
            "{refused:?}"
        );
        let retried = canary.create("v2", Model::Good, &[("retry-rejected", "true")]).await;
        assert_eq!(retried.result("outcome"), "canary", "{retried:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_never_gets_ready_costs_no_user_and_is_explained() {
    in_namespace("unready", async |site| {
        let canary = Canary::of(site).await;
        let failed = canary.create("v2", Model::Unready, &[("start-timeout", "40s")]).await;
        assert!(!failed.succeeded, "{failed:?}");
        assert!(failed.log.contains("its readiness probe does not pass yet"), "{failed:?}");
        assert_eq!(failed.result("outcome"), "");
        assert_eq!(canary.predictor().await["canaryTrafficPercent"], 0);

        canary.assert_rolls_back(&named(failed.result("canary-revision"))).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_exits_or_has_no_image_is_explained_long_before_the_timeout() {
    in_namespace("exits", async |site| {
        let canary = Canary::of(site).await;
        let failed = canary.create("v2", Model::Crashing(0), &[]).await;
        assert!(
            failed.log.contains("exits with code 1: Error: the model has crashed"),
            "{failed:?}"
        );
        canary.rollback(&named(failed.result("canary-revision"))).await;
        canary.assert_serves("v1").await;

        let image =
            format!("{}/models/nobody@sha256:{}", canary.site.cluster.registry.pod, "0".repeat(64));
        let missing = canary.run("canary-create", &[("image", &image)]).await;
        assert!(missing.log.contains("its image cannot be pulled"), "{missing:?}");
        canary.assert_rolls_back(&[("canary-image", &image)]).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_task_run_that_is_killed_half_way_and_run_again_ends_in_the_same_place() {
    in_namespace("killed", async |site| {
        let canary = Canary::of(site).await;
        let image = image::push(&canary.site, "v2", Model::Good).await;

        let killed = canary.start("canary-create", &[("image", &image)]).await;
        canary
            .until("percent 0", |service| service["spec"]["predictor"]["canaryTrafficPercent"] == 0)
            .await;
        canary
            .kubectl(&["delete", "pod", &format!("{killed}-pod"), "--grace-period=0", "--force"])
            .unwrap();
        canary.end(&killed).await; // on a fast machine it was done already, and is repeated now
        let live = canary.run("canary-create", &[("image", &image)]).await;
        assert_eq!(live.result("outcome"), "canary", "{live:?}");
        let new = live.result("canary-revision");

        let killed = canary.start("canary-rollback", &named(new)).await;
        canary
            .until("the old image", |service| {
                service["spec"]["predictor"]["containers"][0]["image"] != image
            })
            .await;
        canary
            .kubectl(&["delete", "pod", &format!("{killed}-pod"), "--grace-period=0", "--force"])
            .unwrap();
        canary.end(&killed).await;
        canary.assert_rolls_back(&named(new)).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_has_not_ended_can_be_replaced_by_another_one() {
    in_namespace("replaced", async |site| {
        let canary = Canary::of(site).await;
        let first = canary.create("v2", Model::Good, &[("ladder", "20")]).await;
        let second = canary.create("v3", Model::Good, &[("when-busy", "replace")]).await;
        assert_eq!(second.result("outcome"), "canary", "{second:?}");
        assert_eq!(second.result("baseline-image"), first.result("baseline-image"));
        let split = [
            (second.result("canary-revision").to_owned(), 10),
            (first.result("baseline-revision").to_owned(), 90),
        ];
        assert_eq!(canary.traffic().await, split);
        assert_eq!(canary.kubectl(&["get", "revision", first.result("canary-revision")]), None);
    })
    .await;
}
