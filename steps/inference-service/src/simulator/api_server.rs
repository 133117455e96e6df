//! What the API server answers, and what a write does.

use http::{Method, StatusCode};
use json_patch::{Patch, PatchOperation};
use serde_json::{Value, json};

use super::world::World;

impl World {
    pub(crate) fn read(&mut self, path: &str, query: &str) -> (StatusCode, Value) {
        if self.unreadable.iter().any(|resource| path.contains(resource)) {
            return refusal(403, "is forbidden");
        }
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
        } else if path.contains("/pipelineruns/") {
            self.runs.iter().find(|run| run["metadata"]["name"] == *name).cloned()
        } else if path.contains("/leases/") {
            self.leases.get(name).cloned()
        } else if path.contains("/configmaps/") {
            self.config_maps.get(name).cloned()
        } else if path.ends_with("/events") {
            Some(json!({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": []}))
        } else if let Some((_, run)) = query.rsplit_once("tekton.dev%2FpipelineRun%3D") {
            let items: Vec<&Value> = self.run_pods.get(run).into_iter().collect();
            Some(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
        } else {
            let revision = query.rsplit("revisionUID%3D").next().unwrap_or_default();
            let items: Vec<Value> = self.pod(revision).into_iter().collect();
            Some(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
        };
        found.map_or_else(|| refusal(404, "not found"), |found| (StatusCode::OK, found))
    }

    pub(crate) fn write(
        &mut self,
        method: &Method,
        path: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        if self.forbidden.iter().any(|resource| path.contains(resource)) {
            return refusal(403, "is forbidden");
        }
        self.version += 1;
        if path.contains("/revisions/") && *method == Method::PATCH {
            self.scale(path.rsplit('/').next().unwrap_or_default(), body)
        } else if path.contains("/revisions/") {
            let name = path.rsplit('/').next().unwrap_or_default();
            self.writes.push(format!("delete {name}"));
            match self.revisions.remove(name) {
                Some(gone) => (StatusCode::OK, self.revision(name, &gone)),
                None => refusal(404, "not found"),
            }
        } else if path.contains("/leases") {
            self.write_lease(method, body)
        } else if path.contains("/pipelineruns/") {
            self.write_run(path.rsplit('/').next().unwrap_or_default(), body)
        } else {
            self.write_service(method, body)
        }
    }

    /// Somebody patches the annotations of a revision; its spec cannot be changed.
    pub(crate) fn scale(&mut self, name: &str, body: &Value) -> (StatusCode, Value) {
        let Some(state) = self.revisions.get(name) else { return refusal(404, "not found") };
        let mut object = self.revision(name, state);
        let patched = serde_json::from_value(body.clone())
            .map_err(|error| error.to_string())
            .and_then(|patch| apply(&mut object, &patch));
        if let Err(message) = patched {
            return refusal(422, &message);
        }
        let annotations = object["metadata"]["annotations"].clone();
        let minimum = annotations["autoscaling.knative.dev/min-scale"].as_str().unwrap_or("none");
        self.writes.push(format!("minimum of {name}: {minimum}"));
        if let Some(state) = self.revisions.get_mut(name) {
            state.annotations = annotations;
        }
        (StatusCode::OK, object)
    }

    pub(crate) fn write_lease(&mut self, method: &Method, body: &Value) -> (StatusCode, Value) {
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut lease = self.leases.get(&name).cloned();
        let wanted = &body["metadata"]["resourceVersion"];
        let same_version = lease.as_ref().is_some_and(|lease| {
            wanted.is_null() || lease["metadata"]["resourceVersion"] == *wanted
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
        self.writes.push(if name.ends_with("-canary-decision") {
            let keys = lease["metadata"]["annotations"].as_object();
            let keys = keys.into_iter().flat_map(|keys| keys.keys().map(String::as_str));
            format!("decisions {}", keys.collect::<Vec<_>>().join(" "))
        } else {
            format!("mark {}", lease["spec"]["holderIdentity"].as_str().unwrap_or_default())
        });
        self.leases.insert(name, lease.clone());
        (StatusCode::OK, lease)
    }

    /// Tekton ends a run that is cancelled at once.
    fn write_run(&mut self, name: &str, body: &Value) -> (StatusCode, Value) {
        let Some(run) = self.runs.iter_mut().find(|run| run["metadata"]["name"] == *name) else {
            return refusal(404, "not found");
        };
        if body["metadata"]["uid"] != run["metadata"]["uid"] {
            return refusal(409, "the UID in the precondition does not match");
        }
        json_patch::merge(run, body);
        let requested = run["spec"]["status"].as_str().unwrap_or_default();
        self.writes.push(format!("run {name}: {requested}"));
        if requested == "Cancelled" {
            run["status"] = json!({"conditions": [{"type": "Succeeded", "status": "False", "reason": "Cancelled"}]});
        }
        (StatusCode::OK, run.clone())
    }

    pub(crate) fn write_service(&mut self, method: &Method, body: &Value) -> (StatusCode, Value) {
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
}

pub(crate) fn refusal(code: u16, message: &str) -> (StatusCode, Value) {
    let reason = if code == 404 { "NotFound" } else { "" };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": reason});
    (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), status)
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
