//! Guarded patches: JSON Patches whose `test`s say what must still be true, and then what changes, in one
//! request.
//!
//! The API server refuses the whole patch when a test fails, so a decision that is out of date
//! changes nothing. Server-side apply cannot say "only while these fields are what I saw". The tests name the object's uid, the container, the image and the percent, and not the
//! resource version, which every status write moves.

use std::collections::BTreeMap;

use json_patch::Patch;
use serde_json::{Value, json};

use crate::{
    desired::DesiredSpec,
    objects::{CONTAINER, TAG_ROUTING},
    observed::Observed,
};

/// A JSON Patch with `test` preconditions, and the words for what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardedPatch {
    pub what: String,
    pub patch: Patch,
}

const PERCENT: &str = "/spec/predictor/canaryTrafficPercent";
const ANNOTATIONS: &str = "/metadata/annotations";
/// When a first release was tried again
const TRIED_AT: &str = "kanaria.dev/tried-at";
const PULL_SECRETS: &str = "/spec/predictor/imagePullSecrets";
const LOGGER: &str = "/spec/predictor/logger";

/// The tests and changes of one patch, as JSON.
struct Draft<'a> {
    observed: &'a Observed,
    operations: Vec<Value>,
}

impl<'a> Draft<'a> {
    fn guard(observed: &'a Observed) -> Self {
        Self { observed, operations: Vec::new() }
            .then("test", "/metadata/uid", observed.uid())
            .then("test", &path_of(observed, "name"), CONTAINER)
            .then("test", &path_of(observed, "image"), observed.image())
            // A null also passes when the field is absent, which is what it stands for here.
            .then("test", PERCENT, observed.percent())
    }

    fn then(mut self, op: &str, path: &str, value: impl Into<Value>) -> Self {
        self.operations.push(json!({"op": op, "path": path, "value": value.into()}));
        self
    }

    fn remove(mut self, path: &str) -> Self {
        self.operations.push(json!({"op": "remove", "path": path}));
        self
    }

    /// Only what differs, so that an image that brings nothing else tests nothing else.
    fn put(self, spec: &DesiredSpec) -> Self {
        let DesiredSpec { image, fields, annotations, pull_secret, logger } = spec;
        let path = path_of(self.observed, "image");
        let mut draft = self.then("replace", &path, image.as_str());
        for (name, value) in &fields.0 {
            draft = draft.field(name, value);
        }
        draft = draft.annotations(annotations);
        if let Some(logger) = logger {
            let now = draft.observed.logger();
            draft = draft.change(LOGGER, now, logger);
        }
        match pull_secret {
            Some(secret) => draft.pull_secret(secret),
            None => draft,
        }
    }

    fn field(self, name: &str, value: &Value) -> Self {
        let (path, now) = (path_of(self.observed, name), self.observed.field(name));
        self.change(&path, now, value)
    }

    /// To a value that may be null, which is not there.
    fn change(self, path: &str, now: Value, value: &Value) -> Self {
        if now == *value {
            return self;
        }
        let draft = self.then("test", path, now);
        if value.is_null() { draft.remove(path) } else { draft.then("add", path, value.clone()) }
    }

    fn annotations(mut self, annotations: &BTreeMap<String, Option<String>>) -> Self {
        let differing = |(key, value): &(&String, &Option<String>)| {
            self.observed.annotation(key) != value.as_deref()
        };
        let differing: Vec<_> = annotations.iter().filter(differing).collect();
        if !differing.is_empty() && !self.observed.has_annotations() {
            self = self.then("add", ANNOTATIONS, json!({}));
        }
        differing.into_iter().fold(self, |draft, (key, value)| {
            let path = format!("{ANNOTATIONS}/{}", key.replace('~', "~0").replace('/', "~1"));
            match value {
                Some(value) => draft.then("add", &path, value.as_str()),
                None => draft.remove(&path),
            }
        })
    }

    fn pull_secret(self, secret: &str) -> Self {
        let entry = json!({"name": secret});
        match self.observed.pull_secrets() {
            _ if self.observed.has_pull_secret(secret) => self,
            Some(secrets) => self.then("test", PULL_SECRETS, secrets.to_vec()).then(
                "add",
                &format!("{PULL_SECRETS}/-"),
                entry,
            ),
            None => self.then("test", PULL_SECRETS, Value::Null).then("add", PULL_SECRETS, [entry]),
        }
    }

    fn done(self, what: String) -> GuardedPatch {
        let patch = serde_json::from_value(Value::Array(self.operations)).unwrap_or_default();
        GuardedPatch { what, patch }
    }
}

impl GuardedPatch {
    /// Puts another image at 0 %, and gives the routes their addresses if they have none yet.
    ///
    /// Image and percent at once: percent alone reads to KServe as a rollback, image alone goes to 100 %.
    pub fn image_at_zero(observed: &Observed, spec: &DesiredSpec) -> Self {
        let mut spec = spec.clone();
        // It makes a new revision, which the new image makes anyway.
        spec.annotations.insert(TAG_ROUTING.into(), Some("true".into()));
        Self::at_zero(observed, &spec, "set")
    }

    /// Puts another image and leaves the percent out: it serves everybody once it is ready.
    pub fn image_alone(observed: &Observed, spec: &DesiredSpec) -> Self {
        let draft = Draft::guard(observed).put(spec);
        let draft = if observed.percent().is_some() { draft.remove(PERCENT) } else { draft };
        draft.done(format!("set image `{}` for all requests", spec.image))
    }

    /// Has everybody look again at a service that has never served: its next revision is a new one,
    /// which is tried at once.
    pub fn again(observed: &Observed, spec: &DesiredSpec, now: &str) -> Self {
        let mut spec = spec.clone();
        spec.annotations.insert(TRIED_AT.into(), Some(now.into()));
        Draft::guard(observed).put(&spec).done(format!("try image `{}` again", spec.image))
    }

    /// Puts back an image at 0 %.
    pub fn restore_at_zero(observed: &Observed, spec: &DesiredSpec) -> Self {
        Self::at_zero(observed, spec, "restore")
    }

    fn at_zero(observed: &Observed, spec: &DesiredSpec, verb: &str) -> Self {
        let what = format!("{verb} image `{}` at 0 %", spec.image);
        Draft::guard(observed).put(spec).then("add", PERCENT, 0).done(what)
    }

    /// Moves traffic alone; no new revision.
    pub fn percent(observed: &Observed, percent: u8) -> Self {
        Draft::guard(observed).then("add", PERCENT, percent).done(format!("set {percent} %"))
    }

    /// Gives the latest revision all traffic and leaves no percent behind, so that the next image
    /// does not inherit it.
    pub fn without_percent(observed: &Observed) -> Self {
        Draft::guard(observed)
            .remove(PERCENT)
            .done("remove the percent: all requests to the latest revision".into())
    }
}

/// Of a field of the model's container
fn path_of(observed: &Observed, field: &str) -> String {
    let containers = observed.predictor().map_or(&[][..], |predictor| &predictor.containers);
    let index = containers.iter().position(|one| one.name == CONTAINER).unwrap_or_default();
    format!("/spec/predictor/containers/{index}/{field}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn observed(image: &str, percent: Option<i64>, before: usize) -> (Value, Observed) {
        let mut containers = vec![json!({"name": "agent", "image": "agent"}); before];
        containers.push(json!({"name": CONTAINER, "image": image}));
        let mut object = json!({"metadata": {"name": "iris", "uid": "u"}, "spec": {"predictor": {"containers": containers}}});
        if let Some(percent) = percent {
            object["spec"]["predictor"]["canaryTrafficPercent"] = percent.into();
        }
        let service = serde_json::from_value(object.clone()).unwrap();
        (object, Observed { service: Some(service), ..Observed::default() })
    }

    #[test]
    fn a_new_image_comes_with_percent_zero_and_the_tests_first() {
        let (_, observed) = observed("b", None, 0);
        let patch = serde_json::to_value(
            GuardedPatch::image_at_zero(&observed, &DesiredSpec::image("c")).patch,
        )
        .unwrap();
        assert_eq!(
            patch,
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "test", "path": "/spec/predictor/containers/0/name", "value": "kserve-container"},
                {"op": "test", "path": "/spec/predictor/containers/0/image", "value": "b"},
                {"op": "test", "path": "/spec/predictor/canaryTrafficPercent", "value": null},
                {"op": "replace", "path": "/spec/predictor/containers/0/image", "value": "c"},
                {"op": "add", "path": "/metadata/annotations", "value": {}},
                {"op": "add", "path": "/metadata/annotations/serving.kserve.io~1enable-tag-routing", "value": "true"},
                {"op": "add", "path": "/spec/predictor/canaryTrafficPercent", "value": 0},
            ])
        );
    }

    #[test]
    fn what_comes_with_an_image_is_tested_and_changed_only_where_it_differs() {
        let (mut object, _) = observed("b", None, 0);
        object["metadata"]["annotations"] = json!({"a": "1", "b/c": "2"});
        object["spec"]["predictor"]["imagePullSecrets"] = json!([{"name": "other"}]);
        let container = &mut object["spec"]["predictor"]["containers"][0];
        container["env"] = json!([{"name": "A", "value": "1"}]);
        container["resources"] = json!({"limits": {"cpu": "1"}});
        let observed = Observed {
            service: serde_json::from_value(object.clone()).unwrap(),
            ..Observed::default()
        };
        let change = DesiredSpec {
            image: "c".into(),
            fields: serde_json::from_value(
                json!({"env": null, "resources": {"limits": {"cpu": "1"}}}),
            )
            .unwrap(),
            annotations: [("a", "1"), ("b/c", "3")]
                .map(|(key, value)| (key.into(), Some(value.into())))
                .into(),
            pull_secret: Some("registry".into()),
            logger: Some(json!({"url": "http://c"})),
        };
        let GuardedPatch { patch, .. } = GuardedPatch::restore_at_zero(&observed, &change);
        assert_eq!(
            serde_json::to_value(&patch).unwrap().as_array().unwrap()[4..],
            [
                json!({"op": "replace", "path": "/spec/predictor/containers/0/image", "value": "c"}),
                json!({"op": "test", "path": "/spec/predictor/containers/0/env", "value": [{"name": "A", "value": "1"}]}),
                json!({"op": "remove", "path": "/spec/predictor/containers/0/env"}),
                json!({"op": "add", "path": "/metadata/annotations/b~1c", "value": "3"}),
                json!({"op": "test", "path": "/spec/predictor/logger", "value": null}),
                json!({"op": "add", "path": "/spec/predictor/logger", "value": {"url": "http://c"}}),
                json!({"op": "test", "path": "/spec/predictor/imagePullSecrets", "value": [{"name": "other"}]}),
                json!({"op": "add", "path": "/spec/predictor/imagePullSecrets/-", "value": {"name": "registry"}}),
                json!({"op": "add", "path": "/spec/predictor/canaryTrafficPercent", "value": 0}),
            ]
        );
        crate::simulator::apply(&mut object, &patch).unwrap();
        let after =
            Observed { service: serde_json::from_value(object).unwrap(), ..Observed::default() };
        let again =
            serde_json::to_value(GuardedPatch::restore_at_zero(&after, &change).patch).unwrap();
        assert_eq!(again.as_array().unwrap().len(), 6, "only image and percent are written again");
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
            let (object, observed) = observed(&image, percent, before);
            let (other, _) = self::observed(&other_image, other_percent, before);
            let mut patches = vec![
                GuardedPatch::image_at_zero(&observed, &DesiredSpec::image("d")), GuardedPatch::restore_at_zero(&observed, &DesiredSpec::image("d")),
                GuardedPatch::image_alone(&observed, &DesiredSpec::image("d")),
                GuardedPatch::percent(&observed, to),
            ];
            patches.extend(percent.is_some().then(|| GuardedPatch::without_percent(&observed)));
            for GuardedPatch { what, patch } in patches {
                prop_assert!(apply(&object, &patch), "{what}");
                let same = image == other_image && percent == other_percent;
                prop_assert_eq!(apply(&other, &patch), same, "{}", what);
            }
        }

        #[test]
        fn a_logger_is_replaced_only_by_who_has_seen_it(
            seen in proptest::option::of("[ab]"), other in proptest::option::of("[ab]"), wanted in proptest::option::of("[ab]"),
        ) {
            let with = |logger: &Option<String>| {
                let (mut object, _) = observed("b", None, 0);
                if let Some(url) = logger {
                    object["spec"]["predictor"]["logger"] = json!({"url": url});
                }
                object
            };
            let service = serde_json::from_value(with(&seen)).unwrap();
            let observed = Observed { service: Some(service), ..Observed::default() };
            let logger = wanted.as_ref().map_or(Value::Null, |url| json!({"url": url}));
            let spec = DesiredSpec { logger: Some(logger.clone()), ..DesiredSpec::image("c") };
            let GuardedPatch { patch, .. } = GuardedPatch::image_at_zero(&observed, &spec);
            let mut object = with(&other);
            let is_applied = crate::simulator::apply(&mut object, &patch).is_ok();
            prop_assert_eq!(is_applied, seen == other || seen == wanted);
            let now = &object["spec"]["predictor"]["logger"];
            prop_assert!(!is_applied || seen == wanted || *now == logger, "{}", now);
        }
    }
}
