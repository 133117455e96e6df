//! One decision of a person: an annotation of the release's Lease, or the stop switch of the namespace.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use step::text::short;

/// Longest words of a person in a reason.
const LONGEST: usize = 500;

/// What stands before the name of each annotation.
const PREFIX: &str = "kanaria.dev/";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A permission for the next rungs.
    Approve,
    /// No rung is climbed while it is there.
    Hold,
    /// The next rung is climbed at once.
    Promote,
    /// The canary is taken back at once.
    Abort,
    /// No release of the namespace climbs.
    StopHold,
    /// All releases of the namespace are taken back.
    StopRollback,
}

/// What somebody decided about this version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decision {
    pub(crate) kind: Kind,
    /// Who, in their own words: what proves it is in the API server's audit log.
    pub(crate) by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    /// Up to which percent it counts.
    pub(crate) percent: u8,
}

impl Kind {
    /// Those of a release, by the name of their annotation.
    const ANNOTATIONS: [(Self, &str); 4] = [
        (Self::Approve, "approve"),
        (Self::Hold, "hold"),
        (Self::Promote, "promote"),
        (Self::Abort, "abort"),
    ];
}

/// What a Lease's annotations decide about a version, and what is to be said of those that do not.
pub(crate) fn of_annotations(
    annotations: &BTreeMap<String, String>,
    version: Option<&str>,
) -> (Vec<Decision>, Vec<String>) {
    let (mut decisions, mut remarks) = (Vec::new(), Vec::new());
    for (kind, name) in Kind::ANNOTATIONS {
        let Some(value) = annotations.get(&format!("{PREFIX}{name}")) else { continue };
        // A release begins with empty ones.
        if value.trim().is_empty() {
            continue;
        }
        match (parse(kind, value), version) {
            (None, _) => remarks.push(format!(
                "annotation `{PREFIX}{name}` is `{}`: it has no effect; \
                 hint: write VERSION[@PERCENT] WHO[: WHY], such as `v2@50 ada: p99 is fine`",
                short(value, LONGEST)
            )),
            (Some((of, decision)), Some(version)) if of == version => decisions.push(decision),
            (Some((of, _)), Some(version)) => remarks.push(format!(
                "annotation `{PREFIX}{name}` is about version `{}`, and this is `{}`: it has no effect",
                short(of, LONGEST),
                short(version, LONGEST)
            )),
            (Some(_), None) => remarks.push(format!(
                "annotation `{PREFIX}{name}` has no effect: the version on trial is not known; \
                 hint: set `--canary-version`"
            )),
        }
    }
    (decisions, remarks)
}

/// `VERSION[@PERCENT] WHO[: WHY]`, as the version and the rest.
fn parse(kind: Kind, value: &str) -> Option<(&str, Decision)> {
    let (subject, words) = value.trim().split_once(char::is_whitespace)?;
    let (version, percent) = match subject.rsplit_once('@') {
        Some((version, percent)) => {
            (version, percent.parse().ok().filter(|percent| (1..=100).contains(percent))?)
        }
        None => (subject, 100),
    };
    let (by, why) = words_of(words);
    (!version.is_empty() && !by.is_empty())
        .then_some((version, Decision { kind, by, why, percent }))
}

/// `WHO[: WHY]`, as one line each.
fn words_of(words: &str) -> (String, String) {
    let words = short(words, LONGEST);
    let (by, why) = words.split_once(": ").unwrap_or((&words, ""));
    (by.trim_end_matches(':').trim().to_owned(), why.trim().to_owned())
}

/// What the stop switch says, and what is to be said of one that cannot be read. Who put it there
/// wanted releases to stop: what cannot be read is `hold`.
pub(crate) fn of_stop_switch(data: &BTreeMap<String, String>) -> (Decision, Option<String>) {
    let word = data.get("releases").map(|word| word.trim()).unwrap_or_default();
    let (kind, remark) = match word {
        "hold" => (Kind::StopHold, None),
        "rollback" => (Kind::StopRollback, None),
        other => {
            let remark = format!(
                "ConfigMap `canary-stop` says `releases: {}`, which counts as `hold`; hint: write `hold` or `rollback`",
                short(other, LONGEST)
            );
            (Kind::StopHold, Some(remark))
        }
    };
    let (mut by, why) = words_of(data.get("by").map(String::as_str).unwrap_or_default());
    if by.is_empty() {
        "somebody".clone_into(&mut by);
    }
    (Decision { kind, by, why, percent: 100 }, remark)
}

/// Who, and why.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.by)?;
        if self.why.is_empty() { Ok(()) } else { write!(f, ": {}", self.why) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn decision(kind: Kind, by: &str, why: &str, percent: u8) -> Decision {
        Decision { kind, by: by.to_owned(), why: why.to_owned(), percent }
    }

    #[test]
    fn an_annotation_says_for_which_version_up_to_which_percent_who_and_why() {
        let annotations = map(&[
            ("kanaria.dev/approve", "v2@50 ada: p99 is fine: see the report"),
            ("kanaria.dev/hold", " 2.0.1-rc.1  Ada Lovelace "),
            ("kanaria.dev/promote", "v2 system:serviceaccount:ops:bot: hurry"),
            ("kanaria.dev/abort", ""),
            ("somebody.else/approve", "v2@50 ada"),
        ]);
        let (decisions, remarks) = of_annotations(&annotations, Some("v2"));
        assert_eq!(
            decisions,
            [
                decision(Kind::Approve, "ada", "p99 is fine: see the report", 50),
                decision(Kind::Promote, "system:serviceaccount:ops:bot", "hurry", 100),
            ]
        );
        assert_eq!(
            remarks,
            [
                "annotation `kanaria.dev/hold` is about version `2.0.1-rc.1`, and this is `v2`: it has no effect"
            ]
        );
        assert_eq!(decisions[0].to_string(), "ada: p99 is fine: see the report");
    }

    #[test]
    fn what_is_malformed_has_no_effect_and_the_form_is_told() {
        for wrong in
            ["yes", "v2", "v2@50", "v2@0 ada", "v2@101 ada", "v2@half ada", "@50 ada", "v2 :"]
        {
            let annotations = map(&[("kanaria.dev/approve", wrong)]);
            let (decisions, remarks) = of_annotations(&annotations, Some("v2"));
            assert_eq!(decisions, [], "{wrong}");
            assert!(remarks[0].contains("write VERSION[@PERCENT] WHO[: WHY]"), "{remarks:?}");
        }
        let annotations = map(&[("kanaria.dev/abort", "v2 ada")]);
        let (decisions, remarks) = of_annotations(&annotations, None);
        assert_eq!(decisions, []);
        assert!(remarks[0].contains("set `--canary-version`"), "{remarks:?}");
    }

    #[test]
    fn a_stop_switch_that_cannot_be_read_stops() {
        let of = |pairs: &[(&str, &str)]| of_stop_switch(&map(pairs));
        let hold = decision(Kind::StopHold, "ada", "incident 42", 100);
        assert_eq!(of(&[("releases", "hold"), ("by", "ada: incident 42")]), (hold, None));
        let rollback = decision(Kind::StopRollback, "somebody", "", 100);
        assert_eq!(of(&[("releases", " rollback\n")]), (rollback, None));
        for unclear in [&[][..], &[("releases", "Stop!")]] {
            let (decision, remark) = of(unclear);
            assert_eq!(decision.kind, Kind::StopHold);
            assert!(remark.unwrap().contains("counts as `hold`"));
        }
    }

    proptest! {
        #[test]
        fn whatever_a_stranger_writes_is_one_line_without_control_characters(value in "(v2(@50)? )?\\PC{0,9}[\\x00-\\x1f\u{202e}]{0,3}.{0,700}") {
            let annotations = map(&[("kanaria.dev/abort", &value)]);
            let (decisions, remarks) = of_annotations(&annotations, Some("v2"));
            let (stop, remark) = of_stop_switch(&map(&[("releases", &value), ("by", &value)]));
            let said = decisions.iter().map(ToString::to_string).chain(remarks).chain(remark).chain([stop.to_string()]);
            for text in said {
                prop_assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{:?}", text);
                prop_assert!(text.chars().count() < LONGEST + 200);
            }
        }
    }
}
