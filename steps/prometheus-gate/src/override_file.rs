//! A person's word: annotations on the gate's pod, as the downward API writes them into a file.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use step::Failure;

use crate::{ledger::is_absent, verdict::Verdict};

/// `pass` or `fail`.
const VERDICT: &str = "kanaria.github.io/gate";
/// Who says so, and why, in any words.
const WHO: &str = "kanaria.github.io/gate-by";

/// What a person has decided, and the words that go with it; nothing while there is no such word.
pub(crate) fn read(path: &Path) -> Result<Option<(Verdict, String)>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(decision(&text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| Failure {
            what: format!("failed to read annotations `{}`", path.display()),
            hint: "`--override-file` names a file of a downward API volume".to_owned(),
        }),
    }
}

fn decision(annotations: &str) -> Option<(Verdict, String)> {
    let value = |wanted: &str| {
        annotations
            .lines()
            .find_map(|line| line.split_once('=').filter(|(key, _)| *key == wanted))
            .map(|(_, text)| unquoted(text))
    };
    let verdict = match value(VERDICT)?.trim() {
        "pass" => Verdict::Pass,
        "fail" => Verdict::Fail,
        other => {
            tracing::warn!(
                "annotation `{VERDICT}` is `{other}`, which is neither `pass` nor `fail`: it has no effect"
            );
            return None;
        }
    };
    let who = value(WHO).filter(|who| !who.is_empty());
    Some((
        verdict,
        format!(
            "{verdict} by annotation{}",
            who.map(|who| format!(" of {who}")).unwrap_or_default()
        ),
    ))
}

/// The downward API writes values like strings of Go.
fn unquoted(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_else(|_| text.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_decides_and_is_told_with_its_words() {
        let text = "tekton.dev/x=\"y\"\nkanaria.github.io/gate=\"fail\"\nkanaria.github.io/gate-by=\"Ada: \\\"too slow\\\"\"\n";
        assert_eq!(
            decision(text),
            Some((Verdict::Fail, "fail by annotation of Ada: \"too slow\"".to_owned()))
        );
        assert_eq!(
            decision("kanaria.github.io/gate=\"pass\""),
            Some((Verdict::Pass, "pass by annotation".to_owned()))
        );
    }

    #[test]
    fn other_annotations_and_other_words_decide_nothing() {
        assert_eq!(decision("kanaria.github.io/gate-by=\"pass\"\n"), None);
        assert_eq!(decision("kanaria.github.io/gate=\"perhaps\"\n"), None);
        assert_eq!(decision(""), None);
    }

    #[test]
    fn a_file_that_is_not_there_decides_nothing() {
        assert_eq!(read(Path::new("/nowhere/annotations")).unwrap(), None);
    }
}
