//! An answer that is not what was asked for, in the registry's words, and what they mean.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;
use step::{
    http::retry_after,
    text::{is_sha256, short},
};

use crate::{
    error::{RegistryError, Right, is_busy},
    http::Http,
    reference::RepositoryName,
};

const LARGEST_ERROR: usize = 64 << 10;
/// Of what it says so many characters are repeated.
const LONGEST_TEXT: usize = 4000;

/// What a registry said instead.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// For people, of the first error
    pub(crate) text: String,
    retry_after: Option<Duration>,
    /// Of each error, in the registry's order
    codes: Vec<String>,
    /// All that was said, for what has to be found in it
    words: String,
}

impl Refusal {
    pub(crate) async fn read(http: &Http, answer: Response) -> Self {
        let status = answer.status();
        let retry_after = retry_after(answer.headers());
        let body = http.whole(answer, LARGEST_ERROR, "error").await.unwrap_or_default();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        let errors = json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let word = |error: &Value, name| error[name].as_str().unwrap_or_default().to_owned();
        let codes: Vec<_> = errors.iter().map(|error| word(error, "code")).collect();
        let message = match errors.first().map(|first| word(first, "message")) {
            Some(message) if !message.is_empty() => format!(" ({message})"),
            _ => String::new(),
        };
        let code = codes.first().map_or("", String::as_str);
        let text = short(&format!("it answered {status} {code}{message}"), LONGEST_TEXT);
        let words = String::from_utf8_lossy(&body).into_owned();
        Self { status, text, retry_after, codes, words }
    }

    pub(crate) fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|one| one.eq_ignore_ascii_case(code))
    }

    /// What it means for most of what is asked.
    pub(crate) fn error(self, right: Right, repository: &RepositoryName) -> RegistryError {
        let Self { status, text, retry_after, .. } = self;
        match status.as_u16() {
            401 | 403 => RegistryError::Denied { text, right, repository: repository.clone() },
            _ if is_busy(status) => RegistryError::Busy { text, retry_after },
            _ => RegistryError::Answered(text),
        }
    }

    /// Of a manifest: whether a blob that it names is not there. Answers 400 and 404 differ in nothing else.
    pub(crate) fn unknown_blobs(&self) -> Option<Vec<String>> {
        let is_unknown = self.has("MANIFEST_BLOB_UNKNOWN") || self.has("BLOB_UNKNOWN");
        is_unknown.then(|| self.digests())
    }

    /// All that are named, wherever they stand: each registry puts them elsewhere.
    fn digests(&self) -> Vec<String> {
        let named = self.words.match_indices("sha256:").filter_map(|(at, kind)| {
            let digits = self.words.get(at + kind.len()..at + kind.len() + 64)?;
            is_sha256(digits).then(|| format!("{kind}{digits}"))
        });
        let mut found: Vec<_> = named.collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Of a tag: whether it must not change. ECR answers 400 and `TAG_INVALID`, Harbor 412, Artifact Registry 400 or
    /// 403, others 409; most of them say so.
    pub(crate) fn is_immutable(&self) -> bool {
        let said = self.words.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
        match self.status.as_u16() {
            409 | 412 => true,
            400 | 403 | 405 => {
                says(&["immutab"])
                    || self.has("TAG_INVALID")
                        && says(&["already exists", "overwrit", "overrid", "cannot be updated"])
            }
            _ => false,
        }
    }
}
