//! Whether the answers of the new version are counted beside those of the one before: the logger that goes
//! with the image, and what is said of it.

use inference_service::{Observed, answers_url, logger_to};
use serde_json::Value;
use step::text::short;

use crate::{
    answer_counter::{AnswerCounter, AnswersOf, Reply},
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
        match (self.sink(observed, before), self.answers.reply) {
            (None, _) | (_, Reply::Refuses) => Value::Null,
            (_, Reply::Silent) if before.is_null() => Value::Null,
            // One that is there moves on also while nobody answers: what it sent would count for the version before.
            (Some(url), Reply::Takes | Reply::Silent) => logger_to(&url, before),
        }
    }

    /// Where the answers of a service that had this logger without the canary are to be sent, if they are
    pub(crate) fn sink(&self, observed: &Observed, before: &Value) -> Option<String> {
        self.url(observed).filter(|_| self.is_to_be_counted(observed, before))
    }

    /// Whether a service that had this logger is to be counted and has none with the new version, as the counter does
    /// not take its answers or the version has no name
    pub(crate) fn is_logger_pending(&self, observed: &Observed, before: &Value) -> bool {
        self.is_to_be_counted(observed, before) && self.logger(observed, before).is_null()
    }

    fn is_to_be_counted(&self, observed: &Observed, before: &Value) -> bool {
        let is_chosen = if before.is_null() {
            self.may_add_logger(observed)
        } else {
            !observed.is_owners(before)
        };
        self.answers.counter.is_some() && is_chosen
    }

    /// Whether the service may get a logger that it did not have
    fn may_add_logger(&self, observed: &Observed) -> bool {
        let serving = observed.rolled_out();
        let is_first = observed.service.is_none() || serving.is_empty();
        is_first || observed.is_logger_pending(serving) || self.answers.of == AnswersOf::All
    }

    fn url(&self, observed: &Observed) -> Option<String> {
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
            _ => self.not_taken(counter).or_else(|| {
                Some("nothing serves beside it, so there is nothing to compare answers with".into())
            }),
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
            if self.url(observed).is_none() {
                return Some(
                    "the release has no version to count by, so answers are not compared".into(),
                );
            }
            let at_its_release = || {
                let is_pending = observed.is_logger_pending(observed.latest());
                is_pending.then(|| "the answer-counter did not take the answers when the version was released, so they are not compared".into())
            };
            return self.not_taken(counter).or_else(at_its_release).or_else(|| {
                Some("the service has no logger, which only `answers-of` `all` would add, so answers are not compared".into())
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
            Some(_) if self.answers.reply != Reply::Takes => self.not_taken(counter),
            Some(_) if host(&before) != host(&logger) => Some(
                "the version before sends its answers elsewhere, so they are compared from the next release on".into(),
            ),
            Some(_) if [&before, &logger].iter().any(|logger| logger["mode"] == "request") => {
                Some("the logger sends requests and no answers, so answers are not compared".into())
            }
            Some(_) => None,
        }
    }

    /// Why the counter takes no answers, if it does not
    fn not_taken(&self, AnswerCounter { host, .. }: &AnswerCounter) -> Option<String> {
        let why = match self.answers.reply {
            Reply::Takes => return None,
            Reply::Refuses => "does not count this service",
            Reply::Silent => "did not answer",
        };
        Some(format!("the answer-counter at {host} {why}, so answers are not compared"))
    }
}

/// Of the counter that a logger sends to
fn host(logger: &Value) -> Option<&str> {
    logger["url"].as_str()?.split('/').nth(2)
}
