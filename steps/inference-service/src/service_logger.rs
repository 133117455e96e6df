//! Whose the logger of a service is, and what becomes of it with a canary.
//!
//! One whose url names this service and a version is ours, and belongs to an image; any other is its owner's.

use serde_json::{Map, Value};

use crate::{
    image::same_image,
    logger::{LoggerChange, logger_to, version_in},
    objects::LOGGER_PENDING,
    observed::Observed,
};

/// `KServe`'s annotations of a revision that has a logger
const LOGGER: &str = "internal.serving.kserve.io/logger";
const URL: &str = "internal.serving.kserve.io/logger-sink-url";
const MODE: &str = "internal.serving.kserve.io/logger-mode";
const HEADERS: &str = "internal.serving.kserve.io/logger-metadata-headers";
const ANNOTATIONS: &str = "internal.serving.kserve.io/logger-metadata-annotations";

impl Observed {
    /// The predictor's logger as the spec has it; null for none
    pub fn logger(&self) -> Value {
        let logger = self.predictor().and_then(|predictor| predictor.logger.clone());
        logger.unwrap_or_default()
    }

    /// The logger that a revision was made with, as far as its annotations show it; null for none, nothing
    /// where the revision is gone
    pub fn logger_of(&self, revision: &str) -> Option<Value> {
        self.revisions.get(revision)?;
        let annotation = |key| self.annotation_of(revision, key);
        if annotation(LOGGER).is_none() {
            return Some(Value::Null);
        }
        let mut logger = Map::new();
        for (name, key) in [("url", URL), ("mode", MODE)] {
            logger.extend(annotation(key).map(|text| (name.to_owned(), text.into())));
        }
        for (name, key) in [("metadataHeaders", HEADERS), ("metadataAnnotations", ANNOTATIONS)] {
            let list = annotation(key).map(|text| text.split(',').collect::<Value>());
            logger.extend(list.map(|list| (name.to_owned(), list)));
        }
        Some(logger.into())
    }

    /// The version as which a logger has answers of this service counted; none for a logger of its owner's, and
    /// without one
    pub fn counted_version(&self, logger: &Value) -> Option<String> {
        version_in(logger["url"].as_str()?, &self.namespace, &self.name)
    }

    /// Whether a logger is the owner's
    pub fn is_owners(&self, logger: &Value) -> bool {
        !logger.is_null() && self.counted_version(logger).is_none()
    }

    /// Whether a revision has no logger only because its answers could not be counted when it was released
    pub fn is_logger_pending(&self, revision: &str) -> bool {
        self.annotation_of(revision, LOGGER_PENDING).is_some()
    }

    /// The logger that the service had without this canary, which is in its spec, and has with this baseline: as the
    /// canary's release has noted it, or else as the baseline's revision shows it. What somebody else has made of
    /// the logger meanwhile stays.
    pub fn logger_without_canary(&self, canary: &str, baseline: &str) -> Value {
        let (now, noted) = (self.logger(), self.noted_logger(canary));
        let is_taken_away =
            now.is_null() && noted.as_ref().is_none_or(|change| !change.to.is_null());
        if is_taken_away || self.is_owners(&now) {
            return now;
        }
        let from = noted.map(|change| change.from);
        let of_baseline = self.logger_of(baseline);
        // The note is about the baseline that it began beside. Where nobody knows it, none: the version that the
        // url names gives no answers any more.
        let is_noted = self.mark.baseline_revision == baseline;
        let before = if is_noted { from.or(of_baseline) } else { of_baseline.or(from) };
        let before = before.unwrap_or_default();
        match before["url"].as_str().filter(|_| !now.is_null() && !self.is_owners(&before)) {
            Some(url) => logger_to(url, &now),
            None => before,
        }
    }

    /// How this canary, which is in the spec, has changed the logger. Once a release has noted that it takes the
    /// canary's place, the note tells from what, and the spec to what.
    fn noted_logger(&self, canary: &str) -> Option<LoggerChange> {
        let (mark, now) = (&self.mark, self.logger());
        if mark.is_of(canary) {
            let unchanged = || LoggerChange { from: now.clone(), to: now };
            return Some(mark.logger.clone().unwrap_or_else(unchanged));
        }
        let from =
            mark.logger.as_ref().filter(|_| same_image(&mark.replaced, canary))?.from.clone();
        Some(LoggerChange { from, to: now })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{logger::answers_url, owner_lease::Mark};

    /// A service with this logger, and a revision `b` with these annotations.
    fn observed(logger: &Value, annotations: &Value) -> Observed {
        let service =
            json!({"metadata": {"name": "iris"}, "spec": {"predictor": {"logger": logger}}});
        let revision = json!({"metadata": {"name": "b", "annotations": annotations}, "spec": {}});
        Observed {
            service: serde_json::from_value(service).unwrap(),
            revisions: [("b".to_owned(), serde_json::from_value(revision).unwrap())].into(),
            ..Observed::nothing_of("models", "iris")
        }
    }

    fn ours(version: &str) -> Value {
        let url = answers_url("http://answer-counter.site:8080", "models", "iris", version);
        logger_to(&url.unwrap(), &Value::Null)
    }

    #[test]
    fn a_revision_s_logger_is_what_its_annotations_say() {
        let of = |annotations: Value| observed(&Value::Null, &annotations).logger_of("b");
        assert_eq!(of(json!({"a": "1"})), Some(Value::Null));
        assert_eq!(of(json!({LOGGER: "true"})), Some(json!({})));
        let all = json!({LOGGER: "true", URL: "http://x", MODE: "all", HEADERS: "a,b"});
        let wanted = json!({"url": "http://x", "mode": "all", "metadataHeaders": ["a", "b"]});
        assert_eq!(of(all), Some(wanted));
        assert_eq!(observed(&Value::Null, &json!({})).logger_of("gone"), None);
    }

    #[test]
    fn without_the_canary_the_logger_is_the_baseline_s_and_an_owner_s_change_stays() {
        let owners = json!({"mode": "all", "url": "http://owner"});
        let of_v1 = json!({LOGGER: "true", URL: ours("v1")["url"], MODE: "response"});
        let change =
            |from: &Value, to: &Value| Some(LoggerChange { from: from.clone(), to: to.clone() });
        let (none, v1, v2) = (Value::Null, ours("v1"), ours("v2"));
        let with_more = |logger: &Value| {
            let mut logger = logger.clone();
            logger["metadataHeaders"] = json!(["X-Team"]);
            logger
        };
        let (more_v1, more_v2) = (with_more(&v1), with_more(&v2));
        let canary = |observed: Observed, noted: Option<LoggerChange>, baseline: &str| {
            let mark = Mark::default().begin("c", baseline, "").from_logger(noted.clone());
            let mark = if noted.is_some() { mark } else { Mark::default() };
            Observed { mark, ..observed }
        };
        for (now, noted, annotations, wanted) in [
            (&v2, change(&v1, &v2), &json!({}), &v1),
            (&v2, change(&none, &v2), &of_v1, &none), // the note knows better
            (&v2, None, &of_v1, &v1),
            (&more_v2, change(&v1, &v2), &of_v1, &more_v1), // what somebody has added stays
            (&more_v2, None, &of_v1, &more_v1),
            (&v2, None, &json!({}), &none),
            (&v1, None, &of_v1, &v1),
            (&none, change(&v1, &none), &json!({}), &v1), // the release took it away
            (&none, change(&v1, &v2), &of_v1, &none),     // somebody took it away
            (&none, None, &of_v1, &none),
            (&owners, change(&v1, &v2), &of_v1, &owners),
            (&owners, None, &of_v1, &owners),
        ] {
            let of = |baseline| {
                let observed = canary(observed(now, annotations), noted.clone(), baseline);
                observed.logger_without_canary("c", baseline)
            };
            assert_eq!(&of("b"), wanted, "{now} {noted:?} {annotations}");
            let gone = of("gone");
            let is_known = noted.is_some() || now.is_null() || now == &owners;
            assert_eq!(&gone, if is_known { wanted } else { &none }, "{now} {noted:?}");
        }
    }

    #[test]
    fn another_baseline_than_the_noted_one_has_the_logger_of_its_own_revision() {
        let (none, v0, v1, v2) = (Value::Null, ours("v0"), ours("v1"), ours("v2"));
        let of_v0 = json!({LOGGER: "true", URL: v0["url"], MODE: "response"});
        for (now, annotations, baseline, wanted) in [
            (&v2, &of_v0, "b", &v0),
            (&v2, &json!({}), "b", &none),
            (&none, &of_v0, "b", &v0), // the canary has taken it away
            (&v2, &of_v0, "gone", &v1),
        ] {
            let noted = LoggerChange { from: v1.clone(), to: now.clone() };
            let mark = Mark::default().begin("c", "noted", "").from_logger(Some(noted));
            let observed = Observed { mark, ..observed(now, annotations) };
            let found = observed.logger_without_canary("c", baseline);
            assert_eq!(&found, wanted, "{now} {annotations} {baseline}");
        }
    }
}
