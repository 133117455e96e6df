//! Models that load longer than Knative waits for a revision, with its 600 s shortened to 60 s.

use demo::Site;
use serde_json::{Value, json};

use crate::{
    bento::Model,
    canary::{Canary, named},
    namespace::in_namespace,
};

const DEADLINE: &str = "serving.knative.dev/progress-deadline";

async fn deadline(site: &Site) -> Value {
    let service = site.service("iris").await.unwrap().unwrap();
    json!(service.metadata.annotations.unwrap_or_default().get(DEADLINE))
}

/// What a revision was made with
fn deadline_of(canary: &Canary, revision: &str) -> String {
    let path = r"jsonpath={.metadata.annotations.serving\.knative\.dev/progress-deadline}";
    canary.kubectl(&["get", "revision", revision, "-o", path]).unwrap()
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_model_that_loads_longer_than_knative_waits_is_released_with_a_start_timeout() {
    in_namespace("slow", async |site| {
        let canary = Canary::of(site).await;
        let slow = Model::Loading(90);
        let too_slow = canary.create("v2", slow, &[("start-timeout", "60s")]).await;
        assert!(!too_slow.succeeded, "{too_slow:?}");
        assert!(too_slow.log.contains("gave up at its progress deadline"), "{too_slow:?}");
        assert!(too_slow.log.contains("`start-timeout`"), "{too_slow:?}");
        canary.assert_rolls_back(&named(too_slow.result("canary-revision"))).await;
        assert_eq!(deadline(&canary.site).await, json!(null), "as it was before");

        let more = [("start-timeout", "3m"), ("retry-rejected", "true")];
        let live = canary.create_live("v2", slow, &more).await;
        assert_eq!(deadline(&canary.site).await, "180s");
        assert_eq!(deadline_of(&canary, live.result("canary-revision")), "180s");

        canary.assert_rolls_back(&named(live.result("canary-revision"))).await;
        assert_eq!(deadline(&canary.site).await, json!(null), "as it was before");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_first_release_has_its_start_timeout_from_the_beginning() {
    in_namespace("slow-first", async |site| {
        let canary = Canary { site };
        let params = [("start-timeout", "3m"), ("memory", "64Mi"), ("cpu", "10m")];
        let first = canary.create("v1", Model::Loading(70), &params).await;
        assert_eq!(first.result("outcome"), "first", "{first:?}");
        assert_eq!(deadline_of(&canary, first.result("canary-revision")), "180s");
        assert_eq!(deadline(&canary.site).await, "180s");
    })
    .await;
}
