//! The logger of a predictor, as far as it counts a model's answers: whose it is, and what becomes of it when
//! the image changes.
//!
//! `KServe`'s agent sends answers without a word about the version that gave them. The path of the logger's url
//! has it, `/NAMESPACE/SERVICE/VERSION`, so that the url belongs to the image and changes with it. A logger
//! whose path is anything else is its owner's, and stays.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::observed::Observed;

/// `KServe`'s annotations of a revision that has a logger
const LOGGER: &str = "internal.serving.kserve.io/logger";
const URL: &str = "internal.serving.kserve.io/logger-sink-url";
const MODE: &str = "internal.serving.kserve.io/logger-mode";
const HEADERS: &str = "internal.serving.kserve.io/logger-metadata-headers";
const ANNOTATIONS: &str = "internal.serving.kserve.io/logger-metadata-annotations";

/// Answers alone, so that no input leaves the pod.
const RESPONSE: &str = "response";

/// All that a segment of a path need not have encoded: RFC 3986, unreserved
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a release changes the logger of its service; null for none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LoggerChange {
    pub from: Value,
    pub to: Value,
}

/// Where the answers of a version are sent; none for a version that no path can name.
pub fn answers_url(base: &str, namespace: &str, service: &str, version: &str) -> Option<String> {
    let is_segment = !matches!(version, "" | "." | "..");
    let version = utf8_percent_encode(version, SEGMENT);
    is_segment.then(|| format!("{base}/{namespace}/{service}/{version}"))
}

/// A logger that sends answers there. What its owner has added to one of ours stays.
pub fn logger_to(url: &str, logger: &Value) -> Value {
    let mut logger = logger.clone();
    if logger.is_null() {
        logger = json!({"mode": RESPONSE});
    }
    logger["url"] = url.into();
    logger
}

/// The version in a url whose path is `/NAMESPACE/SERVICE/VERSION`
fn version_in(url: &str, namespace: &str, service: &str) -> Option<String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let (_, path) = rest.split_once('/')?;
    let version = path.strip_prefix(namespace)?.strip_prefix('/')?;
    let version = version.strip_prefix(service)?.strip_prefix('/')?;
    let is_segment = !version.is_empty() && !version.contains(['/', '?', '#']);
    let decoded = percent_decode_str(version).decode_utf8().ok()?;
    is_segment.then(|| decoded.into_owned())
}

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

    /// The logger that the service had without the canary in its spec: as its release has noted it, or else as
    /// the baseline's revision shows it. What somebody else has made of the logger meanwhile stays.
    pub fn logger_without_canary(&self, noted: Option<&LoggerChange>, baseline: &str) -> Value {
        let now = self.logger();
        let is_taken_away = now.is_null() && noted.is_none_or(|change| !change.to.is_null());
        if is_taken_away || self.is_owners(&now) {
            return now;
        }
        if let Some(change) = noted {
            return change.from.clone();
        }
        // Its answers are not those of the version that the url names, where nobody knows of another.
        let before = self.logger_of(baseline).unwrap_or_default();
        if before["url"] == now["url"] { now } else { before }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A service with this logger, and a baseline `b` with these annotations.
    fn observed(logger: Value, annotations: &Value) -> Observed {
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
    fn only_a_path_of_this_service_and_one_version_is_ours() {
        let of =
            |url: &str| observed(Value::Null, &json!({})).counted_version(&json!({"url": url}));
        assert_eq!(of("http://answer-counter.site:8080/models/iris/v2").as_deref(), Some("v2"));
        assert_eq!(of("https://elsewhere/models/iris/a%2Fb").as_deref(), Some("a/b"));
        for other in [
            "http://answer-counter.site:8080/models/iris",
            "http://answer-counter.site:8080/models/iris/",
            "http://answer-counter.site:8080/models/iris/v2/",
            "http://answer-counter.site:8080/models/iris/v2?x=1",
            "http://answer-counter.site:8080/models/iris/v2#x",
            "http://answer-counter.site:8080/models/iris-2/v2",
            "http://answer-counter.site:8080/other/iris/v2",
            "http://answer-counter.site:8080/x/models/iris/v2",
            "http://answer-counter.site:8080//models/iris/v2",
            "http://answer-counter.site:8080/models/iris/%ff",
            "models/iris/v2",
            "ftp://answer-counter.site/models/iris/v2",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(
            observed(Value::Null, &json!({})).counted_version(&json!({"mode": "all"})),
            None
        );
    }

    #[test]
    fn a_logger_of_ours_sends_answers_alone_and_keeps_what_its_owner_has_added() {
        assert_eq!(
            ours("v2"),
            json!({"mode": "response", "url": "http://answer-counter.site:8080/models/iris/v2"})
        );
        let added = json!({"mode": "all", "url": "old", "metadataHeaders": ["X-Team"]});
        let moved = json!({"mode": "all", "url": "new", "metadataHeaders": ["X-Team"]});
        assert_eq!(logger_to("new", &added), moved);
    }

    #[test]
    fn a_version_that_a_path_would_swallow_has_no_url() {
        for version in ["", ".", ".."] {
            assert_eq!(answers_url("http://a", "models", "iris", version), None, "{version}");
        }
    }

    #[test]
    fn a_revision_s_logger_is_what_its_annotations_say() {
        let of = |annotations: Value| observed(Value::Null, &annotations).logger_of("b");
        assert_eq!(of(json!({"a": "1"})), Some(Value::Null));
        assert_eq!(of(json!({LOGGER: "true"})), Some(json!({})));
        let all = json!({LOGGER: "true", URL: "http://x", MODE: "all", HEADERS: "a,b"});
        let wanted = json!({"url": "http://x", "mode": "all", "metadataHeaders": ["a", "b"]});
        assert_eq!(of(all), Some(wanted));
        assert_eq!(observed(Value::Null, &json!({})).logger_of("gone"), None);
    }

    #[test]
    fn without_the_canary_the_logger_is_the_baseline_s_and_an_owner_s_change_stays() {
        let owners = json!({"mode": "all", "url": "http://owner"});
        let of_v1 = json!({LOGGER: "true", URL: ours("v1")["url"], MODE: "response"});
        let change =
            |from: &Value, to: &Value| Some(LoggerChange { from: from.clone(), to: to.clone() });
        let (none, v1, v2) = (Value::Null, ours("v1"), ours("v2"));
        for (now, noted, annotations, wanted) in [
            (&v2, change(&v1, &v2), &json!({}), &v1),
            (&v2, change(&none, &v2), &of_v1, &none), // the note knows better
            (&v2, None, &of_v1, &v1),
            (&v2, None, &json!({}), &none),
            (&v1, None, &of_v1, &v1),
            (&none, change(&v1, &none), &json!({}), &v1), // the release took it away
            (&none, change(&v1, &v2), &of_v1, &none),     // somebody took it away
            (&none, None, &of_v1, &none),
            (&owners, change(&v1, &v2), &of_v1, &owners),
            (&owners, None, &of_v1, &owners),
        ] {
            let observed = observed(now.clone(), annotations);
            let found = observed.logger_without_canary(noted.as_ref(), "b");
            assert_eq!(&found, wanted, "{now} {noted:?} {annotations}");
            let gone = observed.logger_without_canary(noted.as_ref(), "gone");
            let is_known = noted.is_some() || now.is_null() || now == &owners;
            assert_eq!(&gone, if is_known { wanted } else { &none }, "{now} {noted:?}");
        }
    }

    proptest! {
        #[test]
        fn any_version_is_read_from_its_url(version in "(\\PC{1,30}|[/%?#.]{1,4})") {
            let Some(url) = answers_url("http://a:1", "models", "iris", &version) else {
                prop_assert!(version == "." || version == "..");
                return Ok(());
            };
            let observed = observed(Value::Null, &json!({}));
            prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{}", url);
            prop_assert_eq!(observed.counted_version(&json!({"url": url})), Some(version));
        }

        #[test]
        fn no_url_panics(url in "(https?://)?\\PC{0,20}(/models/iris/)?[%a-f0-9/?#]{0,9}") {
            let _ = observed(Value::Null, &json!({})).counted_version(&json!({"url": url}));
        }
    }
}
