//! The service of a first release.

use inference_service::{CONTAINER, Change, DEPLOYMENT_MODE, KNATIVE, TAG_ROUTING};
use serde_json::{Value, json};

/// What a first release needs to know of the container. Later releases keep what is there.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "First release (ignored when the service exists)")]
pub(crate) struct FirstRelease {
    /// Port that the model listens on
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Path that answers 200 once the model is loaded
    #[arg(long, value_name = "PATH", default_value = "/readyz")]
    readiness_path: String,
    /// Numeric user; 1034 is the user `bentoml` of a bento's image
    #[arg(long, value_name = "UID", default_value_t = 1034)]
    run_as_user: u32,
    /// Pods that always run; 0 lets an idle service go to none
    #[arg(long, value_name = "PODS", default_value_t = 1)]
    min_replicas: u32,
    /// CPU that a pod is given, such as 500m
    #[arg(long, default_value = "100m")]
    cpu: String,
    /// Memory that a pod is given and may not exceed, such as 2Gi
    #[arg(long, default_value = "512Mi")]
    memory: String,
    /// Environment variable of the container; give it once for each
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some(("PORT", _)) => Err("Knative sets PORT itself; use --port"),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE"),
    }
}

impl FirstRelease {
    /// Passes the *restricted* pod security standard. The root file system stays writable, because
    /// `BentoML` keeps its metrics there.
    pub(crate) fn service(&self, namespace: &str, name: &str, change: &Change) -> Value {
        let Self { port, readiness_path, run_as_user, min_replicas, cpu, memory, env } = self;
        let Change { image, annotations, .. } = change;
        let mut annotations = annotations.clone();
        // From the start, because adding it later makes another revision.
        annotations.insert(TAG_ROUTING.into(), Some("true".into()));
        annotations.insert(DEPLOYMENT_MODE.into(), Some(KNATIVE.into()));
        let env: Vec<Value> =
            env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "annotations": annotations,
            },
            "spec": {"predictor": {
                "minReplicas": min_replicas,
                "containers": [{
                    "name": CONTAINER,
                    "image": image,
                    "env": env,
                    "ports": [{"containerPort": port}],
                    "readinessProbe": {
                        "httpGet": {"path": readiness_path},
                        "periodSeconds": 5,
                        "timeoutSeconds": 2,
                        "failureThreshold": 6,
                    },
                    "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": run_as_user,
                        "allowPrivilegeEscalation": false,
                        "capabilities": {"drop": ["ALL"]},
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }],
            }},
        })
    }
}
