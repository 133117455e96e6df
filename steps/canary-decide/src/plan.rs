//! What `canary-decide` does next: from what a person says and what is observed to an action.

use anyhow::{Result, bail};
use inference_service::{Action, Observed};
use step::{Failure, text::short};

use crate::word::{Said, Word};

/// A version's length
const LONGEST: usize = 128;

pub(crate) fn next(word: &Word, observed: &Observed) -> Result<Action<String>> {
    let (decision, value) = word.annotation();
    let is_written = observed.decisions.get(decision) == value.as_deref();
    // Also when the release has ended by it meanwhile: the Lease is of the last release.
    if is_written && value.is_some() {
        return Ok(Action::Done(format!("{} is written: {word}", word.said.verb())));
    }
    if observed.service.is_none() {
        bail!(refusal(
            word,
            observed,
            "there is no such service",
            "check `service` and `namespace`"
        ));
    }
    if !observed.is_in_release() {
        bail!(refusal(
            word,
            observed,
            "no release of it is in progress",
            not_in_progress(word.said)
        ));
    }
    let mark = &observed.mark;
    let version = short(&mark.release.version, LONGEST);
    // Made without a version: it is the only one that can be meant.
    if !version.is_empty() && version != word.version {
        let why = format!("version `{version}` is in progress");
        let hint = format!("set `version` to `{version}` if that is the one you mean");
        bail!(refusal(word, observed, &why, &hint));
    }
    if mark.is_rejected() {
        let hint = "nothing is left to decide about; release a new version";
        bail!(refusal(word, observed, "it is being taken back", hint));
    }
    Ok(if is_written {
        Action::Done("nobody holds it".into())
    } else {
        Action::Decide(decision, value)
    })
}

const fn not_in_progress(said: Said) -> &'static str {
    match said {
        Said::Abort => {
            "what serves all requests already is taken back by the Pipeline canary-rollback-now"
        }
        _ => {
            "a release is decided about from the moment its canary is made until it has all requests or none"
        }
    }
}

fn refusal(word: &Word, observed: &Observed, why: &str, hint: &str) -> Failure {
    let (verb, version) = (word.said.verb(), &word.version);
    Failure {
        what: format!("failed to {verb} version `{version}` of `{}`: {why}", observed.full_name()),
        hint: hint.into(),
    }
}
