//! What people decide about a release: annotations of a Lease `NAME-canary-decision` beside the service,
//! which owns it, so that it goes when the service goes.
//!
//! A Lease of its own and not the mark: the right to patch it is given to people, by its name, and who
//! could patch the mark could say what a rollback goes back to. A release begins without any decision, so
//! that nothing that was said of an earlier one counts.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::objects::FIELD_MANAGER;

/// What a person can say of a release. To go on after a hold is to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The next rungs may be climbed
    Approve,
    /// No rung is climbed while it is there
    Hold,
    /// The next rungs are climbed, whatever the gate says
    Promote,
    /// The canary is taken back
    Abort,
}

impl Decision {
    const ALL: [Self; 4] = [Self::Approve, Self::Hold, Self::Promote, Self::Abort];

    /// The annotation that says so, with the value `VERSION[@PERCENT] WHO[: WHY]`
    pub const fn key(self) -> &'static str {
        match self {
            Self::Approve => "kanaria.dev/approve",
            Self::Hold => "kanaria.dev/hold",
            Self::Promote => "kanaria.dev/promote",
            Self::Abort => "kanaria.dev/abort",
        }
    }

    /// What writing it does, for people
    pub(crate) fn described(self, value: Option<&str>) -> String {
        match value {
            Some(value) => format!("write decision `{}`: {value}", self.key()),
            None => format!("remove decision `{}`", self.key()),
        }
    }
}

/// What was decided about a release so far, as it was written
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions(BTreeMap<&'static str, String>);

impl Decisions {
    pub fn get(&self, decision: Decision) -> Option<&str> {
        self.0.get(decision.key()).map(String::as_str)
    }

    fn of(lease: &Lease) -> Self {
        let annotations = lease.metadata.annotations.as_ref();
        let written = |key| Some((key, annotations?.get(key)?.clone()));
        Self(Decision::ALL.iter().filter_map(|decision| written(decision.key())).collect())
    }
}

/// Name of the Lease, as `kubectl annotate lease` wants it
pub fn decision_lease(service: &str) -> String {
    format!("{service}-canary-decision")
}

/// What was decided; nothing where there is no Lease, or one of an earlier service of the same name.
pub(crate) async fn read(
    leases: &Api<Lease>,
    service: &str,
    uid: &str,
) -> Result<Decisions, kube::Error> {
    let found = leases.get_opt(&decision_lease(service)).await?;
    Ok(found
        .filter(|lease| is_of(lease, uid))
        .map(|lease| Decisions::of(&lease))
        .unwrap_or_default())
}

/// Writes a decision, or without a value removes it.
pub(crate) async fn write(
    leases: &Api<Lease>,
    service: &str,
    uid: &str,
    decision: Decision,
    value: Option<&str>,
) -> Result<(), kube::Error> {
    put(leases, service, uid, &[(decision, value)]).await
}

/// Makes the Lease without decisions, or removes all that are there; writes nothing where there are none.
pub(crate) async fn clear(
    leases: &Api<Lease>,
    service: &str,
    uid: &str,
) -> Result<(), kube::Error> {
    match leases.get_opt(&decision_lease(service)).await? {
        Some(lease) if is_of(&lease, uid) && Decisions::of(&lease) == Decisions::default() => {
            Ok(())
        }
        _ => put(leases, service, uid, &Decision::ALL.map(|decision| (decision, None))).await,
    }
}

/// A merge, so that it takes no other right than the one that people have; only where there is no Lease it
/// is made.
async fn put(
    leases: &Api<Lease>,
    service: &str,
    uid: &str,
    decisions: &[(Decision, Option<&str>)],
) -> Result<(), kube::Error> {
    let name = decision_lease(service);
    let params = PatchParams::apply(FIELD_MANAGER);
    let annotations = decisions.iter().map(|(decision, value)| (decision.key(), json!(value)));
    let change = object(&name, service, uid, &annotations.collect());
    match leases.patch(&name, &params, &Patch::Merge(change)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        patched => return patched.map(drop),
    }
    let said =
        decisions.iter().filter_map(|(decision, value)| Some((decision.key(), json!((*value)?))));
    let lease = object(&name, service, uid, &said.collect());
    let lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    leases.create(&params, &lease).await.map(drop)
}

fn object(name: &str, service: &str, uid: &str, annotations: &BTreeMap<&str, Value>) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "kanaria"},
            "annotations": annotations,
            "ownerReferences": [
                {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": service, "uid": uid},
            ],
        },
    })
}

fn is_of(lease: &Lease, uid: &str) -> bool {
    lease.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{NAMESPACE, Simulator};

    fn leases(simulator: &Simulator) -> Api<Lease> {
        Api::namespaced(simulator.client(), NAMESPACE)
    }

    #[tokio::test]
    async fn a_decision_is_read_as_it_was_written_and_is_gone_when_it_is_removed() {
        let leases = leases(&Simulator::new());
        let hold = Some("v2 ada: p99 is up");
        write(&leases, "iris", "u", Decision::Hold, hold).await.unwrap();
        write(&leases, "iris", "u", Decision::Approve, Some("v2@50 bob")).await.unwrap();
        let found = read(&leases, "iris", "u").await.unwrap();
        assert_eq!((found.get(Decision::Hold), found.get(Decision::Abort)), (hold, None));
        write(&leases, "iris", "u", Decision::Hold, None).await.unwrap();
        let found = read(&leases, "iris", "u").await.unwrap();
        assert_eq!(found.get(Decision::Hold), None);
        assert_eq!(found.get(Decision::Approve), Some("v2@50 bob"));
    }

    #[tokio::test]
    async fn a_cleared_lease_has_no_decision_and_is_not_written_again() {
        let simulator = Simulator::new();
        let leases = leases(&simulator);
        for value in [None, Some("v2 ada")] {
            write(&leases, "iris", "u", Decision::Abort, value).await.unwrap();
            clear(&leases, "iris", "u").await.unwrap();
            assert_eq!(read(&leases, "iris", "u").await.unwrap(), Decisions::default());
        }
        let writes = simulator.writes();
        clear(&leases, "iris", "u").await.unwrap();
        assert_eq!(simulator.writes(), writes);
    }

    #[tokio::test]
    async fn the_lease_of_an_earlier_service_of_the_same_name_says_nothing_and_is_taken_over() {
        let leases = leases(&Simulator::new());
        write(&leases, "iris", "old", Decision::Abort, Some("v2 ada")).await.unwrap();
        assert_eq!(read(&leases, "iris", "new").await.unwrap(), Decisions::default());
        clear(&leases, "iris", "new").await.unwrap();
        write(&leases, "iris", "new", Decision::Hold, Some("v2 bob")).await.unwrap();
        let found = read(&leases, "iris", "new").await.unwrap();
        assert_eq!((found.get(Decision::Abort), found.get(Decision::Hold)), (None, Some("v2 bob")));
    }
}
