//! KServe and Knative as far as a canary meets them, behind a [`Client`], for tests.
//!
//! Its rules are those of KServe 0.20 and Knative Serving 1.21: how traffic is written, when a
//! promotion or a rollback is read into the status, and a route that is stuck while any target is
//! not ready. Five controllers each act on what they last saw; every request lets some of them
//! act, in turn or as [`Simulator::schedule`] says, so that updates come late, repeated and in any order.

mod api_server;
mod template;
mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{Method, Request, Response, StatusCode};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::Notify;

#[cfg(test)]
pub(crate) use self::api_server::apply;
pub use self::world::{Behaviour, NAMESPACE};
use self::{api_server::refusal, template::Template, world::World};
use crate::{
    decision_lease::{Decision, decision_lease},
    objects::{CONTAINER, TAG_ROUTING},
    stop_switch::STOP_SWITCH,
};

#[derive(Clone, Default)]
pub struct Simulator {
    world: Arc<Mutex<World>>,
    killed: Arc<Notify>,
}

impl Simulator {
    pub fn new() -> Self {
        Self::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, containers of the image behave so. Good is the default.
    pub fn behave(&self, image: &str, behaviour: Behaviour) {
        self.world().behaviours.insert(image.into(), behaviour);
    }

    /// Which controllers act on the next requests, by number; then all, in turn.
    pub fn schedule(&self, controllers: impl IntoIterator<Item = u8>) {
        self.world().schedule = controllers.into_iter().collect();
    }

    /// The process dies at its n-th write from now, counted from 0, before or after it took effect.
    pub fn kill_at_write(&self, number: usize, applied: bool) {
        let mut world = self.world();
        world.kill_at = Some((world.writes.len() + number, applied));
    }

    /// Runs a scenario to its end, or until it is killed: then none.
    pub async fn until_killed<T>(&self, scenario: impl Future<Output = T>) -> Option<T> {
        let ended = tokio::select! {
            ended = scenario => Some(ended),
            () = self.killed.notified() => None,
        };
        self.world().kill_at = None;
        ended
    }

    /// The next requests get these HTTP codes.
    pub fn answer(&self, codes: &[u16]) {
        self.world().answers.extend(codes);
    }

    /// The Tekton runs of the namespace, as the API lists them.
    pub fn run(&self, kind: &str, name: &str, params: &[(&str, &str)]) {
        let params: Vec<Value> =
            params.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let mut world = self.world();
        let second = world.runs.len();
        world.runs.push(json!({
            "apiVersion": "tekton.dev/v1", "kind": kind,
            "metadata": {"name": name, "uid": name, "labels": {"tekton.dev/pipeline": name.split('-').next()},
                         "creationTimestamp": format!("2026-11-24T06:07:{second:02}Z")},
            "spec": {"params": params}, "status": {},
        }));
    }

    /// The run of this name has ended, and stays.
    pub fn end_run(&self, name: &str) {
        for run in self.world().runs.iter_mut().filter(|run| run["metadata"]["name"] == name) {
            run["status"] = json!({"conditions": [{"type": "Succeeded", "status": "False"}]});
        }
    }

    /// The container of the run's first step was killed whole, long ago.
    pub fn kill_step_of(&self, run: &str) {
        let status = |name: &str, state: Value| json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2020-01-01T00:00:00Z"}});
        let pod = json!({
            "metadata": {"name": format!("{run}-pod"), "labels": {"tekton.dev/pipelineTask": "prometheus-gate"}},
            "status": {"containerStatuses": [status("step-prometheus-gate", killed), status("step-release-record", json!({"running": {}}))]},
        });
        self.world().run_pods.insert(run.into(), pod);
    }

    /// Names of the revisions that there are
    pub fn revisions(&self) -> Vec<String> {
        self.world().revisions.keys().cloned().collect()
    }

    /// From now on, writes of this resource, such as `leases`, are forbidden.
    pub fn forbid(&self, resource: &'static str) {
        self.world().forbidden.push(resource);
    }

    /// From now on, reads of this resource, such as `configmaps`, are forbidden.
    pub fn forbid_reading(&self, resource: &'static str) {
        self.world().unreadable.push(resource);
    }

    /// Somebody stops all releases, or without words lets them go on.
    pub fn stop(&self, by: Option<&str>) {
        let config_maps = &mut self.world().config_maps;
        config_maps.clear();
        config_maps.extend(by.map(|by| {
            let stop = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": STOP_SWITCH},
                              "data": {"releases": "hold", "by": by}});
            (STOP_SWITCH.to_owned(), stop)
        }));
    }

    /// Somebody decides about the release, as `kubectl annotate` does.
    pub fn decide(&self, decision: Decision, value: &str) {
        if let Some(lease) = self.world().leases.get_mut(&decision_lease("iris")) {
            lease["metadata"]["annotations"][decision.key()] = value.into();
        }
    }

    /// The annotations of the Lease of decisions; none when there is no Lease
    pub fn decisions(&self) -> Option<Vec<(String, String)>> {
        let world = self.world();
        let annotations = &world.leases.get(&decision_lease("iris"))?["metadata"]["annotations"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = annotations.as_object().into_iter().flatten();
        Some(all.map(|(key, value)| (key.clone(), text(value))).collect())
    }

    /// Knative Serving is not installed.
    pub fn without_knative(&self) {
        self.world().without_knative = true;
    }

    /// The autoscaler wants so many pods for the requests that an image gets.
    pub fn load(&self, image: &str, pods: u32) {
        self.world().load.insert(image.into(), pods);
        self.settle();
    }

    /// There is room for so many pods of an image, and no more.
    pub fn limit_pods(&self, image: &str, pods: u32) {
        self.world().room.insert(image.into(), pods);
    }

    /// Annotations of a revision that is there
    pub fn annotations(&self, revision: &str) -> Value {
        let world = self.world();
        world.revisions.get(revision).map_or(Value::Null, |state| state.annotations.clone())
    }

    /// Somebody else edits the service.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        if let Some(service) = &mut self.world().service {
            change(service);
        }
    }

    /// Somebody changes the service in another way than its image, say a variable: Knative makes
    /// another revision of the same image.
    pub fn change_otherwise(&self) {
        self.world().made_from = Template::default();
        self.settle();
    }

    /// A stored service of this image at 100 %, with tag routing.
    pub fn serve(&self, image: &str) {
        let mut world = self.world();
        if let Some(service) = &mut world.service {
            service["spec"]["predictor"]["containers"][0]["image"] = image.into();
        } else {
            world.service = Some(json!({
                "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
                "metadata": {"name": "iris", "namespace": NAMESPACE, "uid": "u1", "annotations": {TAG_ROUTING: "true"}},
                "spec": {"predictor": {"containers": [{"name": CONTAINER, "image": image}]}},
            }));
        }
        world.settle();
    }

    /// The spec asks for an image and a percent, and all is settled.
    pub fn ask(&self, image: &str, percent: Option<i64>) {
        self.edit(|service| {
            let predictor = &mut service["spec"]["predictor"];
            predictor["containers"][0]["image"] = image.into();
            match (percent, predictor.as_object_mut()) {
                (Some(percent), _) => predictor["canaryTrafficPercent"] = percent.into(),
                (None, Some(predictor)) => drop(predictor.remove("canaryTrafficPercent")),
                (None, None) => {}
            }
        });
        self.settle();
    }

    /// All controllers act until nothing moves any more.
    pub fn settle(&self) {
        self.world().settle();
    }

    /// A revision that nothing refers to is collected.
    pub fn collect(&self, revision: &str) {
        self.world().revisions.remove(revision);
    }

    /// The share of the requests that each image gets, in percent, as the route really is.
    pub fn traffic(&self) -> BTreeMap<String, i64> {
        let world = self.world();
        let mut traffic = BTreeMap::new();
        for (_, revision, percent) in world.route.iter().filter(|(_, _, percent)| *percent > 0) {
            let image =
                world.revisions.get(revision).map_or("gone", |revision| revision.image.as_str());
            *traffic.entry(image.to_owned()).or_default() += percent;
        }
        traffic
    }

    /// Image and percent that the spec asks for
    pub fn spec(&self) -> (String, Option<i64>) {
        let world = self.world();
        let spec = world
            .service
            .as_ref()
            .map_or(Value::Null, |service| service["spec"]["predictor"].clone());
        let image = spec["containers"][0]["image"].as_str().unwrap_or_default();
        (image.to_owned(), spec["canaryTrafficPercent"].as_i64())
    }

    /// The model's container as the spec has it
    pub fn container(&self) -> Value {
        let service = self.world().service.clone().unwrap_or_default();
        service["spec"]["predictor"]["containers"][0].clone()
    }

    /// The container that all requests reach, when it is one
    pub fn serving(&self) -> Value {
        let world = self.world();
        let mut names = world.route.iter().filter(|(_, _, percent)| *percent == 100);
        let revision = names.next().and_then(|(_, name, _)| world.revisions.get(name));
        revision.map_or(Value::Null, |revision| revision.container.clone())
    }

    /// Somebody sets the service's logger, null for none: another revision of the same image.
    pub fn set_logger(&self, logger: &Value) {
        self.edit(|service| match service["spec"]["predictor"].as_object_mut() {
            Some(predictor) if logger.is_null() => drop(predictor.remove("logger")),
            _ => service["spec"]["predictor"]["logger"] = logger.clone(),
        });
        self.settle();
    }

    /// The service's logger as the spec has it
    pub fn logger(&self) -> Value {
        let service = self.world().service.clone().unwrap_or_default();
        service["spec"]["predictor"]["logger"].clone()
    }

    /// The address to which the answers of each image with requests are sent; null for nowhere
    pub fn sinks(&self) -> BTreeMap<String, Value> {
        let world = self.world();
        let with_requests = world.route.iter().filter(|(_, _, percent)| *percent > 0);
        let revisions = with_requests.filter_map(|(_, name, _)| world.revisions.get(name));
        let sink = "internal.serving.kserve.io/logger-sink-url";
        revisions.map(|one| (one.image.clone(), one.annotations[sink].clone())).collect()
    }

    /// The mark of the service is lost.
    pub fn lose_mark(&self) {
        self.world().leases.clear();
    }

    /// The Lease of decisions is lost.
    pub fn lose_decisions(&self) {
        self.world().leases.remove(&decision_lease("iris"));
    }

    pub fn service(&self) -> Option<Value> {
        self.world().service.clone()
    }

    /// Every write that was accepted, such as `image c, percent 0`
    pub fn writes(&self) -> Vec<String> {
        self.world().writes.clone()
    }

    pub fn client(&self) -> Client {
        let simulator = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let simulator = simulator.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                let query = head.uri.query().unwrap_or_default();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let Some((code, answer)) =
                    simulator.request(&head.method, head.uri.path(), query, &body)
                else {
                    simulator.killed.notify_one();
                    return std::future::pending().await;
                };
                let response = Response::builder()
                    .status(code)
                    .body(Body::from(answer.to_string().into_bytes()))?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(response)
            }
        });
        Client::new(service, NAMESPACE)
    }

    /// None when the client is killed.
    fn request(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        body: &Value,
    ) -> Option<(StatusCode, Value)> {
        let mut world = self.world();
        world.act();
        if let Some(code) = world.answers.pop_front() {
            return Some(refusal(code, "as scheduled"));
        }
        if *method == Method::GET {
            return Some(world.read(path, query));
        }
        let kill = world.kill_at.filter(|(number, _)| *number == world.writes.len());
        if let Some((_, false)) = kill {
            return None;
        }
        let answer = world.write(method, path, body);
        if kill.is_some() { None } else { Some(answer) }
    }
}
