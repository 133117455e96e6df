//! What there shall be: an image, what goes into the spec with it, and what a canary has to leave as it was.

use std::collections::BTreeMap;

use model_container::{BROUGHT, Fields, or_null};
use serde_json::Value;

use crate::{
    image::same_image,
    objects::{LOGGER_PENDING, PROGRESS_DEADLINE, model},
    observed::Observed,
};

/// What one patch puts into the spec: an image, and what goes with it, because each of it makes a new
/// revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DesiredSpec {
    pub image: String,
    /// Fields of its container
    pub fields: Fields,
    /// Annotations of the service, none for one to take away; all others stay
    pub annotations: BTreeMap<String, Option<String>>,
    /// Secret with which the pods pull the image; those that are there stay
    pub pull_secret: Option<String>,
    /// The predictor's logger, null for none; nothing leaves the one that is there
    pub logger: Option<Value>,
}

impl DesiredSpec {
    /// The image alone.
    pub fn image(image: &str) -> Self {
        Self { image: image.to_owned(), ..Self::default() }
    }
}

impl Observed {
    /// Fields of the model's container that a release can bring, as they were before the canary that the
    /// spec asks for, if it asks for one
    pub fn fields_before(&self) -> Fields {
        let image = self.image().unwrap_or_default();
        let before = if self.is_latest_of_spec() && self.latest() == self.rolled_out() {
            Fields::default()
        } else if self.mark.is_of(image) || same_image(&self.mark.replaced, image) {
            self.mark.before.clone()
        } else {
            self.fields_lost(self.rolled_out())
        };
        before.or(self.fields())
    }

    /// The same of the predictor's logger
    pub fn logger_before(&self) -> Value {
        if self.is_latest_of_spec() && self.latest() == self.rolled_out() {
            return self.logger();
        }
        self.logger_without_canary(self.image().unwrap_or_default(), self.rolled_out())
    }

    /// Fields of a baseline in which the revision of the spec differs, for want of a note of them.
    ///
    /// Both revisions have the defaults of KServe and Knative, so that those do not differ, and the
    /// variables that KServe adds to all.
    pub fn fields_lost(&self, baseline: &str) -> Fields {
        let latest = Some(self.latest()).filter(|_| self.is_latest_of_spec());
        let fields = |revision: &str| {
            let containers = &self.revisions.get(revision)?.spec.containers;
            Some(model(containers).map(|model| model.fields.clone()).unwrap_or_default())
        };
        let (Some(latest), Some(baseline)) = (latest.and_then(fields), fields(baseline)) else {
            return Fields::default();
        };
        let differing = BROUGHT.iter().filter(|name| baseline.get(name) != latest.get(name));
        let of_baseline = |name: &str| match (baseline.get(name), latest.get(name)) {
            (Value::Array(variables), Value::Array(others)) => {
                let in_spec = self.field(name);
                let in_spec = in_spec.as_array().map_or(&[][..], Vec::as_slice);
                let is_added = |one: &Value| others.contains(one) && !in_spec.contains(one);
                variables.into_iter().filter(|one| !is_added(one)).collect()
            }
            (value, _) => value,
        };
        Fields(differing.map(|name| ((*name).to_owned(), or_null(of_baseline(name)))).collect())
    }

    /// What gives the next revision the annotations of a release that this one has, such as the progress deadline;
    /// none where the revision is gone, or where another place than the service's annotation says it.
    pub fn annotations_like(&self, revision: &str) -> BTreeMap<String, Option<String>> {
        let is_known = |key: &&str| {
            let latest = self.annotation_of(self.latest(), key);
            self.revisions.contains_key(revision)
                && (!self.is_latest_of_spec() || self.annotation(key) == latest)
        };
        let wanted =
            |key: &str| (key.to_owned(), self.annotation_of(revision, key).map(String::from));
        [PROGRESS_DEADLINE, LOGGER_PENDING].into_iter().filter(is_known).map(wanted).collect()
    }
}
