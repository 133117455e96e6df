//! A service and its canary, as the three canary Tasks leave them, in a namespace that enforces the
//! *restricted* pod security standard.

use std::{collections::BTreeMap, time::Duration};

use demo::{Site, within};
use serde_json::Value;

use crate::{bento::Model, image, task_run::task_run};

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

/// The site of one test, with one service.
pub(crate) struct Canary {
    pub(crate) site: Site,
}

impl Canary {
    /// A service on v1.
    pub(crate) async fn of(site: Site) -> Self {
        restrict(&site);
        let canary = Self { site };
        let first = canary.create("v1", Model::Good, &[("memory", "64Mi"), ("cpu", "10m")]).await;
        assert_eq!(first.result("outcome"), "first", "{first:?}");
        assert_eq!(first.result("baseline-revision"), "");
        canary
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

    /// Makes a canary, which then has its share of the requests.
    pub(crate) async fn create_live(
        &self,
        version: &str,
        model: Model,
        params: &[(&str, &str)],
    ) -> Ended {
        let live = self.create(version, model, params).await;
        assert_eq!(live.result("outcome"), "canary", "{live:?}");
        live
    }

    /// Takes a canary back, after which v1 serves all requests.
    pub(crate) async fn assert_rolls_back(&self, params: &[(&str, &str)]) {
        let back = self.rollback(params).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        self.assert_serves("v1").await;
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

    pub(crate) async fn start(&self, task: &str, params: &[(&str, &str)]) -> String {
        let params = [&[("service", SERVICE)], params].concat();
        let run = task_run(task, "canary-releaser", &params);
        self.site.create(run).await.unwrap().metadata.name.unwrap()
    }

    pub(crate) async fn end(&self, name: &str) -> Ended {
        let run = self.site.task_run(name, LIMIT).await.unwrap();
        let log = self.kubectl(&["logs", &run.pod, "--all-containers"]).unwrap_or_default();
        Ended { succeeded: run.succeeded, results: run.results, log }
    }

    pub(crate) fn kubectl(&self, line: &[&str]) -> Option<String> {
        self.site.kubectl(line.iter().copied()).ok()
    }

    /// Looks again and again until there is something.
    pub(crate) async fn when<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        within(LIMIT, what, async || Ok(look().await)).await.unwrap()
    }

    /// Watches the service until this holds of it.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let seen = self.site.until(LIMIT, what, ("InferenceService", SERVICE), |service| {
            service.is_some_and(|service| holds(&service.data))
        });
        seen.await.unwrap();
    }

    pub(crate) async fn predictor(&self) -> Value {
        self.site.service(SERVICE).await.unwrap().unwrap().data["spec"]["predictor"].clone()
    }

    /// As the route says, the canary's own share is there too when it is 0.
    pub(crate) async fn traffic(&self) -> Vec<(String, i64)> {
        self.site.traffic(SERVICE).await.unwrap()
    }

    /// Every request is answered by this version, and the spec says so without a percent.
    pub(crate) async fn assert_serves(&self, version: &str) {
        assert_serves(&self.site, SERVICE, version).await;
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
    pub(crate) async fn long_back_off(&self, revision: &str) {
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

/// From now on the namespace enforces the standard.
pub(crate) fn restrict(site: &Site) {
    let label = "pod-security.kubernetes.io/enforce=restricted";
    site.kubectl(["label", "namespace", &site.namespace, label, "--overwrite"]).unwrap();
}

/// Every one of forty requests to the service is answered by this version.
pub(crate) async fn assert_serves(site: &Site, service: &str, version: &str) {
    let host = site.host(service).await.unwrap();
    let answers = site.ask_often(&host, 40).await.unwrap();
    assert_eq!(answers.by_version.get(version), Some(&40), "{service}: {answers:?}");
}

pub(crate) fn named(revision: &str) -> [(&'static str, &str); 1] {
    [("canary-revision", revision)]
}
