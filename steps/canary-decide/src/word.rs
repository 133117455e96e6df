//! What a person says of a release, and the annotation that it becomes.

use std::fmt;

use anyhow::{Result, bail};
use clap::ValueEnum;
use inference_service::Decision;
use step::{
    Usage,
    text::{from_trigger, short},
};

/// A name, or an address of one
const LONGEST_NAME: usize = 64;

/// With the name, as much as the gate's reason has room for
const LONGEST_REASON: usize = 400;

#[derive(clap::Args)]
pub(crate) struct WordArgs {
    /// What is decided
    #[arg(long, value_enum)]
    pub(crate) decision: Said,
    /// Version of the release that is meant, such as v2
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) version: String,
    /// Approve, promote: up to this percent of the requests, 1 to 100 [default: 100]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) percent: Option<u8>,
    /// Who decides
    #[arg(long, value_name = "WHO")]
    pub(crate) by: String,
    /// Why
    #[arg(long, value_name = "WHY")]
    pub(crate) reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Said {
    /// It may climb, once the gate passes
    Approve,
    /// It stays at its percent until somebody resumes
    Hold,
    /// It goes on after a hold
    Resume,
    /// It climbs now, whatever the gate says
    Promote,
    /// It is taken back
    Abort,
}

/// What a person says of one version
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) said: Said,
    pub(crate) version: String,
    percent: Option<u8>,
    by: String,
    reason: String,
}

impl Word {
    /// What comes by an event is a stranger's text: one line, and not too long.
    pub(crate) fn of(args: WordArgs) -> Result<Self> {
        let WordArgs { decision: said, version, percent, by, reason } = args;
        if percent.is_some() && !matches!(said, Said::Approve | Said::Promote) {
            bail!(Usage {
                what: "`--percent` has no meaning here".into(),
                hint: "only approve and promote count up to a percent".into(),
            });
        }
        // The first `: ` ends the name.
        let by = short(&from_trigger(&by), LONGEST_NAME).replace(": ", " ");
        if by.is_empty() {
            bail!(Usage {
                what: "`--by` names nobody".into(),
                hint: "write who decides: the evidence and the events tell it".into(),
            });
        }
        let reason = short(&from_trigger(&reason.unwrap_or_default()), LONGEST_REASON);
        Ok(Self { said, version, percent, by, reason })
    }

    /// Which annotation gets which value; none removes it
    pub(crate) fn annotation(&self) -> (Decision, Option<String>) {
        let decision = match self.said {
            Said::Approve => Decision::Approve,
            Said::Hold => Decision::Hold,
            Said::Resume => return (Decision::Hold, None),
            Said::Promote => Decision::Promote,
            Said::Abort => Decision::Abort,
        };
        (decision, Some(self.to_string()))
    }
}

/// `VERSION[@PERCENT] WHO[: WHY]`, as the gate reads it
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)?;
        if let Some(percent) = self.percent {
            write!(f, "@{percent}")?;
        }
        write!(f, " {}", self.by)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

impl Said {
    /// As in `failed to VERB`
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Abort => "abort",
        }
    }
}

/// As events have it: an OCI tag
fn version(text: &str) -> Result<String, &'static str> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let fits = text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(is_inner);
    let rule = "it has letters, digits, `_`, `.` and `-`, and at most 128 of them";
    fits.then(|| text.to_owned()).ok_or(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(said: Said, percent: Option<u8>, by: &str, reason: Option<&str>) -> Result<Word> {
        let (version, reason) = ("v2".to_owned(), reason.map(String::from));
        Word::of(WordArgs { decision: said, version, percent, by: by.into(), reason })
    }

    #[test]
    fn a_word_is_one_line_that_says_version_percent_who_and_why() {
        for (percent, by, reason, wanted) in [
            (Some(50), "ada", Some("p99 is fine"), "v2@50 ada: p99 is fine"),
            (None, "ada", None, "v2 ada"),
            (None, "ada: v3", Some("a\nb\u{1b}[31m"), r"v2 ada v3: a | b\u{1b}[31m"),
            (None, "bob", Some("$$(params.x)"), "v2 bob: $(params.x)"),
        ] {
            let word = word(Said::Approve, percent, by, reason).unwrap();
            assert_eq!(word.annotation(), (Decision::Approve, Some(wanted.into())));
        }
        let long = word(Said::Hold, None, &"a".repeat(1000), Some(&"b".repeat(9000))).unwrap();
        assert_eq!(long.to_string().chars().count(), "v2 : ".len() + LONGEST_NAME + LONGEST_REASON);
    }

    #[test]
    fn to_resume_is_to_remove_the_hold() {
        let resume = word(Said::Resume, None, "ada", Some("it was the dashboard")).unwrap();
        assert_eq!(resume.annotation(), (Decision::Hold, None));
    }

    #[test]
    fn nobody_decides_nothing_and_only_permission_has_a_percent() {
        assert!(word(Said::Hold, None, " \n", None).is_err());
        for said in [Said::Hold, Said::Resume, Said::Abort] {
            assert!(word(said, Some(50), "ada", None).is_err(), "{said:?}");
        }
        assert!(word(Said::Promote, Some(50), "ada", None).is_ok());
    }

    #[test]
    fn a_version_has_nothing_that_an_annotation_would_be_read_apart_by() {
        for wrong in ["", "v2@50", "v2 ada", "v2:ada", "-v2", &"v".repeat(129)] {
            assert!(version(wrong).is_err(), "{wrong}");
        }
        assert!(version("2026.11.24_a-b").is_ok());
    }
}
