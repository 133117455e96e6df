//! Services whose requests KServe would not split.

use inference_service::{DEPLOYMENT_MODE, Observed};

const CUSTOM_CONTAINER: &str =
    "canaries work with one custom container; the README says what else is needed";

/// Why a canary of this service would not do what it says, and what to do.
pub(crate) fn unsupported(observed: &Observed) -> Option<(&'static str, &'static str)> {
    let service = observed.service.as_ref()?;
    let status = service.status.as_ref().map_or("", |status| status.deployment_mode.as_str());
    // KServe has not looked at it yet when the status says nothing.
    let mode =
        Some(status).filter(|mode| !mode.is_empty()).or(observed.annotation(DEPLOYMENT_MODE));
    let is_set = |key| observed.annotation(key) == Some("true");
    if service.metadata.deletion_timestamp.is_some() {
        Some(("it is being deleted", "wait until it is gone; then this is a first release"))
    } else if mode.is_some_and(|mode| !matches!(mode, "Knative" | "Serverless")) {
        Some((
            "it is not in Knative mode, where KServe ignores canaries silently",
            "KServe changes the mode of no service: release under another name, or delete this one, and the next release makes it in Knative mode",
        ))
    } else if service.spec.canary.is_some() {
        Some(("it has `spec.canary`, another kind of canary", CUSTOM_CONTAINER))
    } else if service.spec.transformer.is_some() || service.spec.explainer.is_some() {
        Some(("it has a transformer or an explainer, which would not be split", CUSTOM_CONTAINER))
    } else if is_set("serving.kserve.io/stop") {
        Some(("it is stopped", "remove its annotation serving.kserve.io/stop"))
    } else if is_set("serving.kserve.io/disable-auto-update") {
        Some((
            "its annotation keeps KServe from updating it",
            "remove its annotation serving.kserve.io/disable-auto-update",
        ))
    } else if observed.image().is_none() {
        Some(("it has no container `kserve-container`", CUSTOM_CONTAINER))
    } else {
        None
    }
}
