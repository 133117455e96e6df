//! What is in the cluster, and the five controllers that move it.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::template::Template;
use crate::objects::{CONTAINER, TAG_ROUTING};

pub const NAMESPACE: &str = "models";

const CONTROLLERS: u8 = 5;

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
pub(crate) struct Target {
    /// None: the latest ready one
    pub(crate) revision: Option<String>,
    pub(crate) percent: i64,
    pub(crate) tag: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct RevisionState {
    pub(crate) image: String,
    pub(crate) annotations: Value,
    /// As the spec had it
    pub(crate) container: Value,
    pub(crate) was_ready: bool,
    pub(crate) ready: Option<bool>,
    pub(crate) restarts: i32,
    /// Those that are ready
    pub(crate) pods: u32,
}

impl RevisionState {
    fn minimum(&self) -> u32 {
        let minimum = self.annotations["autoscaling.knative.dev/min-scale"].as_str();
        minimum.and_then(|minimum| minimum.parse().ok()).unwrap_or(0)
    }
}

/// What the Knative Service's status says, copied late.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reported {
    pub(crate) created: String,
    pub(crate) ready: String,
    pub(crate) traffic: Vec<(Option<String>, String, i64)>,
    pub(crate) route_is_ready: bool,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) service: Option<Value>,
    pub(crate) leases: BTreeMap<String, Value>,
    pub(crate) config_maps: BTreeMap<String, Value>,
    pub(crate) behaviours: BTreeMap<String, Behaviour>,
    /// Pods that the autoscaler wants for the requests of an image; else one
    pub(crate) load: BTreeMap<String, u32>,
    /// For how many pods of an image there is room
    pub(crate) room: BTreeMap<String, u32>,
    pub(crate) template: Template,
    /// What the latest revision was made from
    pub(crate) made_from: Template,
    pub(crate) runs: Vec<Value>,
    /// Of runs, by the name of the run
    pub(crate) run_pods: BTreeMap<String, Value>,
    pub(crate) targets: Vec<Target>,
    pub(crate) revisions: BTreeMap<String, RevisionState>,
    pub(crate) created: String,
    pub(crate) ready: String,
    /// (tag, revision, percent); the tag `latest` also says that it follows the latest one
    pub(crate) route: Vec<(Option<String>, String, i64)>,
    pub(crate) route_is_ready: bool,
    pub(crate) reported: Reported,
    pub(crate) schedule: VecDeque<u8>,
    pub(crate) turn: u8,
    pub(crate) version: u64,
    pub(crate) writes: Vec<String>,
    pub(crate) kill_at: Option<(usize, bool)>,
    pub(crate) answers: VecDeque<u16>,
    pub(crate) forbidden: Vec<&'static str>,
    pub(crate) unreadable: Vec<&'static str>,
    pub(crate) without_knative: bool,
}

/// What KServe writes as the traffic of the Knative Service.
fn targets(service: &Value, rolled_out: &str) -> Vec<Target> {
    let is_tagged = service["metadata"]["annotations"][TAG_ROUTING] == "true";
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

impl World {
    pub(crate) fn settle(&mut self) {
        for _ in 0..10 {
            (0..CONTROLLERS).for_each(|controller| self.step(controller));
        }
    }

    pub(crate) fn act(&mut self) {
        let controller = self.schedule.pop_front().unwrap_or_else(|| {
            self.turn = (self.turn + 1) % CONTROLLERS;
            self.turn
        });
        self.step(controller % CONTROLLERS);
    }

    pub(crate) fn step(&mut self, controller: u8) {
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
    pub(crate) fn kserve(&mut self) {
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
            self.template = Template::of(predictor);
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

    /// The revisions rolled out last and before that, as the traffic shows a promotion or a rollback.
    pub(crate) fn recorded(
        &self,
        mut rolled_out: String,
        mut previous: String,
    ) -> (String, String) {
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

    pub(crate) fn conditions(&self) -> Vec<Value> {
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

    pub(crate) fn configuration(&mut self) {
        let is_new = self.template != self.made_from;
        // One that was deleted while it was the latest is made again under its name.
        let container = &self.template.container;
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
                annotations: self.template.annotations(service.unwrap_or(&Value::Null)),
                was_ready: false,
                ready: None,
                restarts: 0,
                pods: 0,
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

    pub(crate) fn kubelet(&mut self) {
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
            let load = self.load.get(&revision.image).copied().unwrap_or(1);
            let wanted = load.max(revision.minimum());
            let is_good = behaviour == Behaviour::Good;
            let room = self.room.get(&revision.image).copied().unwrap_or(wanted);
            revision.pods = if is_good { wanted.min(room) } else { 0 };
        }
    }

    /// The route of Knative moves only when every target is ready.
    pub(crate) fn router(&mut self) {
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

    pub(crate) fn pod(&self, name: &str) -> Option<Value> {
        let revision = self.revisions.get(name)?;
        if revision.ready == Some(true) {
            let message = "0/1 nodes are available: 1 Insufficient cpu.";
            let unscheduled = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
            return (revision.pods < revision.minimum()).then(
                || json!({"metadata": {"name": name}, "status": {"conditions": [unscheduled]}}),
            );
        }
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

    pub(crate) fn behaviour(&self, image: &str) -> Behaviour {
        self.behaviours.get(image).copied().unwrap_or(Behaviour::Good)
    }

    pub(crate) fn revision(&self, name: &str, state: &RevisionState) -> Value {
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
            "status": {"conditions": conditions, "desiredReplicas": state.pods.max(state.minimum()), "actualReplicas": state.pods},
        })
    }
}
