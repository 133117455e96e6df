//! What is known, in the words in which a terminal shows it.

use std::fmt;

use jiff::SignedDuration;
use release_record::release::{Outcome, Stage, Step};

use crate::known::{Service, Share};

/// A part of a release, as people call it.
pub(crate) fn label(stage: &Stage) -> String {
    match stage.step {
        Step::Image => "image".into(),
        Step::Canary => "canary".into(),
        Step::Gate(percent) => format!("gate at {percent} %"),
        Step::Promote(percent) => format!("promote to {percent} %"),
        Step::Rollback => "rollback".into(),
        Step::Event => format!("event {}", stage.task),
        Step::Other => stage.task.clone(),
    }
}

/// The same for programs.
pub(crate) const fn step_name(step: Step) -> &'static str {
    match step {
        Step::Image => "image",
        Step::Canary => "canary",
        Step::Gate(_) => "gate",
        Step::Promote(_) => "promote",
        Step::Rollback => "rollback",
        Step::Event => "event",
        Step::Other => "other",
    }
}

/// How a release ended, for people.
pub(crate) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Underway => "under way",
        Outcome::Promoted => "promoted",
        Outcome::RolledBack => "rolled back",
        Outcome::Failed => "failed",
    }
}

/// The same for programs.
pub(crate) const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Underway => "underway",
        Outcome::Promoted => "promoted",
        Outcome::RolledBack => "rolled-back",
        Outcome::Failed => "failed",
    }
}

/// `90 % v1, 10 % v2`: who gets requests, by version, or by revision where none is known.
pub(crate) fn split(shares: &[Share]) -> String {
    let with_requests = shares.iter().filter(|share| share.percent > 0);
    listed(with_requests.map(|share| {
        let name = if share.version.is_empty() { &share.revision } else { &share.version };
        format!("{} % {name}", share.percent)
    }))
}

/// `held by ada: p99 is up`: each decision, and that all releases are stopped.
pub(crate) fn decisions(service: &Service) -> String {
    let decided = service.decisions.iter().map(|(decision, words)| {
        let verb = match decision.as_str() {
            "approve" => "approved",
            "hold" => "held",
            "promote" => "to be promoted",
            "abort" => "to be taken back",
            other => other,
        };
        format!("{verb} by {words}")
    });
    let stopped = service.stopped.iter().map(|by| match by.as_str() {
        "" => "all releases are stopped".to_owned(),
        by => format!("all releases are stopped by {by}"),
    });
    listed(decided.chain(stopped))
}

/// How long something took, to the second: `12m 3s`
pub(crate) fn length(took: SignedDuration) -> String {
    let took = took.max(SignedDuration::ZERO).unsigned_abs();
    humantime::format_duration(std::time::Duration::from_secs(took.as_secs())).to_string()
}

/// How long ago something was, in its largest unit: `45s`, `3m`, `5h`, `12d`
pub(crate) fn age(since: SignedDuration) -> String {
    let seconds = since.max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

pub(crate) fn listed(all: impl Iterator<Item = impl fmt::Display>) -> String {
    all.map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_is_named_by_versions_and_by_revisions_where_none_is_known() {
        let share = |version: &str, revision: &str, percent| Share {
            version: version.into(),
            revision: revision.into(),
            percent,
            is_canary: false,
        };
        let shares = [
            share("v1", "iris-predictor-00001", 90),
            share("", "iris-predictor-00002", 10),
            share("v0", "iris-predictor-00000", 0),
        ];
        assert_eq!(split(&shares), "90 % v1, 10 % iris-predictor-00002");
        assert_eq!(split(&[]), "");
    }

    #[test]
    fn decisions_are_told_with_who_and_why() {
        let words = |decisions: &[(&str, &str)], stopped: Option<&str>| {
            let owned = |(decision, words): &(&str, &str)| ((*decision).into(), (*words).into());
            let decisions = decisions.iter().map(owned).collect();
            let stopped = stopped.map(str::to_owned);
            super::decisions(&Service { decisions, stopped, ..Service::default() })
        };
        assert_eq!(words(&[("hold", "ada: p99 is up")], None), "held by ada: p99 is up");
        assert_eq!(
            words(&[("approve", "ada"), ("abort", "eve: wrong")], Some("grace: outage")),
            "approved by ada, to be taken back by eve: wrong, all releases are stopped by grace: outage"
        );
        assert_eq!(words(&[], Some("")), "all releases are stopped");
        assert_eq!(words(&[], None), "");
    }

    #[test]
    fn an_age_has_one_unit_and_a_length_has_all_that_matter() {
        let of = SignedDuration::from_secs;
        let ages = [-5, 0, 59, 60, 3599, 3600, 172_799, 172_800];
        assert_eq!(
            ages.map(|seconds| age(of(seconds))),
            ["0s", "0s", "59s", "1m", "59m", "1h", "47h", "2d"]
        );
        assert_eq!(length(SignedDuration::from_millis(723_900)), "12m 3s");
        assert_eq!(length(of(-1)), "0s");
    }
}
