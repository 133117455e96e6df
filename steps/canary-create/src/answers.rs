//! Whether the answers of the new version are counted beside those of the one before: the logger that goes
//! with the image, and what is said of it.

use inference_service::{Observed, answers_url, logger_to};
use serde_json::Value;
use step::text::short;

use crate::{
    answer_counter::{AnswerCounter, AnswersOf},
    desired::Desired,
};

/// As the events' schemas have it.
const LONGEST: usize = 200;

impl Desired {
    /// The logger that goes with the image, where the service had this one without the canary. One of its
    /// owner's stays; one of ours names the new version, or goes where nothing is counted any more.
    pub(crate) fn logger(&self, observed: &Observed, before: &Value) -> Value {
        if observed.is_owners(before) {
            return before.clone();
        }
        let Some(url) = self.sink(observed) else { return Value::Null };
        let may_be_added = self.may_add_logger(observed) && !self.answers.counter_is_silent;
        // One that is there moves on also while nobody answers: what it sent would count for the version before.
        if before.is_null() && !may_be_added { Value::Null } else { logger_to(&url, before) }
    }

    /// Whether the service may get a logger that it did not have
    fn may_add_logger(&self, observed: &Observed) -> bool {
        let is_first = observed.service.is_none() || observed.rolled_out().is_empty();
        is_first || self.answers.of == AnswersOf::All
    }

    /// Whether there is anything to ask the counter for
    pub(crate) fn counts_answers(&self, observed: &Observed) -> bool {
        let before = observed.logger_before();
        let is_ours = !before.is_null() && !observed.is_owners(&before);
        let would_be_added = before.is_null() && self.may_add_logger(observed);
        self.sink(observed).is_some() && (is_ours || would_be_added)
    }

    fn sink(&self, observed: &Observed) -> Option<String> {
        let AnswerCounter { base, .. } = self.answers.counter.as_ref()?;
        answers_url(base, &observed.namespace, &observed.name, &self.release.version)
    }

    /// `compared` or `observed`, or why the answers are not compared: as the revisions show it, whoever made them.
    /// Never empty, which a gate would take for a run of its own.
    pub(crate) fn answers(&self, observed: &Observed, outcome: &str) -> String {
        let Some(counter) = &self.answers.counter else { return "answers are not counted".into() };
        let state = if self.answers.shift_is_expected { "observed" } else { "compared" };
        let why = match outcome {
            "canary" => self.not_compared(observed, counter),
            _ if self.answers.counter_is_silent => Some(silent(counter)),
            _ => {
                Some("nothing serves beside it, so there is nothing to compare answers with".into())
            }
        };
        why.map_or(state.to_owned(), |why| short(&why, LONGEST))
    }

    fn not_compared(&self, observed: &Observed, counter: &AnswerCounter) -> Option<String> {
        let version = &self.release.version;
        let logger = observed.logger_of(observed.latest()).unwrap_or_default();
        let before = observed.logger_of(observed.rolled_out()).unwrap_or_default();
        if observed.is_owners(&logger) {
            return Some("the service has a logger of its own, so answers are not compared".into());
        }
        let Some(named) = observed.counted_version(&logger) else {
            return Some(if self.sink(observed).is_none() {
                "the release has no version to count by, so answers are not compared".into()
            } else if self.answers.counter_is_silent {
                silent(counter)
            } else {
                "the service has no logger, which only `answers-of` `all` would add, so answers are not compared".into()
            });
        };
        if named != *version {
            return Some(format!(
                "answers are counted as those of version {named}, so they are not compared"
            ));
        }
        match observed.counted_version(&before) {
            None => Some(
                "the answers of the version before are not counted, so they are compared from the next release on".into(),
            ),
            Some(other) if other == *version => Some(format!(
                "the version before is {version}, too: answers of one version are not told apart, so not compared"
            )),
            Some(_) if self.answers.counter_is_silent => Some(silent(counter)),
            Some(_) if host(&before) != host(&logger) => Some(
                "the version before sends its answers elsewhere, so they are compared from the next release on".into(),
            ),
            Some(_) if [&before, &logger].iter().any(|logger| logger["mode"] == "request") => {
                Some("the logger sends requests and no answers, so answers are not compared".into())
            }
            Some(_) => None,
        }
    }
}

/// Of the counter that a logger sends to
fn host(logger: &Value) -> Option<&str> {
    logger["url"].as_str()?.split('/').nth(2)
}

fn silent(AnswerCounter { host, .. }: &AnswerCounter) -> String {
    format!("the answer-counter at {host} did not answer, so answers are not compared")
}
