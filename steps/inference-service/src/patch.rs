//! Guarded JSON Patches: what must still be true, then what changes, in one request.
//!
//! The API server refuses the whole patch when a test fails, so a decision that is out of date
//! changes nothing. The tests name the object's uid, the container, the image and the percent, and not the
//! resource version, which every status write moves.

use json_patch::Patch;
use serde_json::{Value, json};

use crate::{CONTAINER, Seen, TAG_ROUTING};

/// A patch, and the sentence that tells what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarded {
    pub what: String,
    pub patch: Patch,
}

const PERCENT: &str = "/spec/predictor/canaryTrafficPercent";

/// The tests and changes of one patch, as JSON.
struct Draft {
    image_path: String,
    operations: Vec<Value>,
}

impl Draft {
    fn guard(seen: &Seen) -> Self {
        let (index, image) = seen.container().unwrap_or_default();
        let path = |field: &str| format!("/spec/predictor/containers/{index}/{field}");
        let operations = vec![
            json!({"op": "test", "path": "/metadata/uid", "value": seen.uid()}),
            json!({"op": "test", "path": path("name"), "value": CONTAINER}),
            json!({"op": "test", "path": path("image"), "value": image}),
            // A null also passes when the field is absent, which is what it stands for here.
            json!({"op": "test", "path": PERCENT, "value": seen.percent()}),
        ];
        Self { image_path: path("image"), operations }
    }

    fn then(mut self, op: &str, path: &str, value: impl Into<Value>) -> Self {
        self.operations.push(json!({"op": op, "path": path, "value": value.into()}));
        self
    }

    fn image(self, image: &str) -> Self {
        let path = self.image_path.clone();
        self.then("replace", &path, image)
    }

    fn done(self, what: String) -> Guarded {
        let patch = serde_json::from_value(Value::Array(self.operations)).unwrap_or_default();
        Guarded { what, patch }
    }
}

impl Guarded {
    /// Puts another image at 0 %, and gives the routes their addresses if they have none yet.
    ///
    /// Both fields at once: percent alone reads to KServe as a rollback, image alone goes to 100 %.
    #[must_use]
    pub fn image_at_zero(seen: &Seen, image: &str) -> Self {
        let mut draft = Draft::guard(seen).image(image).then("add", PERCENT, 0);
        // It makes a new revision, which the new image makes anyway.
        if !seen.has_tag_routing() {
            if !seen.has_annotations() {
                draft = draft.then("add", "/metadata/annotations", json!({}));
            }
            draft = draft.then(
                "add",
                &format!("/metadata/annotations/{}", TAG_ROUTING.replace('/', "~1")),
                "true",
            );
        }
        draft.done(format!("set image `{image}` at 0 %"))
    }

    /// Puts another image and leaves the percent out: it serves everybody once it is ready.
    #[must_use]
    pub fn image_alone(seen: &Seen, image: &str) -> Self {
        let draft = Draft::guard(seen).image(image);
        let draft = if seen.percent().is_some() { draft.remove_percent() } else { draft };
        draft.done(format!("set image `{image}` for all requests"))
    }

    /// Puts back an image at 0 %. The annotations stay as they are.
    #[must_use]
    pub fn restore_at_zero(seen: &Seen, image: &str) -> Self {
        Draft::guard(seen)
            .image(image)
            .then("add", PERCENT, 0)
            .done(format!("restore image `{image}` at 0 %"))
    }

    /// Moves traffic alone; no new revision.
    #[must_use]
    pub fn percent(seen: &Seen, percent: u8) -> Self {
        Draft::guard(seen).then("add", PERCENT, percent).done(format!("set {percent} %"))
    }

    /// Gives the latest revision all traffic and leaves no percent behind, so that the next image
    /// does not inherit it.
    #[must_use]
    pub fn without_percent(seen: &Seen) -> Self {
        Draft::guard(seen)
            .remove_percent()
            .done("remove the percent: all requests to the latest revision".into())
    }
}

impl Draft {
    fn remove_percent(mut self) -> Self {
        self.operations.push(json!({"op": "remove", "path": PERCENT}));
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(image: &str, percent: Option<i64>, before: usize) -> (Value, Seen) {
        let mut containers = vec![json!({"name": "agent", "image": "agent"}); before];
        containers.push(json!({"name": CONTAINER, "image": image}));
        let mut object = json!({"metadata": {"name": "iris", "uid": "u"}, "spec": {"predictor": {"containers": containers}}});
        if let Some(percent) = percent {
            object["spec"]["predictor"]["canaryTrafficPercent"] = percent.into();
        }
        let service = serde_json::from_value(object.clone()).unwrap();
        (object, Seen { service: Some(service), ..Seen::default() })
    }

    #[test]
    fn a_new_image_comes_with_percent_zero_and_the_tests_first() {
        let (_, seen) = seen("b", None, 0);
        let patch = serde_json::to_value(Guarded::image_at_zero(&seen, "c").patch).unwrap();
        assert_eq!(
            patch,
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "test", "path": "/spec/predictor/containers/0/name", "value": "kserve-container"},
                {"op": "test", "path": "/spec/predictor/containers/0/image", "value": "b"},
                {"op": "test", "path": "/spec/predictor/canaryTrafficPercent", "value": null},
                {"op": "replace", "path": "/spec/predictor/containers/0/image", "value": "c"},
                {"op": "add", "path": "/spec/predictor/canaryTrafficPercent", "value": 0},
                {"op": "add", "path": "/metadata/annotations", "value": {}},
                {"op": "add", "path": "/metadata/annotations/serving.kserve.io~1enable-tag-routing", "value": "true"},
            ])
        );
    }

    /// `test` of null must pass on an absent field, as it does on the API server.
    fn apply(object: &Value, patch: &Patch) -> bool {
        crate::simulator::apply(&mut object.clone(), patch).is_ok()
    }

    proptest! {
        #[test]
        fn a_patch_applies_to_what_was_seen_and_to_nothing_else(
            image in "[a-c]", percent in proptest::option::of(0..100_i64), before in 0..3_usize,
            other_image in "[a-c]", other_percent in proptest::option::of(0..100_i64), to in 1..100_u8,
        ) {
            let (object, seen) = seen(&image, percent, before);
            let (other, _) = self::seen(&other_image, other_percent, before);
            let mut patches = vec![
                Guarded::image_at_zero(&seen, "d"), Guarded::restore_at_zero(&seen, "d"), Guarded::image_alone(&seen, "d"),
                Guarded::percent(&seen, to),
            ];
            patches.extend(percent.is_some().then(|| Guarded::without_percent(&seen)));
            for Guarded { what, patch } in patches {
                prop_assert!(apply(&object, &patch), "{what}");
                let same = image == other_image && percent == other_percent;
                prop_assert_eq!(apply(&other, &patch), same, "{}", what);
            }
        }
    }
}
