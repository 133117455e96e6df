//! What a canary can do to its requests, and the gate with the catalog's own settings: each of these is
//! taken back, by the criterion that is there for it.

use std::time::Duration;

use demo::{Event, Mode, Traffic};
use serde_json::{Value, json};

use crate::{
    bento::Model,
    canary::{Canary, LIMIT, SERVICE},
    image,
    namespace::in_namespace,
};

/// Clients of a model that takes long wait as long as Knative lets them.
const PATIENT: Duration = Duration::from_mins(5);

/// Clients with something better to do.
const IMPATIENT: Duration = Duration::from_secs(2);

/// A release that must not be promoted.
struct Bad {
    namespace: &'static str,
    model: Model,
    /// Requests a second to the service
    rate: u32,
    /// How long a client waits for an answer
    timeout: Duration,
    percent: String,
    /// What the service is set to beside the catalog's defaults
    service: Value,
    /// The criterion that says no
    criterion: &'static str,
}

impl Bad {
    /// With the catalog's own settings, and 20 requests a second by patient clients.
    fn new(namespace: &'static str, model: Model, criterion: &'static str) -> Self {
        let (rate, timeout, percent) = (20, PATIENT, first_percent());
        Self { namespace, model, rate, timeout, percent, service: Value::Null, criterion }
    }

    /// Releases it, and sees the gate say no for the right reason and all traffic go back.
    async fn is_taken_back(&self) {
        in_namespace(self.namespace, async |site| {
            let canary = Canary::of(site).await;
            set(&canary, &self.service).await;
            let host = canary.site.host(SERVICE).await.unwrap();
            let traffic =
                Traffic::with_timeout(&canary.site, &host, self.rate, self.timeout).unwrap();
            let (verdict, reason) = self.judged(&canary).await;
            let clients = traffic.seen();
            drop(traffic);
            assert_ne!(verdict, "pass", "{reason}; clients got {clients:?}");
            let named = reason.contains(&format!("{}: ", self.criterion));
            assert!(named, "`{}` says no: {reason}; clients got {clients:?}", self.criterion);
            canary.assert_serves("v1").await;
        })
        .await;
    }

    /// Gives the canary its share, sends its event as the release's Pipeline would, and returns
    /// the gate's verdict and its reason when all that follows from them is done.
    async fn judged(&self, canary: &Canary) -> (String, String) {
        let site = &canary.site;
        let image = image::push(site, "v2", self.model).await;
        let live = canary.create_live("v2", self.model, &[("ladder", &self.percent)]).await;
        let created = Event {
            r#type: "build.canary.release.canary.created.v1".into(),
            data: json!({
                "serviceName": SERVICE, "serviceVersion": "v2",
                "canary": {
                    "image": image, "weight": self.percent.parse::<u8>().unwrap(),
                    "revision": live.result("canary-revision"),
                    "baselineRevision": live.result("baseline-revision"),
                    "baselineImage": live.result("baseline-image"),
                    "startedAt": live.result("started-at"),
                },
            }),
            ..Event::requested("created", SERVICE, "v2")
        };
        assert_eq!(site.send(&created, Mode::Structured).await.unwrap(), 202);
        let run = site.run_of("canary-promotion", &[]).await.unwrap();
        run.wait(LIMIT).await.unwrap();
        let gate = run.task("prometheus-gate").await.unwrap().expect("the gate has run");
        let why = run.describe().await.unwrap();
        let result = |name| gate.results.get(name).cloned().unwrap_or_else(|| panic!("{why}"));
        (result("verdict"), result("reason"))
    }
}

/// What `triggers/settings.yaml` says.
pub(crate) fn setting(name: &str) -> String {
    let settings: Value =
        serde_saphyr::from_str(include_str!("../../triggers/settings.yaml")).unwrap();
    let params = settings["spec"]["params"].as_array().unwrap();
    let param = params.iter().find(|param| param["name"] == name).unwrap();
    param["value"].as_str().unwrap().to_owned()
}

/// What a canary begins at by the catalog's own ladder.
pub(crate) fn first_percent() -> String {
    setting("ladder").split(',').next().unwrap().to_owned()
}

/// Changes the service, which makes another revision of v1, and waits until that has all requests.
async fn set(canary: &Canary, change: &Value) {
    if change.is_null() {
        return;
    }
    let before = canary.traffic().await;
    let patch = change.to_string();
    canary.kubectl(&["patch", "isvc", SERVICE, "--type=merge", "-p", &patch]).unwrap();
    canary
        .when("the changed service", async || {
            let now = canary.traffic().await;
            let settled = now.len() == 1 && now[0].1 == 100 && now != before;
            settled.then_some(())
        })
        .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_refuses_every_request_is_taken_back() {
    Bad::new("refusing", Model::Refusing, "rejections").is_taken_back().await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_a_hundred_times_slower_is_taken_back() {
    Bad::new("slow", Model::Slow, "latency").is_taken_back().await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_never_answers_half_of_patient_clients_is_taken_back() {
    Bad::new("hanging", Model::Hanging, "errors").is_taken_back().await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_never_answers_half_of_impatient_clients_is_taken_back() {
    let bad = Bad::new("given-up", Model::Hanging, "errors");
    Bad { timeout: IMPATIENT, ..bad }.is_taken_back().await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_whose_only_pod_takes_one_request_at_a_time_and_long_for_it_is_taken_back() {
    let bad = Bad::new("busy", Model::Slow, "errors");
    // The pod's queue turns requests away only where the activator's does not hold them first.
    let service = json!({
        "metadata": {"annotations": {"autoscaling.knative.dev/target-burst-capacity": "0"}},
        "spec": {"predictor": {"containerConcurrency": 1, "maxReplicas": 1}},
    });
    Bad { rate: 5, percent: "50".to_owned(), service, ..bad }.is_taken_back().await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_answers_later_than_its_revision_may_is_taken_back() {
    let bad = Bad::new("late", Model::Late, "errors");
    Bad { service: json!({"spec": {"predictor": {"timeout": 5}}}), ..bad }.is_taken_back().await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_resets_every_other_connection_is_taken_back() {
    Bad::new("resetting", Model::Resetting, "errors").is_taken_back().await;
}
