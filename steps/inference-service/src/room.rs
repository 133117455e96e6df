//! Room before traffic: how many pods a canary needs before its share of the requests grows, and the
//! minimum of its revision that asks for them.
//!
//! The minimum is the annotation `autoscaling.knative.dev/min-scale` of the Revision that is there. Knative's
//! autoscaler follows it within a second or two, and neither the service nor its template changes, so that
//! it costs no revision. What the revision had before stands beside it until it is put back.

use json_patch::Patch;
use serde_json::{Value, json};

use crate::{
    objects::{Revision, RevisionStatus},
    observed::Observed,
    route::Live,
};

const MIN_SCALE: &str = "autoscaling.knative.dev/min-scale";
const MAX_SCALE: &str = "autoscaling.knative.dev/max-scale";

/// The minimum that a revision had before it was raised, empty for none
const MIN_SCALE_BEFORE: &str = "kanaria.dev/min-scale";

/// The pods of a canary that has fewer than its next share of the requests needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingRoom {
    pub needed: u32,
    pub ready: u32,
    /// As many as the autoscaler wants by now
    pub wanted: u32,
    /// The revision's minimum
    pub minimum: u32,
}

/// A JSON Patch of a Revision's annotations with `test` preconditions, and the words for what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalePatch {
    pub what: String,
    pub revision: String,
    pub patch: Patch,
}

/// The pods that a canary needs at `next` percent: as many for each request as the baseline has now.
///
/// What `pods` are for the rest of the requests is between one pod less and all of them, so for all requests it is a
/// range. How many the baseline had for all of them before the release is in that range unless the load has changed,
/// and then more exact: a service of one pod needs one.
fn pods_needed(pods: u32, before: u32, percent: u8, next: u8, most: Option<u32>) -> u32 {
    let rest = u32::from(100_u8.saturating_sub(percent)).max(1);
    let for_next = |of: u32, percent: u32| of.saturating_mul(next.into()).div_ceil(percent);
    let is_likely = before > 0
        && pods.saturating_sub(1).saturating_mul(100) < before.saturating_mul(rest)
        && before.saturating_mul(rest) <= pods.saturating_mul(100);
    let needed = if is_likely { for_next(before, 100) } else { for_next(pods, rest) };
    most.map_or(needed, |most| needed.min(most))
}

impl Observed {
    /// The pods that a live canary lacks for `next` percent; none when it has them, or when the baseline
    /// has none itself, because nobody sends requests.
    pub fn missing_room(
        &self,
        Live { canary, baseline, percent }: Live,
        next: u8,
    ) -> Option<MissingRoom> {
        let most = self.number(canary, MAX_SCALE).filter(|most| *most > 0); // 0 is Knative's "no limit"
        let needed =
            pods_needed(self.ready_pods(baseline), self.mark.baseline_pods, percent, next, most);
        let ready = self.ready_pods(canary);
        (ready < needed).then(|| MissingRoom {
            needed,
            ready,
            wanted: self.pods_of(canary, |status| status.desired_replicas),
            minimum: self.number(canary, MIN_SCALE).unwrap_or(0),
        })
    }

    /// Whether the minimum of a revision was raised and is to be put back
    pub fn has_raised_minimum(&self, revision: &str) -> bool {
        self.annotation_of(revision, MIN_SCALE_BEFORE).is_some()
    }

    /// A revision with a raised minimum that is not this one: whoever was to put it back was stopped.
    pub fn left_minimum(&self, canary: &str) -> Option<&str> {
        let others = self.revisions.keys().map(String::as_str).filter(|name| *name != canary);
        others.into_iter().find(|name| self.has_raised_minimum(name))
    }

    /// Whether pods are missing that the latest revision was asked for
    pub(crate) fn is_short_of_pods(&self) -> bool {
        let latest = self.latest();
        self.has_raised_minimum(latest)
            && self.number(latest, MIN_SCALE).is_some_and(|pods| self.ready_pods(latest) < pods)
    }

    pub fn ready_pods(&self, revision: &str) -> u32 {
        self.pods_of(revision, |status| status.actual_replicas)
    }

    fn pods_of(&self, revision: &str, count: impl Fn(&RevisionStatus) -> Option<u32>) -> u32 {
        let status = self.revisions.get(revision).and_then(|revision| revision.status.as_ref());
        status.and_then(count).unwrap_or(0)
    }

    fn number(&self, revision: &str, annotation: &str) -> Option<u32> {
        self.annotation_of(revision, annotation)?.parse().ok()
    }
}

impl ScalePatch {
    /// Has the autoscaler keep so many pods of a revision.
    pub fn raise(observed: &Observed, revision: &str, pods: u32) -> Self {
        let before = observed.annotation_of(revision, MIN_SCALE).unwrap_or_default();
        let mut changes = vec![put(MIN_SCALE, &pods.to_string())];
        if !observed.has_raised_minimum(revision) {
            changes.push(put(MIN_SCALE_BEFORE, before));
        }
        let what = format!("ask for {pods} pods of `{revision}`");
        Self::guarded(observed, revision, what, changes)
    }

    /// Puts back the minimum that a revision had before.
    pub fn put_back(observed: &Observed, revision: &str) -> Self {
        let minimum = match observed.annotation_of(revision, MIN_SCALE_BEFORE).unwrap_or_default() {
            "" => remove(MIN_SCALE),
            before => put(MIN_SCALE, before),
        };
        let what = format!("put back the minimum of pods of `{revision}`");
        Self::guarded(observed, revision, what, vec![minimum, remove(MIN_SCALE_BEFORE)])
    }

    /// Only while the revision is the one that was seen, with the minimum that was seen.
    fn guarded(observed: &Observed, revision: &str, what: String, changes: Vec<Value>) -> Self {
        let found = observed.revisions.get(revision);
        let uid = found.and_then(|found: &Revision| found.metadata.uid.clone());
        let mut operations = vec![json!({"op": "test", "path": "/metadata/uid", "value": uid})];
        if found.is_some_and(|found| found.metadata.annotations.is_none()) {
            operations.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
        }
        operations.extend([MIN_SCALE, MIN_SCALE_BEFORE].map(|key| {
            // A null also passes when the annotation is absent.
            json!({"op": "test", "path": path(key), "value": observed.annotation_of(revision, key)})
        }));
        operations.extend(changes);
        let patch = serde_json::from_value(Value::Array(operations)).unwrap_or_default();
        Self { what, revision: revision.to_owned(), patch }
    }
}

fn put(key: &str, value: &str) -> Value {
    json!({"op": "add", "path": path(key), "value": value})
}

fn remove(key: &str) -> Value {
    json!({"op": "remove", "path": path(key)})
}

fn path(key: &str) -> String {
    format!("/metadata/annotations/{}", key.replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A canary and its baseline with these annotations and ready pods.
    fn observed(annotations: &Value, canary: u32, baseline: u32) -> Observed {
        let revision = |name: &str, annotations: &Value, pods: u32| {
            let revision = json!({
                "metadata": {"name": name, "uid": name, "annotations": annotations}, "spec": {},
                "status": {"actualReplicas": pods, "desiredReplicas": pods},
            });
            (name.to_owned(), serde_json::from_value(revision).unwrap())
        };
        let revisions = [revision("c", annotations, canary), revision("b", &json!({}), baseline)];
        Observed { revisions: revisions.into(), ..Observed::default() }
    }

    fn needed(annotations: &Value, pods: [u32; 2], percent: u8, next: u8) -> Option<u32> {
        needed_after(0, annotations, pods, percent, next)
    }

    fn needed_after(
        before: u32,
        annotations: &Value,
        pods: [u32; 2],
        percent: u8,
        next: u8,
    ) -> Option<u32> {
        let live = Live { canary: "c", baseline: "b", percent };
        let mut observed = observed(annotations, pods[0], pods[1]);
        observed.mark.baseline_pods = before;
        observed.missing_room(live, next).map(|room| room.needed)
    }

    #[test]
    fn what_the_baseline_had_for_all_requests_counts_while_the_load_is_the_same() {
        let none = json!({});
        for (before, pods, percent, next, expected) in [
            (1, [1, 1], 50, 100, None), // one pod does
            (1, [1, 1], 10, 100, None),
            (0, [1, 1], 50, 100, Some(2)), // nobody knows
            (10, [1, 9], 10, 50, Some(5)),
            (9, [1, 9], 10, 100, Some(9)),
            (4, [2, 2], 50, 100, Some(4)),
            (4, [2, 4], 50, 100, Some(8)), // the load has doubled
            (4, [1, 1], 50, 100, Some(2)), // the load is less
        ] {
            let found = needed_after(before, &none, pods, percent, next);
            assert_eq!(found, expected, "{before} {pods:?} {percent} {next}");
        }
    }

    #[test]
    fn a_canary_needs_as_many_pods_for_each_request_as_the_baseline_has() {
        let none = json!({});
        for (pods, percent, next, expected) in [
            ([1, 9], 10, 50, Some(5)),
            ([1, 9], 10, 100, Some(10)),
            ([1, 8], 20, 100, Some(10)),
            ([1, 7], 10, 50, Some(4)), // 3.9
            ([5, 9], 10, 50, None),
            ([6, 9], 10, 50, None),
            ([1, 1], 10, 50, None),
            ([0, 3], 0, 100, Some(3)), // all at once, after tests at 0 %
            ([0, 0], 10, 100, None),   // nobody sends requests
            ([0, 1], 99, 100, Some(100)),
        ] {
            assert_eq!(needed(&none, pods, percent, next), expected, "{pods:?} {percent} {next}");
        }
    }

    #[test]
    fn no_more_pods_are_asked_for_than_the_revision_may_have() {
        let at_most = |most: &str| json!({MAX_SCALE: most});
        assert_eq!(needed(&at_most("3"), [1, 9], 10, 50), Some(3));
        assert_eq!(needed(&at_most("3"), [3, 9], 10, 50), None);
        assert_eq!(needed(&at_most("0"), [1, 9], 10, 50), Some(5), "0 means no limit");
    }

    fn applied(annotations: &Value, patch: &ScalePatch) -> Result<Value, String> {
        let mut object = json!({"metadata": {"uid": "c", "annotations": annotations}});
        crate::simulator::apply(&mut object, &patch.patch)?;
        Ok(object["metadata"]["annotations"].clone())
    }

    proptest! {
        #[test]
        fn however_often_a_minimum_is_raised_what_was_there_before_comes_back(
            before in proptest::option::of("[0-9]"), raised in proptest::collection::vec(1..9_u32, 1..4),
        ) {
            let untouched = before.map_or(json!({"a": "1"}), |before| json!({"a": "1", MIN_SCALE: before}));
            let mut annotations = untouched.clone();
            for pods in &raised {
                let patch = ScalePatch::raise(&observed(&annotations, 1, 1), "c", *pods);
                annotations = applied(&annotations, &patch).unwrap();
                prop_assert_eq!(&annotations[MIN_SCALE], &json!(pods.to_string()));
            }
            let raised = observed(&annotations, 1, 1);
            prop_assert!(raised.has_raised_minimum("c"));
            prop_assert_eq!(raised.left_minimum("b"), Some("c"));
            let patch = ScalePatch::put_back(&raised, "c");
            prop_assert_eq!(applied(&annotations, &patch).unwrap(), untouched);
        }
    }

    #[test]
    fn a_minimum_that_somebody_else_has_changed_meanwhile_is_left_alone() {
        let seen = json!({MIN_SCALE: "1"});
        let patch = ScalePatch::raise(&observed(&seen, 1, 9), "c", 5);
        assert!(applied(&seen, &patch).is_ok());
        assert!(applied(&json!({MIN_SCALE: "2"}), &patch).is_err());
        assert!(applied(&json!({MIN_SCALE: "1", MIN_SCALE_BEFORE: ""}), &patch).is_err());
    }

    #[test]
    fn a_revision_without_annotations_gets_its_first() {
        let mut found = observed(&json!(null), 1, 9);
        found.revisions.get_mut("c").unwrap().metadata.annotations = None;
        let patch = ScalePatch::raise(&found, "c", 5);
        let mut object = json!({"metadata": {"uid": "c"}});
        crate::simulator::apply(&mut object, &patch.patch).unwrap();
        assert_eq!(
            object["metadata"]["annotations"],
            json!({MIN_SCALE: "5", MIN_SCALE_BEFORE: ""})
        );
    }
}
