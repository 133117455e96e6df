//! The three canary Tasks in every state that a canary can be in, in a namespace that enforces the
//! *restricted* pod security standard.

use std::{collections::BTreeMap, time::Duration};

use demo::Site;
use serde_json::{Value, json};

use crate::{bento::Model, image, namespace::in_namespace};

/// Pods start and routes move; on two busy cores that takes its time.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

pub(crate) const SERVICE: &str = "iris";

/// What a TaskRun came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) succeeded: bool,
    pub(crate) results: BTreeMap<String, String>,
    pub(crate) log: String,
}

impl Ended {
    pub(crate) fn result(&self, name: &str) -> &str {
        self.results.get(name).unwrap_or_else(|| panic!("no result `{name}`: {self:?}"))
    }
}

/// The site of one test, with the words of these tests.
pub(crate) struct Canary {
    pub(crate) site: Site,
}

impl Canary {
    /// A service on v1.
    pub(crate) async fn of(site: Site) -> Self {
        let canary = Self { site };
        canary.restrict();
        let first = canary.create("v1", Model::Good, &[("memory", "64Mi"), ("cpu", "10m")]).await;
        assert_eq!(first.result("outcome"), "first", "{first:?}");
        assert_eq!(first.result("baseline-revision"), "");
        canary
    }

    /// From now on the namespace enforces the standard.
    pub(crate) fn restrict(&self) {
        let standard = "pod-security.kubernetes.io/enforce=restricted";
        let namespace = &self.site.namespace;
        self.site
            .cluster
            .kubectl(["label", "namespace", namespace, standard, "--overwrite"])
            .unwrap();
    }

    pub(crate) async fn create(
        &self,
        version: &str,
        model: Model,
        params: &[(&str, &str)],
    ) -> Ended {
        let image = image::push(&self.site, version, model).await;
        self.run("canary-create", &[&[("image", image.as_str())], params].concat()).await
    }

    pub(crate) async fn rollback(&self, params: &[(&str, &str)]) -> Ended {
        self.run("canary-rollback", params).await
    }

    pub(crate) async fn promote(&self, params: &[(&str, &str)]) -> Ended {
        self.run("canary-promote", params).await
    }

    pub(crate) async fn run(&self, task: &str, params: &[(&str, &str)]) -> Ended {
        let name = self.start(task, params).await;
        self.end(&name).await
    }

    async fn start(&self, task: &str, params: &[(&str, &str)]) -> String {
        let service = [("service", SERVICE)];
        let params: Vec<Value> = service
            .iter()
            .chain(params)
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let run = json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"generateName": format!("{task}-")},
            "spec": {"serviceAccountName": "canary-releaser", "taskRef": {"name": task}, "params": params},
        });
        self.site.create(run).await.unwrap().metadata.name.unwrap()
    }

    async fn end(&self, name: &str) -> Ended {
        let run = self.site.task_run(name, LIMIT).await.unwrap();
        let log = self.kubectl(&["logs", &run.pod, "--all-containers"]).unwrap_or_default();
        Ended { succeeded: run.succeeded, results: run.results, log }
    }

    pub(crate) fn kubectl(&self, line: &[&str]) -> Option<String> {
        let namespace = ["-n", self.site.namespace.as_str()];
        self.site.cluster.kubectl(namespace.iter().chain(line).copied()).ok()
    }

    pub(crate) async fn when<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let seen = tokio::time::timeout(LIMIT, async {
            loop {
                if let Some(seen) = look().await {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        seen.await.unwrap_or_else(|_| panic!("failed to see {what}"))
    }

    pub(crate) async fn predictor(&self) -> Value {
        self.site.service(SERVICE).await.unwrap().unwrap().data["spec"]["predictor"].clone()
    }

    /// As the route says, the canary's own share is there too when it is 0.
    pub(crate) async fn traffic(&self) -> Vec<(String, i64)> {
        self.site.traffic(SERVICE).await.unwrap()
    }

    /// Every request is answered by this version, and the spec says so without a percent.
    pub(crate) async fn assert_everybody_has(&self, version: &str) {
        let host = self.site.host(SERVICE).await.unwrap();
        let answers = self.site.ask_often(&host, 40).await.unwrap();
        assert_eq!(answers.by_version.get(version), Some(&40), "{answers:?}");
        let predictor = self.predictor().await;
        assert_eq!(predictor["canaryTrafficPercent"], Value::Null, "{predictor}");
        let traffic = self.traffic().await;
        assert_eq!(
            traffic.iter().map(|(_, percent)| *percent).collect::<Vec<_>>(),
            [100],
            "{traffic:?}"
        );
    }

    /// Waits until the revision's container is between two of its restarts, and stays there long enough.
    async fn long_back_off(&self, revision: &str) {
        let pods = format!("serving.knative.dev/revision={revision}");
        let state = "jsonpath={.items[0].status.containerStatuses[?(@.name==\"kserve-container\")]['restartCount','state']}";
        self.when("a long back-off", async || {
            let state = self.kubectl(&["get", "pods", "-l", &pods, "-o", state])?;
            let restarts: u32 = state.split_whitespace().next()?.parse().ok()?;
            (restarts >= 3 && state.contains("CrashLoopBackOff")).then_some(())
        })
        .await;
    }
}

pub(crate) fn named(revision: &str) -> [(&'static str, &str); 1] {
    [("canary-revision", revision)]
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_gets_its_percent_a_ladder_and_all_requests_and_is_taken_back_after_that() {
    in_namespace("ladder", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create("v2", Model::Good, &[("percent", "20")]).await;
        assert_eq!(live.result("outcome"), "canary", "{live:?}");
        let (new, old) = (live.result("canary-revision"), live.result("baseline-revision"));
        assert_eq!(canary.traffic().await, [(new.to_owned(), 20), (old.to_owned(), 80)]);
        assert!(live.result("canary-url").starts_with("http://latest-iris-predictor."), "{live:?}");

        let again = canary.create("v2", Model::Good, &[]).await;
        assert_eq!(
            again.results, live.results,
            "a repeated release says the same and lowers nothing"
        );
        let other = canary.create("v3", Model::Good, &[("when-busy", "refuse")]).await;
        assert!(
            !other.succeeded && other.log.contains("another canary is in progress"),
            "{other:?}"
        );

        let promoted = canary.promote(&[named(new)[0], ("ladder", "50"), ("pause", "2s")]).await;
        assert_eq!(promoted.result("outcome"), "promoted", "{promoted:?}");
        assert!(promoted.log.contains("set 50 %"), "{promoted:?}");
        canary.assert_everybody_has("v2").await;
        assert_eq!(canary.create("v2", Model::Good, &[]).await.result("outcome"), "unchanged");

        let back = canary.rollback(&named(new)).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        assert_eq!(back.result("restored-image"), live.result("baseline-image"));
        canary.assert_everybody_has("v1").await;
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

        let back = canary.rollback(&named(failed.result("canary-revision"))).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
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
        canary.assert_everybody_has("v1").await;

        let image =
            format!("{}/models/nobody@sha256:{}", canary.site.cluster.registry.pod, "0".repeat(64));
        let missing = canary.run("canary-create", &[("image", &image)]).await;
        assert!(missing.log.contains("its image cannot be pulled"), "{missing:?}");
        let back = canary.rollback(&[("canary-image", &image)]).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_live_canary_that_crashes_with_a_long_back_off_is_taken_back() {
    in_namespace("backoff", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create("v2", Model::Crashing(25), &[("percent", "50")]).await;
        assert_eq!(live.result("outcome"), "canary", "{live:?}");
        let new = live.result("canary-revision");
        canary.long_back_off(new).await;

        let back = canary.rollback(&named(new)).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
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

        let back = canary.rollback(&named(new)).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
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

        let back = canary.rollback(&named(new)).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
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
            .when("percent 0", async || {
                (canary.predictor().await["canaryTrafficPercent"] == 0).then_some(())
            })
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
            .when("the old image", async || {
                (canary.predictor().await["containers"][0]["image"] != image).then_some(())
            })
            .await;
        canary
            .kubectl(&["delete", "pod", &format!("{killed}-pod"), "--grace-period=0", "--force"])
            .unwrap();
        canary.end(&killed).await;
        let back = canary.rollback(&named(new)).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
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
        canary.assert_everybody_has("v1").await;
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
        let has_room = "jsonpath={.status.components.predictor.latestRolledoutRevision}";
        canary
            .when("a pod that takes room", async || {
                let serves = canary.kubectl(&["get", "inferenceservice", SERVICE, "-o", has_room])?;
                (serves == "iris-predictor-00002").then_some(())
            })
            .await;
        let live = canary.create("v2", Model::Crashing(20), &[("percent", "20")]).await;
        assert_eq!(live.result("outcome"), "canary", "{live:?}");
        let new = live.result("canary-revision");
        canary.long_back_off(new).await;

        let back = canary.rollback(&named(new)).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
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
        let live = canary.create("v2", Model::Good, &[("percent", "20")]).await;
        assert_eq!(live.result("outcome"), "canary", "{live:?}");
        let new = live.result("canary-revision");
        canary.kubectl(&["delete", "taskrun", "--all"]).unwrap();
        let running = ["get", "pods", "--field-selector=status.phase=Running", "-o", "name"];
        canary
            .when("the pods of the site and of two models", async || {
                (canary.kubectl(&running)?.lines().count() == 4).then_some(())
            })
            .await;
        // The fifth is the rollback's own; KServe tries one more pod before it changes anything.
        canary.kubectl(&["create", "quota", "full", "--hard=pods=5"]).unwrap();

        let rollback = canary.start("canary-rollback", &named(new)).await;
        let refused = "jsonpath={.status.conditions[?(@.type==\"PredictorReady\")].message}";
        canary
            .when("KServe's refusal", async || {
                let message =
                    canary.kubectl(&["get", "inferenceservice", SERVICE, "-o", refused])?;
                message.contains("exceeded quota").then_some(())
            })
            .await;
        canary.kubectl(&["delete", "quota", "full"]).unwrap();
        let back = canary.end(&rollback).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_has_not_ended_can_be_replaced_by_another_one() {
    in_namespace("replaced", async |site| {
        let canary = Canary::of(site).await;
        let first = canary.create("v2", Model::Good, &[("percent", "20")]).await;
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

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_whose_service_somebody_changed_is_taken_back_and_the_change_stays() {
    in_namespace("touched", async |site| {
        let canary = Canary::of(site).await;
        let live = canary.create("v2", Model::Good, &[]).await;
        let new = live.result("canary-revision");
        canary.kubectl(&["annotate", "inferenceservice", SERVICE, "owner=ada"]).unwrap();
        let latest = "jsonpath={.status.components.predictor.latestReadyRevision}";
        canary
            .when("another revision", async || {
                let latest = canary.kubectl(&["get", "inferenceservice", SERVICE, "-o", latest])?;
                (latest != new).then_some(())
            })
            .await;
        let refused = canary.promote(&named(new)).await;
        assert!(!refused.succeeded && refused.result("outcome") == "changed", "{refused:?}");
        let back = canary.rollback(&named(new)).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        canary.assert_everybody_has("v1").await;
        let owner = canary.kubectl(&[
            "get",
            "inferenceservice",
            SERVICE,
            "-o",
            "jsonpath={.metadata.annotations.owner}",
        ]);
        assert_eq!(owner.as_deref(), Some("ada"));
    })
    .await;
}
