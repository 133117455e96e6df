//! What is kept of the objects of a service, in the few words that are shown.

use inference_service::{
    CONTAINER, Condition, Decision, InferenceService, Mark, Revision, decision_lease, lease_name,
};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use step::text::short;

/// Characters of a sentence of KServe, and of an address
const LONGEST: usize = 500;

/// An InferenceService
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) uid: String,
    pub(super) url: String,
    pub(super) is_ready: bool,
    pub(super) message: String,
    /// The image that the spec asks for
    pub(super) image: String,
    /// The percent that it asks for
    pub(super) percent: Option<i64>,
    pub(super) latest: String,
    pub(super) rolled_out: String,
    pub(super) traffic: Vec<Target>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) revision: String,
    pub(super) percent: i64,
    pub(super) has_tag: bool,
}

/// A Lease of a service
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Of the service: one of an earlier service of the same name says nothing
    pub(super) uid: String,
    pub(super) service: String,
    pub(super) says: Says,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Mark(OwnerMark),
    /// What people have decided: what, and who and why
    Decisions(Vec<(String, String)>),
}

/// What is shown of the mark
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnerMark {
    pub(super) image: String,
    pub(super) is_rejected: bool,
    pub(super) live_since: Option<Timestamp>,
    pub(super) version: String,
    pub(super) run: String,
}

/// The part of an image's name that says which it is: `sha256:…`
pub(super) fn digest(image: &str) -> Option<&str> {
    image.rsplit_once('@').map(|(_, digest)| digest)
}

impl Seen {
    pub(super) fn of(service: &InferenceService) -> Self {
        let predictor = &service.spec.predictor;
        let container = predictor.containers.iter().find(|container| container.name == CONTAINER);
        let status = service.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let is_ready =
            conditions.iter().any(|found| found.kind == "Ready" && found.status == "True");
        let component = status.map(|status| &status.components.predictor);
        let text =
            |text: Option<&String>| text.map(|text| short(text, LONGEST)).unwrap_or_default();
        let traffic = component.map_or(&[][..], |component| &component.traffic).iter();
        Self {
            uid: service.metadata.uid.clone().unwrap_or_default(),
            url: text(status.map(|status| &status.url)),
            is_ready,
            message: if is_ready { String::new() } else { why_not_ready(conditions) },
            image: text(container.map(|container| &container.image)),
            percent: predictor.canary_traffic_percent,
            latest: text(component.map(|component| &component.latest_created_revision)),
            rolled_out: text(component.map(|component| &component.latest_rolledout_revision)),
            traffic: traffic
                .map(|target| Target {
                    revision: short(&target.revision_name, LONGEST),
                    percent: target.percent,
                    has_tag: !target.tag.is_empty(),
                })
                .collect(),
        }
    }
}

/// The condition `Ready` repeats what one of the others says, where it says anything.
fn why_not_ready(conditions: &[Condition]) -> String {
    let is_ready = |found: &&Condition| found.kind == "Ready";
    let ready = conditions.iter().filter(is_ready);
    let failed = conditions.iter().filter(|found| !is_ready(found) && found.status == "False");
    let text = |found: &Condition| match (found.reason.as_str(), found.message.as_str()) {
        ("", "") => None,
        (reason, "") => Some(short(reason, LONGEST)),
        ("", message) => Some(short(message, LONGEST)),
        (reason, message) => Some(short(&format!("{reason}: {message}"), LONGEST)),
    };
    let mut told = ready.chain(failed.filter(|found| found.kind != "Stopped")).filter_map(text);
    told.next().unwrap_or_else(|| "it is not ready yet".into())
}

impl Held {
    /// What a Lease of ours says; nothing where it is another's.
    pub(super) fn of(lease: &Lease, name: &str) -> Option<Self> {
        let mut owners = lease.metadata.owner_references.iter().flatten();
        let owner = owners.find(|owner| owner.kind == "InferenceService")?;
        let says = if name == lease_name(&owner.name) {
            let mark = Mark::read(lease, &owner.uid);
            Says::Mark(OwnerMark {
                is_rejected: mark.is_rejected(),
                live_since: mark.live_since.parse().ok(),
                version: short(&mark.release.version, LONGEST),
                run: short(&mark.release.run, LONGEST),
                image: mark.image,
            })
        } else if name == decision_lease(&owner.name) {
            Says::Decisions(decisions(lease))
        } else {
            return None;
        };
        Some(Self { uid: owner.uid.clone(), service: owner.name.clone(), says })
    }
}

/// `hold` for `kanaria.dev/hold`, with what is written there
fn decisions(lease: &Lease) -> Vec<(String, String)> {
    let annotations = lease.metadata.annotations.as_ref();
    let written = |decision: Decision| {
        let key = decision.key();
        let what = key.rsplit_once('/').map_or(key, |(_, what)| what);
        Some((what.to_owned(), short(annotations?.get(key)?, LONGEST)))
    };
    let all = [Decision::Approve, Decision::Hold, Decision::Promote, Decision::Abort];
    all.into_iter().filter_map(written).collect()
}

/// The digest of the image that a revision was made of
pub(super) fn digest_of_revision(revision: &Revision) -> Option<&str> {
    let statuses = revision.status.iter().flat_map(|status| &status.container_statuses);
    let resolved = statuses.filter(|status| status.name == CONTAINER);
    let asked = revision.spec.containers.iter().filter(|container| container.name == CONTAINER);
    let resolved = resolved.map(|status| &status.image_digest);
    resolved.chain(asked.map(|container| &container.image)).find_map(|image| digest(image))
}
