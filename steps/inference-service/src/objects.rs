//! The fields that matter of an `InferenceService` and of a Knative revision.
//!
//! Everything has a default, so that an object of a cluster that stores less is read and not refused.

use kube::core::{ApiResource, GroupVersionKind, Object};
use model_container::Fields;
use serde::Deserialize;
use serde_json::Value;

/// The name under which `managedFields` shows our changes
pub(crate) const FIELD_MANAGER: &str = "kanaria.dev/canary";

/// The container that carries the model. KServe gives a single container this name.
pub const CONTAINER: &str = "kserve-container";

/// The one that KServe's webhook adds to the pods of a service with a logger, and to no revision.
pub(crate) const AGENT: &str = "agent";

/// Gives the routes `latest` and `prev` addresses of their own.
pub const TAG_ROUTING: &str = "serving.kserve.io/enable-tag-routing";

/// The only mode in which `KServe` splits requests, whatever its default is.
pub const DEPLOYMENT_MODE: &str = "serving.kserve.io/deploymentMode";

/// `Knative` by the name that every release of `KServe` takes. Newer ones write `Knative` instead; older
/// ones do not know that name, fall back to their default, and then refuse every change of the service.
pub const KNATIVE: &str = "Serverless";

/// A version has no logger only because its answers could not be counted when it was released: the next one may
/// have one.
pub const LOGGER_PENDING: &str = "kanaria.dev/logger-pending";

/// How long Knative waits for a revision to become ready, as a duration of Go.
pub const PROGRESS_DEADLINE: &str = "serving.knative.dev/progress-deadline";

/// A tag's host is `latest-NAME-predictor.…`, and a DNS label has at most 63 characters.
pub const LONGEST_NAME: usize = 46;

pub type InferenceService = Object<Spec, Status>;
pub type Revision = Object<RevisionSpec, RevisionStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    pub predictor: Predictor,
    pub transformer: Option<Value>,
    pub explainer: Option<Value>,
    /// The other canary mechanism, of Standard mode
    pub canary: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Predictor {
    pub containers: Vec<Container>,
    pub canary_traffic_percent: Option<i64>,
    pub image_pull_secrets: Option<Vec<Value>>,
    pub logger: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    pub name: String,
    pub image: String,
    #[serde(flatten)]
    pub fields: Fields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    pub deployment_mode: String,
    pub url: String,
    pub conditions: Vec<Condition>,
    pub components: Components,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Components {
    pub predictor: Component,
}

/// KServe's own record of revisions, and a copy of the route's traffic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Component {
    pub latest_created_revision: String,
    pub latest_ready_revision: String,
    /// The last revision that had 100 %: the baseline while a canary is out
    pub latest_rolledout_revision: String,
    pub previous_rolledout_revision: String,
    pub traffic: Vec<Target>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    pub revision_name: String,
    pub percent: i64,
    pub latest_revision: bool,
    pub tag: String,
    pub url: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RevisionSpec {
    pub containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RevisionStatus {
    pub conditions: Vec<Condition>,
    pub container_statuses: Vec<ContainerStatus>,
    /// Pods that the autoscaler wants
    pub desired_replicas: Option<u32>,
    /// Pods that are ready
    pub actual_replicas: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    pub name: String,
    pub image_digest: String,
}

pub fn inference_services() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(
        "serving.kserve.io",
        "v1beta1",
        "InferenceService",
    ))
}

pub fn revisions() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("serving.knative.dev", "v1", "Revision"))
}

/// The container that carries the model
pub(crate) fn model(containers: &[Container]) -> Option<&Container> {
    containers.iter().find(|container| container.name == CONTAINER)
}

/// The condition of a kind, such as `Ready`, if the controller has set it.
pub(crate) fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

pub(crate) fn is_true(conditions: &[Condition], kind: &str) -> bool {
    condition(conditions, kind).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plural_names_are_those_of_the_api() {
        assert_eq!(inference_services().plural, "inferenceservices");
        assert_eq!(revisions().plural, "revisions");
    }

    #[test]
    fn a_service_that_says_almost_nothing_is_read() {
        let service: InferenceService = serde_json::from_value(
            serde_json::json!({"metadata": {"name": "iris"}, "spec": {"predictor": {}}}),
        )
        .unwrap();
        assert_eq!(service.spec.predictor.canary_traffic_percent, None);
        assert!(service.status.is_none());
    }
}
