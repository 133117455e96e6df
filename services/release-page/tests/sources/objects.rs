//! Objects of a cluster, as the API server has them.

use serde_json::{Value, json};

pub(crate) const NAMESPACE: &str = "models";

fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}"), "creationTimestamp": "2026-11-24T06:00:00Z"})
}

pub(crate) fn image(version: &str) -> String {
    format!("registry/iris@sha256:{}", version.repeat(32))
}

/// The InferenceService `name` at these parts of the requests: revision, percent and tag
pub(crate) fn service(
    name: &str,
    percent: Option<u8>,
    version: &str,
    traffic: &[(&str, u8, &str)],
) -> Value {
    let traffic: Vec<_> = traffic
        .iter()
        .map(|(revision, percent, tag)| {
            json!({"revisionName": revision, "percent": percent, "tag": tag, "latestRevision": *tag == "latest"})
        })
        .collect();
    let (latest, rolled_out) = (&traffic[0], traffic.last().unwrap());
    json!({
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata(name),
        "spec": {"predictor": {
            "canaryTrafficPercent": percent,
            "containers": [{"name": "kserve-container", "image": image(version), "ports": [{"containerPort": 3000}]}],
        }},
        "status": {
            "url": format!("http://{name}.example.test"),
            "conditions": [{"type": "Ready", "status": "True"}],
            "components": {"predictor": {
                "latestCreatedRevision": latest["revisionName"], "latestReadyRevision": latest["revisionName"],
                "latestRolledoutRevision": rolled_out["revisionName"], "traffic": traffic,
            }},
        },
    })
}

pub(crate) fn revision(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "serving.knative.dev/v1", "kind": "Revision", "metadata": metadata(name),
        "spec": {"containers": [{"name": "kserve-container", "image": image(version)}]},
    })
}

/// A Lease beside a service, which owns it
pub(crate) fn lease(name: &str, service: &str, holder: &str, annotations: &Value) -> Value {
    let mut metadata = metadata(name);
    metadata["annotations"] = annotations.clone();
    metadata["ownerReferences"] = json!([{
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": service, "uid": format!("uid-{service}"),
    }]);
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {"holderIdentity": holder},
    })
}

pub(crate) fn stop_switch(by: &str) -> Value {
    let data = json!({"by": by});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("canary-stop"), "data": data})
}

fn condition(succeeded: &str) -> Value {
    let reason = if succeeded == "Unknown" { "Running" } else { "Completed" };
    json!([{"type": "Succeeded", "status": succeeded, "reason": reason, "message": ""}])
}

/// A PipelineRun `canary-release` of a version of the service `iris`; `succeeded` as in its condition
pub(crate) fn release_run(name: &str, version: &str, succeeded: &str) -> Value {
    let mut metadata = metadata(name);
    metadata["labels"] = json!({
        "tekton.dev/pipeline": "canary-release", "kanaria.dev/correlation-id": format!("c-{version}"),
    });
    let params = json!([
        {"name": "service", "value": "iris"}, {"name": "version", "value": version}, {"name": "ladder", "value": "10,100"},
        {"name": "image", "value": "registry/iris"}, {"name": "bento", "value": format!("iris:{version}")},
    ]);
    let mut status =
        json!({"conditions": condition(succeeded), "startTime": "2026-11-24T06:00:01Z"});
    if succeeded != "Unknown" {
        status["completionTime"] = "2026-11-24T06:05:00Z".into();
    }
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": metadata, "spec": {"params": params}, "status": status,
    })
}

/// The TaskRun of one of its tasks, with these results
pub(crate) fn task_run(run: &str, task: &str, succeeded: &str, results: &[(&str, &str)]) -> Value {
    let mut metadata = metadata(&format!("{run}-{task}"));
    metadata["labels"] = json!({
        "tekton.dev/pipeline": "canary-release", "tekton.dev/pipelineRun": run, "tekton.dev/pipelineTask": task,
    });
    let results: Vec<_> = results
        .iter()
        .map(|(name, value)| json!({"name": name, "type": "string", "value": value}))
        .collect();
    let mut status = json!({"conditions": condition(succeeded), "startTime": "2026-11-24T06:00:02Z", "results": results});
    if succeeded != "Unknown" {
        status["completionTime"] = "2026-11-24T06:01:00Z".into();
    }
    json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": metadata, "spec": {}, "status": status})
}
