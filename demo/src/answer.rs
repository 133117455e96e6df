//! What a request to a model brought, and how many brought what.

use std::{collections::BTreeMap, fmt, time::Instant};

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::Value;

/// An answer of whoever gave one: the model, or something on the way to it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub text: String,
}

impl Answer {
    /// The version that gave it, if it is a prediction.
    pub fn version(&self) -> Option<String> {
        named_version(&self.text).filter(|_| self.status.is_success())
    }
}

/// A request that brought no prediction, and all that tells whose fault it was.
#[derive(Clone, Debug)]
pub struct FailedRequest {
    /// When it was over
    pub at: Instant,
    /// None where there was no answer at all
    pub status: Option<StatusCode>,
    /// The answer's text, or what became of the connection
    pub text: String,
}

impl FailedRequest {
    /// The version whose server gave the answer, where it names itself.
    pub fn version(&self) -> Option<String> {
        named_version(&self.text)
    }
}

fn named_version(text: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(text).ok()?;
    answer["version"].as_str().map(ToOwned::to_owned)
}

/// Answers counted by the version that gave them; any other than a prediction is counted by what it was instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub by_version: BTreeMap<String, usize>,
    pub by_error: BTreeMap<String, usize>,
}

impl Answers {
    pub fn total(&self) -> usize {
        self.by_version.values().sum::<usize>() + self.errors()
    }

    pub fn errors(&self) -> usize {
        self.by_error.values().sum()
    }

    /// Counts what a request brought, which was over at this time. Returns it if it failed.
    pub fn count(&mut self, answer: Result<Answer>, at: Instant) -> Option<FailedRequest> {
        let (status, text) = match answer {
            Ok(answer) => match answer.version() {
                Some(version) => {
                    *self.by_version.entry(version).or_default() += 1;
                    return None;
                }
                None => (Some(answer.status), answer.text.trim().to_owned()),
            },
            Err(error) => (None, format!("{error:#}")),
        };
        let error = status.map_or(text.clone(), |status| format!("{status}: {text}"));
        *self.by_error.entry(error).or_default() += 1;
        Some(FailedRequest { at, status, text })
    }
}

/// `v1 90 (90 %), v2 9 (9 %), errors 1`
impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total().max(1);
        for (version, answers) in &self.by_version {
            write!(f, "{version} {answers} ({} %), ", (answers * 100 + total / 2) / total)?;
        }
        write!(f, "errors {}", self.errors())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Result<Answer> {
        Ok(Answer { status: StatusCode::from_u16(status)?, text: text.into() })
    }

    fn counted(all: impl IntoIterator<Item = Result<Answer>>) -> (Answers, Vec<FailedRequest>) {
        let (mut answers, at) = (Answers::default(), Instant::now());
        let failed = all.into_iter().filter_map(|answer| answers.count(answer, at)).collect();
        (answers, failed)
    }

    #[test]
    fn shares_are_of_all_requests_and_rounded() {
        let by = |version: &str| answer(200, &format!(r#"{{"version":"{version}"}}"#));
        let all = [by("v1"), by("v1"), by("v2"), answer(503, "no healthy upstream")];
        insta::assert_snapshot!(counted(all).0, @"v1 2 (50 %), v2 1 (25 %), errors 1");
        let thirds = [by("v1"), by("v1"), by("v2")];
        insta::assert_snapshot!(counted(thirds).0, @"v1 2 (67 %), v2 1 (33 %), errors 0");
        insta::assert_snapshot!(Answers::default(), @"errors 0");
    }

    #[test]
    fn a_version_that_answers_with_an_error_is_not_counted_as_a_prediction_and_is_known_still() {
        let refused = r#" {"error":"refused","version":"v2"} "#;
        let (answers, failed) = counted([answer(422, refused), answer(422, refused)]);
        let error = format!("422 Unprocessable Entity: {}", refused.trim());
        assert_eq!(answers.by_error, [(error, 2)].into());
        assert_eq!((answers.total(), answers.errors()), (2, 2));
        assert_eq!(failed[0].version().as_deref(), Some("v2"));
        assert_eq!(failed[0].status, Some(StatusCode::UNPROCESSABLE_ENTITY));
    }

    #[test]
    fn a_success_that_names_no_version_is_an_error_and_so_is_no_answer_at_all() {
        let lost = anyhow::anyhow!("timed out").context("failed to ask the model");
        let (answers, failed) = counted([answer(200, "<html>"), Err(lost)]);
        let errors: Vec<_> = answers.by_error.into_keys().collect();
        assert_eq!(errors, ["200 OK: <html>", "failed to ask the model: timed out"]);
        assert_eq!((failed[1].status, failed[1].version()), (None, None));
    }
}
