//! Manual override, from annotations of the gate's pod, as the downward API writes them into a file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use step::text::short;

use crate::judge::verdict::Verdict;

/// Longest words of a person in a reason.
const LONGEST: usize = 500;

/// `pass` or `fail`.
const VERDICT: &str = "kanaria.dev/gate";
/// Who says so, and why, in any words.
const WHO: &str = "kanaria.dev/gate-by";

/// The file, and what was wrong with it when it was read last.
#[derive(Default)]
pub(crate) struct ManualOverride {
    path: Option<PathBuf>,
    wrong: Option<String>,
}

impl ManualOverride {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, wrong: None }
    }

    /// What a person has decided, and the words that go with it; nothing while there is no such word.
    /// A file that cannot be read is a warning, once: a gate does not end for want of an override.
    pub(crate) fn read(&mut self) -> Option<(Verdict, String)> {
        match read(self.path.as_deref()?) {
            Ok(decision) => {
                self.wrong = None;
                decision
            }
            Err(wrong) => {
                if self.wrong.as_ref() != Some(&wrong) {
                    tracing::warn!("{wrong}");
                }
                self.wrong = Some(wrong);
                None
            }
        }
    }
}

fn read(path: &Path) -> Result<Option<(Verdict, String)>, String> {
    match fs::read_to_string(path) {
        Ok(text) => decision(&text),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(format!(
            "failed to read annotations `{}`: {cause}; without them nobody can override the verdict; \
             hint: `--override-file` names a file of a downward API volume",
            path.display()
        )),
    }
}

fn decision(annotations: &str) -> Result<Option<(Verdict, String)>, String> {
    let value = |wanted: &str| {
        annotations
            .lines()
            .find_map(|line| line.split_once('=').filter(|(key, _)| *key == wanted))
            .map(|(_, text)| unquoted(text))
    };
    let Some(verdict) = value(VERDICT) else { return Ok(None) };
    let verdict = match verdict.trim() {
        "pass" => Verdict::Pass,
        "fail" => Verdict::Fail,
        other => {
            return Err(format!(
                "annotation `{VERDICT}` is `{}`, neither `pass` nor `fail`: it has no effect",
                short(other, LONGEST)
            ));
        }
    };
    let who = value(WHO).map(|who| short(&who, LONGEST)).filter(|who| !who.is_empty());
    let who = who.map(|who| format!(" of {who}")).unwrap_or_default();
    Ok(Some((verdict, format!("{verdict} by annotation{who}"))))
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
        let text = "tekton.dev/x=\"y\"\nkanaria.dev/gate=\"fail\"\nkanaria.dev/gate-by=\"Ada: \\\"too slow\\\"\"\n";
        assert_eq!(
            decision(text),
            Ok(Some((Verdict::Fail, "fail by annotation of Ada: \"too slow\"".to_owned())))
        );
        assert_eq!(
            decision("kanaria.dev/gate=\"pass\""),
            Ok(Some((Verdict::Pass, "pass by annotation".to_owned())))
        );
    }

    #[test]
    fn other_annotations_and_other_words_decide_nothing() {
        assert_eq!(decision("kanaria.dev/gate-by=\"pass\"\n"), Ok(None));
        assert_eq!(decision(""), Ok(None));
        let wrong = decision("kanaria.dev/gate=\"perhaps\"\n").unwrap_err();
        assert!(wrong.contains("is `perhaps`, neither `pass` nor `fail`"), "{wrong}");
    }

    #[test]
    fn a_file_that_is_not_there_decides_nothing() {
        assert_eq!(read(Path::new("/nowhere/annotations")), Ok(None));
    }

    #[test]
    fn a_file_that_cannot_be_read_decides_nothing_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("annotations");
        let mut file = ManualOverride::new(Some(path.clone()));
        fs::create_dir(&path).unwrap(); // root, too, cannot read a folder as a file
        assert_eq!(file.read(), None);
        assert!(file.wrong.as_ref().unwrap().starts_with("failed to read annotations"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, b"\xff\xfe").unwrap();
        assert_eq!(file.read(), None);
        fs::write(&path, "kanaria.dev/gate=\"pass\"").unwrap();
        assert_eq!(file.read(), Some((Verdict::Pass, "pass by annotation".to_owned())));
        assert_eq!(file.wrong, None);
    }
}
