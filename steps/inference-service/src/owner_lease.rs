//! The mark: what a service's last release was and which images were rejected, in a Lease `NAME-canary`
//! beside the service, which owns it, so that it goes when the service goes.
//!
//! A new canary at 0 % and a rejected one look the same, and so do a service before a release and one
//! after its rollback, so something has to remember. An annotation on the service itself would make a new
//! revision. A Lease and not a `ConfigMap`, because a right to create names no object: one for `ConfigMaps`
//! would reach what other programs are configured by. And `kubectl get lease` shows by its
//! `holderIdentity` which image holds the service. No leader is elected by it: it is never renewed.

use k8s_openapi::api::coordination::v1::Lease;
use model_container::Fields;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{image::same_image, logger::LoggerChange};

const MARK: &str = "kanaria.dev/mark";

/// Enough that a repeated event of weeks ago is still recognised; an annotation has room for it.
const REMEMBERED: usize = 40;

/// What the last release of a service was, and which images it has rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mark {
    /// The canary's image; empty before the first canary
    #[serde(skip)]
    pub image: String,
    /// Empty until a rollback took it back
    pub canary_revision: String,
    pub baseline_revision: String,
    pub baseline_image: String,
    /// Pods that the baseline had for all requests when the release began; 0 where nobody knows
    pub baseline_pods: u32,
    /// Fields of the baseline's container that this release changes
    pub before: Fields,
    /// How this release changes the service's logger, if it does
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logger: Option<LoggerChange>,
    /// RFC 3339; empty until the canary has had requests, or is out at the 0 % that it was to begin with
    pub live_since: String,
    /// It is out at 0 %, where tests reach it by its own address: not rejected, and not left behind
    pub live_at_zero: bool,
    /// Images, and bentos as `bento:SHA256`; newest first. after a `#` the fingerprint of what one brought
    pub rejected: Vec<String>,
    /// The image of an unfinished canary whose place this one took
    pub replaced: String,
    pub release: Release,
    /// The version of the Lease it was read from; none when there is no Lease
    #[serde(skip)]
    pub(crate) version: Option<String>,
}

/// Who released the canary, as far as it is known; for whoever has to end it when that one is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Release {
    /// Version of the service, as events name it
    pub version: String,
    /// SHA-256 of the bento's archive, which stays the same when its image is built again
    pub bento: String,
    /// Fingerprint of what it brings beside the image; empty for nothing
    pub brought: String,
    pub pipeline: String,
    /// The PipelineRun, or the TaskRun without one, that made the canary
    pub run: String,
    pub run_uid: String,
    pub correlation: String,
}

impl Mark {
    pub fn is_of(&self, image: &str) -> bool {
        !self.image.is_empty() && same_image(&self.image, image)
    }

    /// Whether an image was put there by a release that has not gone live yet
    pub fn is_fresh(&self, image: &str) -> bool {
        self.is_of(image) && self.live_since.is_empty() && !self.is_rejected()
    }

    /// Whether an image is out at 0 % because its release was to begin there
    pub fn is_live_at_zero(&self, image: &str) -> bool {
        self.is_of(image) && self.live_at_zero && !self.is_rejected()
    }

    /// The image of a baseline, as it was noted when the canary beside it began
    pub fn image_of_baseline(&self, revision: &str) -> Option<&str> {
        let is_noted = self.baseline_revision == revision && !self.baseline_image.is_empty();
        is_noted.then_some(self.baseline_image.as_str())
    }

    /// Whether the canary that this mark is of was taken back
    pub fn is_rejected(&self) -> bool {
        self.has_rejected_of(&self.image, &self.release)
    }

    /// Whether an image was taken back, whatever it brought
    pub fn has_rejected(&self, image: &str) -> bool {
        self.rejected.iter().any(|rejected| same_image(parts(rejected).0, image))
    }

    /// Whether an image was taken back that brought the same as this release does: with other
    /// resources it may do better.
    pub fn has_rejected_of(&self, image: &str, release: &Release) -> bool {
        self.rejected.iter().any(|rejected| is_of(rejected, image, release))
    }

    /// The same of its bento
    pub fn has_rejected_bento(&self, release: &Release) -> bool {
        !release.bento.is_empty() && self.rejected.contains(&bento(release))
    }

    /// Whether a release begins with this mark, and does not go on that is in the mark before it
    pub(crate) fn begins_after(&self, before: &Self) -> bool {
        let goes_on =
            before.is_fresh(&self.image) && before.baseline_revision == self.baseline_revision;
        self.is_fresh(&self.image) && !goes_on
    }

    /// The mark of a release that begins now.
    pub fn begin(&self, image: &str, baseline_revision: &str, baseline_image: &str) -> Self {
        Self {
            image: image.into(),
            baseline_revision: baseline_revision.into(),
            baseline_image: baseline_image.into(),
            rejected: self.rejected.clone(),
            version: self.version.clone(),
            ..Self::default()
        }
    }

    /// The mark of a release that is this one's. It is no longer rejected: someone asked to try again.
    pub fn of(&self, release: &Release) -> Self {
        let again = |rejected: &&String| {
            is_of(rejected, &self.image, release) || **rejected == bento(release)
        };
        let rejected = self.rejected.iter().filter(|rejected| !again(rejected)).cloned().collect();
        Self { release: release.clone(), rejected, ..self.clone() }
    }

    /// The mark of a release whose baseline has so many pods. One that goes on keeps what it has noted.
    pub fn beside_pods(&self, pods: u32, before: &Self) -> Self {
        let goes_on = same_image(&before.image, &self.image)
            && before.baseline_revision == self.baseline_revision;
        Self { baseline_pods: if goes_on { before.baseline_pods } else { pods }, ..self.clone() }
    }

    /// The mark of a release that changes fields of the container, which were these before.
    pub fn from_fields(&self, before: Fields) -> Self {
        Self { before, ..self.clone() }
    }

    /// The mark of a release that changes the service's logger so.
    pub fn from_logger(&self, change: Option<LoggerChange>) -> Self {
        Self { logger: change, ..self.clone() }
    }

    /// The mark of a release that takes the place of an unfinished canary of this image.
    pub fn replacing(&self, image: &str) -> Self {
        Self { replaced: image.into(), ..self.clone() }
    }

    /// The mark of a canary that has requests since then, RFC 3339.
    pub fn go_live(&self, since: &str) -> Self {
        Self { live_since: since.into(), ..self.clone() }
    }

    /// The mark of a canary that is out at 0 % since then, RFC 3339.
    pub fn go_live_at_zero(&self, since: &str) -> Self {
        Self { live_at_zero: true, ..self.go_live(since) }
    }

    /// The mark of a canary that is taken back.
    pub fn reject(&self, image: &str, canary_revision: &str) -> Self {
        let bento = Some(&self.release).filter(|release| !release.bento.is_empty()).map(bento);
        let others = self.rejected.iter().filter(|rejected| {
            !is_of(rejected, image, &self.release) && Some(*rejected) != bento.as_ref()
        });
        let rejected = std::iter::once(entry(image, &self.release))
            .chain(bento.clone())
            .chain(others.cloned())
            .take(REMEMBERED)
            .collect();
        Self { rejected, canary_revision: canary_revision.into(), ..self.clone() }
    }

    /// Reads the Lease; one of an earlier service of the same name says nothing.
    pub fn read(lease: &Lease, uid: &str) -> Self {
        let version = lease.metadata.resource_version.clone();
        let owned = lease.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid);
        if !owned {
            return Self { version, ..Self::default() };
        }
        let mark = lease.metadata.annotations.as_ref().and_then(|all| all.get(MARK));
        let mark = mark.and_then(|mark| serde_json::from_str(mark).ok()).unwrap_or_default();
        let image = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        Self { image: image.unwrap_or_default(), version, ..mark }
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
                "annotations": {MARK: json!(self).to_string()},
                "ownerReferences": [
                    {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": service, "uid": uid},
                ],
            },
            "spec": {"holderIdentity": self.image},
        })
    }
}

fn bento(release: &Release) -> String {
    entry(&format!("bento:{}", release.bento), release)
}

/// What was rejected, and after a `#` what it brought.
fn entry(what: &str, Release { brought, .. }: &Release) -> String {
    if brought.is_empty() { what.to_owned() } else { format!("{what}#{brought}") }
}

fn parts(entry: &str) -> (&str, &str) {
    entry.split_once('#').unwrap_or((entry, ""))
}

fn is_of(entry: &str, image: &str, release: &Release) -> bool {
    let (rejected, brought) = parts(entry);
    same_image(rejected, image) && brought == release.brought
}

/// Name of the Lease that holds a service's mark
pub fn lease_name(service: &str) -> String {
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
            variable in proptest::option::of("\\PC{0,20}"), url in proptest::option::of("\\PC{0,20}"),
        ) {
            let before = variable.map(|value| ("env".to_owned(), json!([{"name": "A", "value": value}])));
            let before = Fields(before.into_iter().chain([("resources".to_owned(), Value::Null)]).collect());
            let mark = Mark { image, baseline_image: baseline, before, rejected, version: Some("7".into()), ..Mark::default() };
            let mark = mark.from_logger(url.map(|url| LoggerChange { from: Value::Null, to: json!({"url": url}) }));
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
    fn a_canary_that_is_out_at_zero_is_neither_fresh_nor_rejected() {
        let fresh = Mark::default().begin("c", "b", "b");
        assert!(fresh.is_fresh("c") && !fresh.is_live_at_zero("c"));
        let live = fresh.go_live_at_zero("2026-11-24T09:30:00Z");
        assert!(live.is_live_at_zero("c") && !live.is_live_at_zero("b") && !live.is_fresh("c"));
        assert!(!live.reject("c", "r").is_live_at_zero("c"));
        assert!(!live.begin("c", "b", "b").is_live_at_zero("c"), "another release of it");
        assert!(!fresh.go_live("2026-11-24T09:30:00Z").is_live_at_zero("c"));
    }

    #[test]
    fn what_was_rejected_is_remembered_until_it_is_tried_again() {
        let mark =
            (0..60).fold(Mark::default(), |mark, number| mark.reject(&format!("v{number}"), "r"));
        assert_eq!((mark.rejected.len(), mark.rejected[0].as_str()), (REMEMBERED, "v59"));
        assert!(mark.has_rejected("v59"));
        let again = mark.begin("v59", "b", "b").of(&Release::default());
        assert!(!again.has_rejected("v59") && again.has_rejected("v58"));
    }

    #[test]
    fn a_release_begins_once_and_neither_goes_live_nor_ends_by_beginning() {
        let before = Mark::default().begin("b", "r0", "a").go_live("2026-11-24T06:07:00Z");
        let begun = before.begin("c", "r1", "b");
        assert!(begun.begins_after(&before) && begun.begins_after(&Mark::default()));
        let by_another_run = begun.of(&Release { run: "release-2".into(), ..Release::default() });
        assert!(!by_another_run.begins_after(&begun) && !begun.begins_after(&begun));
        let live = begun.go_live("2026-11-24T06:08:00Z");
        let rejected = live.reject("c", "r2");
        assert!(!live.begins_after(&begun) && !rejected.begins_after(&live));
        let again = rejected.begin("c", "r1", "b").of(&Release::default());
        assert!(again.begins_after(&rejected), "somebody asked to try it again");
        assert!(begun.begin("c", "r3", "b").begins_after(&begun), "beside another baseline");
    }

    #[test]
    fn an_image_that_was_rejected_may_come_again_with_something_else() {
        let plain = Release { bento: "ab".repeat(32), ..Release::default() };
        let with_more = Release { brought: "0123abcd".into(), ..plain.clone() };
        let mark = Mark::default().begin("c", "b", "b").of(&plain).reject("c", "r");
        assert!(mark.has_rejected_of("c", &plain) && mark.has_rejected_bento(&plain));
        assert!(!mark.has_rejected_of("c", &with_more) && !mark.has_rejected_bento(&with_more));
        let again = mark.begin("c", "b", "b").of(&with_more);
        assert!(!again.is_rejected() && again.has_rejected_of("c", &plain));
        let rejected = again.reject("c", "r");
        assert!(rejected.is_rejected() && rejected.has_rejected_bento(&with_more));
        assert!(rejected.has_rejected_of("c", &plain), "both are remembered");
    }

    #[test]
    fn a_bento_is_recognised_when_its_image_was_built_again() {
        let release = Release { bento: "ab".repeat(32), ..Release::default() };
        let mark = Mark::default().begin("c", "b", "b").of(&release).reject("c", "r");
        assert!(mark.has_rejected("c") && mark.has_rejected_bento(&release));
        let other = Release { bento: "cd".repeat(32), ..Release::default() };
        assert!(!mark.has_rejected_bento(&Release::default()) && !mark.has_rejected_bento(&other));
        let again = mark.begin("c2", "b", "b").of(&release);
        assert!(!again.has_rejected_bento(&release), "someone asked to try it again");
        assert!(again.has_rejected("c"));
    }
}
