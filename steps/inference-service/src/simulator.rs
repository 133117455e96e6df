//! KServe and Knative as far as a canary meets them, behind a [`Client`], for tests.
//!
//! Its rules are those of KServe 0.20 and Knative Serving 1.21: how traffic is written, when a
//! promotion or a rollback is read into the status, and a route that is stuck while any target is
//! not ready. Five controllers each act on what they last saw; every request lets some of them
//! act, in turn or as [`Simulator::schedule`] says, so that updates come late, repeated and in any order.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{Method, Request, Response, StatusCode};
use json_patch::{Patch, PatchOperation};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::CONTAINER;

pub const NAMESPACE: &str = "models";

/// What a container made from an image does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Good,
    /// Runs, and its readiness probe never passes
    NeverReady,
    /// Exits at once, again and again
    Exits,
    /// Cannot be pulled
    Missing,
    /// Was ready; exits again and again
    Crashed,
    /// KServe is denied what it hands on of it, in these words
    Denied(&'static str),
    /// Its pods are refused, in these words
    Refused(&'static str),
}

#[derive(Clone, Debug)]
struct Target {
    /// None: the latest ready one
    revision: Option<String>,
    percent: i64,
    tag: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct RevisionState {
    image: String,
    annotations: Value,
    /// As the spec had it
    container: Value,
    was_ready: bool,
    ready: Option<bool>,
    restarts: i32,
}

/// What the Knative Service's status says, copied late.
#[derive(Clone, Debug, Default)]
struct Reported {
    created: String,
    ready: String,
    traffic: Vec<(Option<String>, String, i64)>,
    route_is_ready: bool,
}

#[derive(Default)]
struct World {
    service: Option<Value>,
    leases: BTreeMap<String, Value>,
    behaviours: BTreeMap<String, Behaviour>,
    /// The model's container, and what its pods pull with
    template: (Value, Value),
    /// What the latest revision was made from
    made_from: (Value, Value),
    runs: Vec<Value>,
    targets: Vec<Target>,
    revisions: BTreeMap<String, RevisionState>,
    created: String,
    ready: String,
    /// (tag, revision, percent); the tag `latest` also says that it follows the latest one
    route: Vec<(Option<String>, String, i64)>,
    route_is_ready: bool,
    reported: Reported,
    schedule: VecDeque<u8>,
    turn: u8,
    version: u64,
    writes: Vec<String>,
    kill_at: Option<(usize, bool)>,
    answers: VecDeque<u16>,
    forbidden: Vec<&'static str>,
    without_knative: bool,
}

#[derive(Clone, Default)]
pub struct Simulator {
    world: Arc<Mutex<World>>,
    killed: Arc<Notify>,
}

const CONTROLLERS: u8 = 5;

impl Simulator {
    #[must_use]
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

    /// Runs a story to its end, or until it is killed: then none.
    pub async fn until_killed<T>(&self, story: impl Future<Output = T>) -> Option<T> {
        let ended = tokio::select! {
            ended = story => Some(ended),
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

    /// Names of the revisions that there are
    #[must_use]
    pub fn revisions(&self) -> Vec<String> {
        self.world().revisions.keys().cloned().collect()
    }

    /// From now on, writes of this resource, such as `leases`, are forbidden.
    pub fn forbid(&self, resource: &'static str) {
        self.world().forbidden.push(resource);
    }

    /// Knative Serving is not installed.
    pub fn without_knative(&self) {
        self.world().without_knative = true;
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
        self.world().made_from = <(Value, Value)>::default();
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
                "metadata": {"name": "iris", "namespace": NAMESPACE, "uid": "u1", "annotations": {crate::TAG_ROUTING: "true"}},
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

    /// The requests that an image's users get, in percent, as the route really is.
    #[must_use]
    pub fn users(&self) -> BTreeMap<String, i64> {
        let world = self.world();
        let mut users = BTreeMap::new();
        for (_, revision, percent) in world.route.iter().filter(|(_, _, percent)| *percent > 0) {
            let image =
                world.revisions.get(revision).map_or("gone", |revision| revision.image.as_str());
            *users.entry(image.to_owned()).or_default() += percent;
        }
        users
    }

    /// Image and percent that the spec asks for
    #[must_use]
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
    #[must_use]
    pub fn container(&self) -> Value {
        let service = self.world().service.clone().unwrap_or_default();
        service["spec"]["predictor"]["containers"][0].clone()
    }

    /// The container that the users' requests reach, when it is one
    #[must_use]
    pub fn serving(&self) -> Value {
        let world = self.world();
        let mut names = world.route.iter().filter(|(_, _, percent)| *percent == 100);
        let revision = names.next().and_then(|(_, name, _)| world.revisions.get(name));
        revision.map_or(Value::Null, |revision| revision.container.clone())
    }

    /// The mark of the service is lost.
    pub fn lose_mark(&self) {
        self.world().leases.clear();
    }

    #[must_use]
    pub fn service(&self) -> Option<Value> {
        self.world().service.clone()
    }

    /// Every write that was accepted, such as `image c, percent 0`
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        self.world().writes.clone()
    }

    #[must_use]
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

fn refusal(code: u16, message: &str) -> (StatusCode, Value) {
    let reason = if code == 404 { "NotFound" } else { "" };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": reason});
    (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), status)
}

/// What KServe writes as the traffic of the Knative Service.
fn targets(service: &Value, rolled_out: &str) -> Vec<Target> {
    let is_tagged = service["metadata"]["annotations"][crate::TAG_ROUTING] == "true";
    let tag = is_tagged.then_some("latest");
    let latest = |percent| Target { revision: None, percent, tag };
    match service["spec"]["predictor"]["canaryTrafficPercent"].as_i64() {
        Some(percent) if !rolled_out.is_empty() => {
            let rest = Target {
                revision: Some(rolled_out.to_owned()),
                percent: 100 - percent,
                tag: Some("prev"),
            };
            [latest(percent)].into_iter().chain((percent < 100).then_some(rest)).collect()
        }
        _ => vec![latest(100)],
    }
}

/// Applies a JSON Patch as the API server does: a `test` of null passes when the field is absent.
pub(crate) fn apply(object: &mut Value, patch: &Patch) -> Result<(), String> {
    let mut changed = object.clone();
    for operation in &patch.0 {
        if let PatchOperation::Test(test) = operation
            && test.value.is_null()
            && changed.pointer(test.path.as_str()).is_none()
        {
            continue;
        }
        json_patch::patch(&mut changed, std::slice::from_ref(operation))
            .map_err(|error| format!("testing value {} failed: {error}", error.path))?;
    }
    *object = changed;
    Ok(())
}

impl World {
    fn read(&mut self, path: &str, query: &str) -> (StatusCode, Value) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let found = if path.contains("/inferenceservices/") {
            self.service.clone()
        } else if path.ends_with("/inferenceservices") {
            let items: Vec<Value> = self.service.clone().into_iter().collect();
            Some(
                json!({"kind": "InferenceServiceList", "apiVersion": "v1", "metadata": {}, "items": items}),
            )
        } else if path.ends_with("/revisions") && self.without_knative {
            None
        } else if path.ends_with("/revisions") {
            let items: Vec<Value> =
                self.revisions.iter().map(|(name, state)| self.revision(name, state)).collect();
            Some(
                json!({"kind": "RevisionList", "apiVersion": "v1", "metadata": {}, "items": items}),
            )
        } else if path.ends_with("/pipelineruns") || path.ends_with("/taskruns") {
            let items: Vec<&Value> = self
                .runs
                .iter()
                .filter(|run| {
                    run["kind"]
                        .as_str()
                        .is_some_and(|kind| format!("{}s", kind.to_lowercase()) == name)
                })
                .collect();
            Some(json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))
        } else if path.contains("/leases/") {
            self.leases.get(name).cloned()
        } else if path.ends_with("/events") {
            Some(json!({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": []}))
        } else {
            let revision = query.rsplit("revisionUID%3D").next().unwrap_or_default();
            let items: Vec<Value> = self.pod(revision).into_iter().collect();
            Some(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
        };
        found.map_or_else(|| refusal(404, "not found"), |found| (StatusCode::OK, found))
    }

    fn write(&mut self, method: &Method, path: &str, body: &Value) -> (StatusCode, Value) {
        if self.forbidden.iter().any(|resource| path.contains(resource)) {
            return refusal(403, "is forbidden");
        }
        self.version += 1;
        if path.contains("/revisions/") {
            let name = path.rsplit('/').next().unwrap_or_default();
            self.writes.push(format!("delete {name}"));
            match self.revisions.remove(name) {
                Some(gone) => (StatusCode::OK, self.revision(name, &gone)),
                None => refusal(404, "not found"),
            }
        } else if path.contains("/leases") {
            self.write_lease(method, body)
        } else {
            self.write_service(method, body)
        }
    }

    fn write_lease(&mut self, method: &Method, body: &Value) -> (StatusCode, Value) {
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut lease = self.leases.get(&name).cloned();
        let same_version = lease.as_ref().is_some_and(|lease| {
            lease["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"]
        });
        match (&mut lease, *method == Method::POST) {
            (Some(_), true) => return refusal(409, "already exists"),
            (None, false) => return refusal(404, "not found"),
            (Some(_), false) if !same_version => {
                return refusal(409, "the object has been modified");
            }
            (Some(lease), false) => json_patch::merge(lease, body),
            (None, true) => lease = Some(body.clone()),
        }
        let mut lease = lease.unwrap_or_default();
        lease["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.writes
            .push(format!("mark {}", lease["spec"]["holderIdentity"].as_str().unwrap_or_default()));
        self.leases.insert(name, lease.clone());
        (StatusCode::OK, lease)
    }

    fn write_service(&mut self, method: &Method, body: &Value) -> (StatusCode, Value) {
        let mut service = self.service.clone().unwrap_or_default();
        if *method == Method::POST {
            if self.service.is_some() {
                return refusal(409, "already exists");
            }
            service = body.clone();
            service["metadata"]["uid"] = format!("u{}", self.version).into();
        } else if let Err(message) = serde_json::from_value(body.clone())
            .map_err(|error| error.to_string())
            .and_then(|patch| apply(&mut service, &patch))
        {
            return refusal(422, &message);
        }
        let predictor = &service["spec"]["predictor"];
        let image = predictor["containers"][0]["image"].as_str().unwrap_or_default();
        let percent = predictor["canaryTrafficPercent"]
            .as_i64()
            .map_or("no percent".into(), |percent| format!("percent {percent}"));
        self.writes.push(format!("image {image}, {percent}"));
        self.service = Some(service.clone());
        (StatusCode::OK, service)
    }

    fn settle(&mut self) {
        for _ in 0..10 {
            (0..CONTROLLERS).for_each(|controller| self.step(controller));
        }
    }

    fn act(&mut self) {
        let controller = self.schedule.pop_front().unwrap_or_else(|| {
            self.turn = (self.turn + 1) % CONTROLLERS;
            self.turn
        });
        self.step(controller % CONTROLLERS);
    }

    fn step(&mut self, controller: u8) {
        if self.service.is_none() {
            return;
        }
        match controller {
            0 => self.kserve(),
            1 => self.configuration(),
            2 => self.kubelet(),
            3 => self.router(),
            _ => {
                self.reported = Reported {
                    created: self.created.clone(),
                    ready: self.ready.clone(),
                    traffic: self.route.clone(),
                    route_is_ready: self.route_is_ready,
                };
            }
        }
    }

    /// `ksvc_reconciler.go` and `PropagateStatus` of KServe.
    fn kserve(&mut self) {
        let service = self.service.clone().unwrap_or_default();
        let predictor = &service["spec"]["predictor"];
        let old = &service["status"]["components"]["predictor"];
        let text = |field: &str| old[field].as_str().unwrap_or_default().to_owned();
        let rolled_out = text("latestRolledoutRevision");

        let image = predictor["containers"][0]["image"].as_str().unwrap_or_default().to_owned();
        let denied = match self.behaviour(&image) {
            Behaviour::Denied(message) => Some(message),
            _ => None,
        };
        // Template and traffic go in one update.
        if denied.is_none() {
            self.targets = targets(&service, &rolled_out);
            self.template =
                (predictor["containers"][0].clone(), predictor["imagePullSecrets"].clone());
        }

        let (rolled_out, previous) =
            self.recorded(text("latestRolledoutRevision"), text("previousRolledoutRevision"));
        let Reported { created, ready, traffic, .. } = self.reported.clone();
        let traffic = traffic.iter().map(|(tag, revision, percent)| {
            let url = tag.as_ref().map(|tag| format!("http://{tag}-iris-predictor.{NAMESPACE}.example.test"));
            json!({"revisionName": revision, "percent": percent, "tag": tag.clone().unwrap_or_default(),
                "latestRevision": tag.as_deref() != Some("prev"), "url": url.unwrap_or_default()})
        });
        let mut conditions = self.conditions();
        conditions.extend(denied.map(|message| json!({"type": "PredictorReady", "status": "False", "reason": "ReconcileFailed", "message": message})));
        let status = json!({
            "deploymentMode": "Knative",
            "components": {"predictor": {
                "latestCreatedRevision": created, "latestReadyRevision": ready, "latestRolledoutRevision": rolled_out,
                "previousRolledoutRevision": previous, "traffic": traffic.collect::<Vec<_>>(),
            }},
            "conditions": conditions,
        });
        if let Some(service) = &mut self.service {
            service["status"] = status;
        }
    }

    /// The revisions rolled out last and before that, as the traffic tells of a promotion or a rollback.
    fn recorded(&self, mut rolled_out: String, mut previous: String) -> (String, String) {
        let Reported { created, ready, traffic, .. } = &self.reported;
        let sum: i64 = traffic
            .iter()
            .filter(|(_, revision, _)| revision == ready)
            .map(|(_, _, percent)| percent)
            .sum();
        for (_, _, percent) in traffic
            .iter()
            .filter(|(tag, revision, _)| tag.as_deref() != Some("prev") && revision == ready)
        {
            if rolled_out != *ready {
                if *percent == 100 {
                    previous = std::mem::replace(&mut rolled_out, ready.clone());
                }
            } else if ready == created && *percent < 100 && sum == 100 && !previous.is_empty() {
                rolled_out.clone_from(&previous);
            }
        }
        (rolled_out, previous)
    }

    fn conditions(&self) -> Vec<Value> {
        let created = self.revisions.get(&self.reported.created);
        let (configuration, failed) = match created.and_then(|revision| revision.ready) {
            Some(true) => ("True", ""),
            Some(false) => ("False", "RevisionFailed"),
            None => ("Unknown", ""),
        };
        let (route, stuck) =
            if self.reported.route_is_ready { ("True", "") } else { ("False", "RevisionMissing") };
        let all = if configuration == "True" { route } else { configuration };
        vec![
            json!({"type": "PredictorConfigurationReady", "status": configuration, "reason": failed}),
            json!({"type": "PredictorRouteReady", "status": route, "reason": stuck}),
            json!({"type": "Ready", "status": all}),
        ]
    }

    fn configuration(&mut self) {
        let is_new = self.template != self.made_from;
        // One that was deleted while it was the latest is made again under its name.
        let (container, _) = &self.template;
        if !container.is_null() && (is_new || !self.revisions.contains_key(&self.created)) {
            let number = self
                .created
                .rsplit('-')
                .next()
                .and_then(|number| number.parse::<u32>().ok())
                .unwrap_or(0);
            self.created = format!("iris-predictor-{:05}", number + u32::from(is_new));
            self.made_from.clone_from(&self.template);
            let service = self.service.as_ref().map(|service| &service["metadata"]["annotations"]);
            let fresh = RevisionState {
                image: container["image"].as_str().unwrap_or_default().to_owned(),
                container: container.clone(),
                annotations: service.cloned().unwrap_or_default(),
                was_ready: false,
                ready: None,
                restarts: 0,
            };
            self.revisions.insert(self.created.clone(), fresh);
        }
        // It only moves forward, and a revision that fails later does not move it back; only when it
        // is gone is the newest one taken that is ready now.
        let is_gone = !self.revisions.contains_key(&self.ready);
        let newest_ready = self
            .revisions
            .iter()
            .rev()
            .find(
                |(_, revision)| {
                    if is_gone { revision.ready == Some(true) } else { revision.was_ready }
                },
            )
            .map(|(name, _)| name.clone());
        if let Some(name) = newest_ready.filter(|name| is_gone || *name > self.ready) {
            self.ready = name;
        }
    }

    fn kubelet(&mut self) {
        let behaviours = &self.behaviours;
        for revision in self.revisions.values_mut() {
            let behaviour = behaviours.get(&revision.image).copied().unwrap_or(Behaviour::Good);
            revision.ready = match behaviour {
                Behaviour::Good => Some(true),
                Behaviour::NeverReady | Behaviour::Missing | Behaviour::Denied(_) => None,
                Behaviour::Refused(_) => Some(false),
                Behaviour::Exits | Behaviour::Crashed => {
                    revision.restarts += 1;
                    Some(false)
                }
            };
            revision.was_ready |= behaviour == Behaviour::Good;
        }
    }

    /// The route of Knative moves only when every target is ready.
    fn router(&mut self) {
        let resolved: Option<Vec<_>> = self
            .targets
            .iter()
            .map(|target| {
                let name = target.revision.clone().unwrap_or_else(|| self.ready.clone());
                let ready = self.revisions.get(&name)?.ready == Some(true);
                ready.then(|| (target.tag.map(String::from), name, target.percent))
            })
            .collect();
        self.route_is_ready = resolved.as_ref().is_some_and(|resolved| !resolved.is_empty());
        if let Some(resolved) = resolved {
            self.route = resolved;
        }
    }

    fn pod(&self, name: &str) -> Option<Value> {
        let revision = self.revisions.get(name)?;
        let ended = json!({"terminated": {"exitCode": 1, "message": "no such file: model.pkl"}});
        let state = match self.behaviour(&revision.image) {
            Behaviour::Denied(_) | Behaviour::Refused(_) => return None,
            // The probe is the queue-proxy's.
            Behaviour::Good | Behaviour::NeverReady => {
                json!({"state": {"running": {}}, "ready": true})
            }
            Behaviour::Missing => {
                json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}})
            }
            Behaviour::Exits | Behaviour::Crashed => {
                json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended, "restartCount": revision.restarts})
            }
        };
        let mut status = json!({"name": CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0});
        json_patch::merge(&mut status, &state);
        let queue_proxy = json!({"name": "queue-proxy", "image": "", "imageID": "", "ready": false, "restartCount": 0});
        Some(
            json!({"metadata": {"name": name}, "status": {"containerStatuses": [queue_proxy, status]}}),
        )
    }

    fn behaviour(&self, image: &str) -> Behaviour {
        self.behaviours.get(image).copied().unwrap_or(Behaviour::Good)
    }

    fn revision(&self, name: &str, state: &RevisionState) -> Value {
        let ready = match state.ready {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let mut conditions = vec![json!({"type": "Ready", "status": ready})];
        if let Behaviour::Refused(message) = self.behaviour(&state.image) {
            conditions.push(
                json!({"type": "ResourcesAvailable", "status": "False", "reason": "FailedCreate", "message": message}),
            );
        }
        // A revision has what the spec leaves out.
        let mut container = json!({"resources": {}, "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}}});
        json_patch::merge(&mut container, &state.container);
        let added = json!({"name": "INFERENCE_SERVICE_NAME", "value": "iris"});
        match &mut container["env"] {
            Value::Array(variables) => variables.push(added),
            variables => *variables = json!([added]),
        }
        json!({
            "apiVersion": "serving.knative.dev/v1", "kind": "Revision",
            "metadata": {"name": name, "uid": name, "annotations": state.annotations},
            "spec": {"containers": [container]},
            "status": {"conditions": conditions},
        })
    }
}
