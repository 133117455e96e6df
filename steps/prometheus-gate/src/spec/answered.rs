//! Whether answers are judged, and by which numbers.

use anyhow::Result;

use crate::spec::answers::Answered;
use crate::spec::file::{CriterionSpec, SpecFile, usage};
use crate::spec::presets::Preset;
use crate::spec::resolved::Role;
use crate::spec::rollout::RolloutSpec;

/// What a release says of its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswersState {
    /// Both versions' are counted.
    Compared,
    /// The same, and they are meant to change.
    Observed,
    /// Why they are not compared.
    Not(String),
}

impl AnswersState {
    #[expect(clippy::unnecessary_wraps, reason = "the form that clap wants: any text is a reason")]
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(match text.trim() {
            "compared" => Self::Compared,
            "observed" => Self::Observed,
            why => Self::Not(why.to_owned()),
        })
    }

    /// Whether both versions' answers are counted.
    pub(crate) const fn is_counted(&self) -> bool {
        matches!(self, Self::Compared | Self::Observed)
    }
}

impl SpecFile {
    /// Takes to what a release says of its answers. Returns what a reader of the verdict has to know.
    pub(crate) fn heed(&mut self, state: &AnswersState) -> Option<String> {
        let is_asked = |spec: &CriterionSpec| spec.preset == Some(Preset::Answers);
        if *state == AnswersState::Compared {
            return None;
        }
        let names: Vec<String> = self
            .criteria
            .iter()
            .filter(|spec| is_asked(spec))
            .map(|spec| spec.name.clone().unwrap_or_else(|| Preset::Answers.name()))
            .collect();
        for name in names {
            self.combine = self.combine.take().map(|combine| combine.without(&name));
        }
        let AnswersState::Not(why) = state else {
            for spec in self.criteria.iter_mut().filter(|spec| is_asked(spec)) {
                spec.role = Role::Observe;
            }
            return None;
        };
        self.criteria.retain(|spec| !is_asked(spec));
        Some(format!("answers are not judged: {why}"))
    }

    /// What `answers` compares.
    pub(super) fn answered(&self, spec: &CriterionSpec, alpha: f64) -> Result<Answered> {
        let RolloutSpec { namespace, service, canary_version, .. } = &self.rollout;
        let RolloutSpec { canary_revision, baseline_revision, .. } = &self.rollout;
        let wanted = |what: &Option<String>, name: &str, flag: &str| {
            let hint = format!("`answers` counts by it; give it as `{flag}`");
            what.clone().ok_or_else(|| usage(format!("{name} is not known"), &hint))
        };
        let max_ratio = spec.max_ratio.unwrap_or(2.0);
        if max_ratio.is_nan() || max_ratio <= 1.0 {
            let what = format!("the `maxRatio` of `answers` is {max_ratio}");
            return Err(usage(
                what,
                "give a number above 1: a share that is so many times the other",
            ));
        }
        Ok(Answered {
            namespace: wanted(namespace, "the namespace of the versions", "--namespace")?,
            service: wanted(service, "the service that answers", "--service")?,
            version: wanted(canary_version, "the version on trial", "--canary-version")?,
            revisions: canary_revision.clone().zip(baseline_revision.clone()),
            max_ratio,
            least_share: spec.least_share.unwrap_or(0.02),
            alpha,
            min_requests: f64::from(spec.min_requests.unwrap_or(50)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::file::parse;

    fn told(state: &str) -> (SpecFile, Option<String>) {
        let mut file = parse(
            "rollout: {namespace: models, service: iris, canaryVersion: v2, canaryRevision: b, baselineRevision: a}\n\
             criteria: [{preset: errors}, {preset: answers}]\ncombine: errors and answers",
        )
        .unwrap();
        let note = file.heed(&AnswersState::parse(state).unwrap());
        (file, note)
    }

    #[test]
    fn what_a_release_says_of_its_answers_decides_whether_they_do() {
        let roles = |file: &SpecFile| -> Vec<(String, Role)> {
            let questions = file.questions().unwrap();
            questions.iter().map(|question| (question.name().to_owned(), question.role())).collect()
        };
        let (file, note) = told("compared");
        assert_eq!((roles(&file).len(), note), (2, None));
        let (file, note) = told("observed");
        assert_eq!((roles(&file)[1].clone(), note), (("answers".to_owned(), Role::Observe), None));
        assert_eq!(file.combine.unwrap().to_string(), "errors");
        let (file, note) = told("iris has a logger of its own");
        assert_eq!(note.unwrap(), "answers are not judged: iris has a logger of its own");
        assert_eq!(roles(&file).len(), 1);
        assert_eq!(file.combine.unwrap().to_string(), "errors");
    }

    #[test]
    fn what_answers_are_counted_by_has_to_be_known() {
        let refused = |rollout: &str, more: &str| {
            let file =
                parse(&format!("rollout: {{{rollout}}}\ncriteria: [{{preset: answers{more}}}]"));
            format!("{:#}", file.unwrap().questions().err().unwrap())
        };
        assert_eq!(refused("service: iris, namespace: m", ""), "the version on trial is not known");
        assert_eq!(
            refused("canaryVersion: v2, namespace: m", ""),
            "the service that answers is not known"
        );
        let whole = "service: iris, canaryVersion: v2, namespace: m";
        assert_eq!(refused(whole, ", maxRatio: 1"), "the `maxRatio` of `answers` is 1");
    }
}
