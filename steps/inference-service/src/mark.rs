//! The owner mark: a Lease beside the service that remembers what no field of it can.
//!
//! A new canary at 0 % and a rejected one look the same, and so do a service before a release and
//! one after its rollback. An annotation on the service itself would make a new revision, so the
//! mark is a Lease `NAME-canary`, which the service owns and which goes when it goes.

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};

use crate::same_image;

/// Enough that a repeated event of weeks ago is still recognised; an annotation has room for it.
const REMEMBERED: usize = 40;

const CANARY_REVISION: &str = "kanaria.dev/canary-revision";
const BASELINE_REVISION: &str = "kanaria.dev/baseline-revision";
const BASELINE_IMAGE: &str = "kanaria.dev/baseline-image";
const LIVE_SINCE: &str = "kanaria.dev/live-since";
const REJECTED: &str = "kanaria.dev/rejected";
const REPLACED: &str = "kanaria.dev/replaced";
const VERSION: &str = "kanaria.dev/version";
const BENTO: &str = "kanaria.dev/bento-sha256";
const RUN: &str = "kanaria.dev/run";
const RUN_UID: &str = "kanaria.dev/run-uid";
const PIPELINE: &str = "kanaria.dev/pipeline";
const CORRELATION: &str = "kanaria.dev/correlation-id";

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
    /// Images, and bentos as `bento:SHA256`; newest first
    pub rejected: Vec<String>,
    /// The image of an unfinished canary whose place this one took
    pub replaced: String,
    pub release: Release,
    /// The version of the Lease it was read from; none when there is no Lease
    pub(crate) version: Option<String>,
}

/// Who released the canary, as far as it was told; for whoever has to end it when that one is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Version of the service, as events tell it
    pub version: String,
    /// SHA-256 of the bento's archive, which stays the same when its image is built again
    pub bento: String,
    pub pipeline: String,
    /// The PipelineRun, or the TaskRun without one, that made the canary
    pub run: String,
    pub run_uid: String,
    pub correlation: String,
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

    #[must_use]
    pub fn has_rejected_bento(&self, sha256: &str) -> bool {
        !sha256.is_empty() && self.rejected.contains(&bento(sha256))
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
            replaced: String::new(),
            release: Release::default(),
            version: self.version.clone(),
        }
    }

    /// The mark of a release that is this one's.
    #[must_use]
    pub fn of(&self, release: &Release) -> Self {
        let again = bento(&release.bento);
        let rejected =
            self.rejected.iter().filter(|rejected| **rejected != again).cloned().collect();
        Self { release: release.clone(), rejected, ..self.clone() }
    }

    /// The mark of a release that takes the place of an unfinished canary of this image.
    #[must_use]
    pub fn replacing(&self, image: &str) -> Self {
        Self { replaced: image.into(), ..self.clone() }
    }

    /// The mark of a canary that has requests since then, RFC 3339.
    #[must_use]
    pub fn go_live(&self, since: &str) -> Self {
        Self { live_since: since.into(), ..self.clone() }
    }

    /// The mark of a canary that is taken back.
    #[must_use]
    pub fn reject(&self, image: &str, canary_revision: &str) -> Self {
        let bento = Some(&self.release.bento)
            .filter(|sha256| !sha256.is_empty())
            .map(|sha256| bento(sha256));
        let others = self
            .rejected
            .iter()
            .filter(|rejected| !same_image(rejected, image) && Some(*rejected) != bento.as_ref());
        let rejected = std::iter::once(image.into())
            .chain(bento.clone())
            .chain(others.cloned())
            .take(REMEMBERED)
            .collect();
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
            replaced: annotation(REPLACED),
            release: Release {
                version: annotation(VERSION),
                bento: annotation(BENTO),
                pipeline: annotation(PIPELINE),
                run: annotation(RUN),
                run_uid: annotation(RUN_UID),
                correlation: annotation(CORRELATION),
            },
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
                    REPLACED: self.replaced,
                    VERSION: self.release.version,
                    BENTO: self.release.bento,
                    PIPELINE: self.release.pipeline,
                    RUN: self.release.run,
                    RUN_UID: self.release.run_uid,
                    CORRELATION: self.release.correlation,
                },
                "ownerReferences": [
                    {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": service, "uid": uid},
                ],
            },
            "spec": {"holderIdentity": self.image},
        })
    }
}

fn bento(sha256: &str) -> String {
    format!("bento:{sha256}")
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
            (0..60).fold(Mark::default(), |mark, number| mark.reject(&format!("v{number}"), "r"));
        assert_eq!((mark.rejected.len(), mark.rejected[0].as_str()), (REMEMBERED, "v59"));
        assert!(mark.has_rejected("v59"));
        assert!(!mark.begin("v59", "b", "b").has_rejected("v59"));
        assert!(mark.begin("v59", "b", "b").has_rejected("v58"));
    }

    #[test]
    fn a_bento_is_recognised_when_its_image_was_built_again() {
        let release = Release { bento: "ab".repeat(32), ..Release::default() };
        let mark = Mark::default().begin("c", "b", "b").of(&release).reject("c", "r");
        assert!(mark.has_rejected("c") && mark.has_rejected_bento(&release.bento));
        assert!(!mark.has_rejected_bento("") && !mark.has_rejected_bento(&"cd".repeat(32)));
        let again = mark.begin("c2", "b", "b").of(&release);
        assert!(!again.has_rejected_bento(&release.bento), "someone asked to try it again");
        assert!(again.has_rejected("c"));
    }
}
