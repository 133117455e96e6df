//! The owner mark: a Lease beside the service that remembers what no field of it can.
//!
//! A new canary at 0 % and a rejected one look the same, and so do a service before a release and
//! one after its rollback. An annotation on the service itself would make a new revision, so the
//! mark is a Lease `NAME-canary`, which the service owns and which goes when it goes.

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};

use crate::same_image;

/// Enough that a repeated event of weeks ago is still recognised; an annotation has room for it.
const REMEMBERED: usize = 20;

const CANARY_REVISION: &str = "kanaria.dev/canary-revision";
const BASELINE_REVISION: &str = "kanaria.dev/baseline-revision";
const BASELINE_IMAGE: &str = "kanaria.dev/baseline-image";
const LIVE_SINCE: &str = "kanaria.dev/live-since";
const REJECTED: &str = "kanaria.dev/rejected";

/// What the last release of a service was, and which images it has rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The canary's image; empty before the first canary
    pub image: String,
    /// Empty until a rollback took it back
    pub canary_revision: String,
    pub baseline_revision: String,
    pub baseline_image: String,
    /// RFC 3339; empty until the canary has had requests
    pub live_since: String,
    /// Newest first
    pub rejected: Vec<String>,
    /// The version of the Lease it was read from; none when there is no Lease
    pub(crate) version: Option<String>,
}

impl Mark {
    #[must_use]
    pub fn is_of(&self, image: &str) -> bool {
        !self.image.is_empty() && same_image(&self.image, image)
    }

    #[must_use]
    pub fn has_rejected(&self, image: &str) -> bool {
        self.rejected.iter().any(|rejected| same_image(rejected, image))
    }

    /// The mark of a release that begins now. The image is no longer rejected: someone asked to try again.
    #[must_use]
    pub fn begin(&self, image: &str, baseline_revision: &str, baseline_image: &str) -> Self {
        Self {
            image: image.into(),
            canary_revision: String::new(),
            baseline_revision: baseline_revision.into(),
            baseline_image: baseline_image.into(),
            live_since: String::new(),
            rejected: self
                .rejected
                .iter()
                .filter(|rejected| !same_image(rejected, image))
                .cloned()
                .collect(),
            version: self.version.clone(),
        }
    }

    /// The mark of a canary that has requests since then, RFC 3339.
    #[must_use]
    pub fn go_live(&self, since: &str) -> Self {
        Self { live_since: since.into(), ..self.clone() }
    }

    /// The mark of a canary that is taken back.
    #[must_use]
    pub fn reject(&self, image: &str, canary_revision: &str) -> Self {
        let others = self.rejected.iter().filter(|rejected| !same_image(rejected, image)).cloned();
        let rejected = std::iter::once(image.into()).chain(others).take(REMEMBERED).collect();
        Self { rejected, canary_revision: canary_revision.into(), ..self.clone() }
    }

    /// Reads the Lease; one of an earlier service of the same name says nothing.
    pub(crate) fn read(lease: &Lease, uid: &str) -> Self {
        let version = lease.metadata.resource_version.clone();
        let owned = lease.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid);
        if !owned {
            return Self { version, ..Self::default() };
        }
        let annotation = |key: &str| {
            lease
                .metadata
                .annotations
                .as_ref()
                .and_then(|annotations| annotations.get(key))
                .cloned()
                .unwrap_or_default()
        };
        Self {
            image: lease
                .spec
                .as_ref()
                .and_then(|spec| spec.holder_identity.clone())
                .unwrap_or_default(),
            canary_revision: annotation(CANARY_REVISION),
            baseline_revision: annotation(BASELINE_REVISION),
            baseline_image: annotation(BASELINE_IMAGE),
            live_since: annotation(LIVE_SINCE),
            rejected: annotation(REJECTED).split_whitespace().map(String::from).collect(),
            version,
        }
    }

    /// The Lease as JSON, to create or, with the version it was read at, to merge.
    pub(crate) fn lease(&self, service: &str, uid: &str) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": lease_name(service),
                "resourceVersion": self.version,
                "labels": {"app.kubernetes.io/managed-by": "kanaria"},
                "annotations": {
                    CANARY_REVISION: self.canary_revision,
                    BASELINE_REVISION: self.baseline_revision,
                    BASELINE_IMAGE: self.baseline_image,
                    LIVE_SINCE: self.live_since,
                    REJECTED: self.rejected.join(" "),
                },
                "ownerReferences": [
                    {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": service, "uid": uid},
                ],
            },
            "spec": {"holderIdentity": self.image},
        })
    }
}

pub(crate) fn lease_name(service: &str) -> String {
    format!("{service}-canary")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mark_is_read_as_it_was_written(
            image in "[a-z]{1,9}", baseline in "[a-z]{0,9}", rejected in proptest::collection::vec("[a-z]{1,9}", 0..4),
        ) {
            let mark = Mark { image, baseline_image: baseline, rejected, version: Some("7".into()), ..Mark::default() };
            let lease: Lease = serde_json::from_value(mark.lease("iris", "u")).unwrap();
            prop_assert_eq!(Mark::read(&lease, "u"), mark);
        }
    }

    #[test]
    fn the_mark_of_an_earlier_service_of_the_same_name_says_nothing() {
        let mark = Mark { image: "c".into(), version: Some("7".into()), ..Mark::default() }
            .reject("c", "r");
        let lease: Lease = serde_json::from_value(mark.lease("iris", "old")).unwrap();
        assert_eq!(
            Mark::read(&lease, "new"),
            Mark { version: Some("7".into()), ..Mark::default() }
        );
    }

    #[test]
    fn what_was_rejected_is_remembered_until_it_is_tried_again() {
        let mark =
            (0..30).fold(Mark::default(), |mark, number| mark.reject(&format!("v{number}"), "r"));
        assert_eq!((mark.rejected.len(), mark.rejected[0].as_str()), (REMEMBERED, "v29"));
        assert!(mark.has_rejected("v29"));
        assert!(!mark.begin("v29", "b", "b").has_rejected("v29"));
        assert!(mark.begin("v29", "b", "b").has_rejected("v28"));
    }
}
