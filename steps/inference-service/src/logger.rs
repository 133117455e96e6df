//! The logger that sends a model's answers to be counted, and its url.
//!
//! `KServe`'s agent sends answers without a word about the version that gave them. The path of the logger's url
//! has it, `/NAMESPACE/SERVICE/VERSION`, so that the url belongs to the image and changes with it. A logger
//! whose path is anything else is its owner's, and stays.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
pub(crate) fn version_in(url: &str, namespace: &str, service: &str) -> Option<String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let (_, path) = rest.split_once('/')?;
    let version = path.strip_prefix(namespace)?.strip_prefix('/')?;
    let version = version.strip_prefix(service)?.strip_prefix('/')?;
    let is_segment = !version.is_empty() && !version.contains(['/', '?', '#']);
    let decoded = percent_decode_str(version).decode_utf8().ok()?;
    is_segment.then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_path_of_this_service_and_one_version_is_ours() {
        let of = |url: &str| version_in(url, "models", "iris");
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
    }

    #[test]
    fn a_logger_of_ours_sends_answers_alone_and_keeps_what_its_owner_has_added() {
        assert_eq!(
            logger_to("http://answer-counter.site:8080/models/iris/v2", &Value::Null),
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

    proptest! {
        #[test]
        fn any_version_is_read_from_its_url(version in "(\\PC{1,30}|[/%?#.]{1,4})") {
            let Some(url) = answers_url("http://a:1", "models", "iris", &version) else {
                prop_assert!(version == "." || version == "..");
                return Ok(());
            };
            prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{}", url);
            prop_assert_eq!(version_in(&url, "models", "iris"), Some(version));
        }

        #[test]
        fn no_url_panics(url in "(https?://)?\\PC{0,20}(/models/iris/)?[%a-f0-9/?#]{0,9}") {
            let _ = version_in(&url, "models", "iris");
        }
    }
}
