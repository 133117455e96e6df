//! The exit code of the step before this one, which Tekton leaves in a file.

use std::{fs, num::NonZeroU8, path::Path};

use crate::{error::Failure, run::Outcome, text::short};
use anyhow::{Context, Result};

/// How this step ends, which did its own work, so that the Task fails when the other step did.
pub fn like_the_step_before(file: &Path) -> Result<Outcome> {
    let text = fs::read_to_string(file).with_context(|| Failure {
        what: format!("failed to read exit code file `{}`", file.display()),
        hint: "a Task passes `$(steps.step-NAME.exitCode.path)`, NAME being a step above this one"
            .into(),
    })?;
    let Some(code) = failed(text.trim()) else { return Ok(Outcome::Done) };
    let text = short(&text, 20);
    tracing::error!("the step before this one failed with exit code {text}; ending with {code}");
    Ok(Outcome::Like(code))
}

/// What is not the code of a process (Tekton writes -1 when a signal killed it) counts as 1.
fn failed(text: &str) -> Option<NonZeroU8> {
    (text != "0").then(|| text.parse().unwrap_or(NonZeroU8::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_but_zero_is_a_failure() {
        let rows = [("0", 0), ("1", 1), ("3", 3), ("143", 143), ("255", 255)];
        let odd = [("-1", 1), ("256", 1), ("", 1), ("killed", 1), ("1e0", 1)];
        for (text, code) in rows.into_iter().chain(odd) {
            assert_eq!(failed(text).map_or(0, NonZeroU8::get), code, "{text}");
        }
    }
}
