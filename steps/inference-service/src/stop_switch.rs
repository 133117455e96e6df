//! The stop switch: the `ConfigMap` `canary-stop`, which stops all releases of a namespace while it is there.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use step::text::short;

/// Name of the `ConfigMap`
pub const STOP_SWITCH: &str = "canary-stop";

/// Longest words of a person in a message
const LONGEST: usize = 200;

/// All releases are stopped: those that are out hold, or are taken back, as its key `releases` says to the
/// gate; none begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopSwitch {
    /// Who stopped them, and why; empty where it does not say
    pub by: String,
}

impl StopSwitch {
    /// What the `ConfigMap` says
    pub fn of(found: &ConfigMap) -> Self {
        let by = found.data.as_ref().and_then(|data| data.get("by"));
        Self { by: by.map(|by| short(by, LONGEST)).unwrap_or_default() }
    }
}

pub(crate) async fn read(
    client: &Client,
    namespace: &str,
) -> Result<Option<StopSwitch>, kube::Error> {
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    Ok(config_maps.get_opt(STOP_SWITCH).await?.as_ref().map(StopSwitch::of))
}
