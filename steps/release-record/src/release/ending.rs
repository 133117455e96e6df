//! How a release ended, or what it waits for.

use jiff::Timestamp;

use crate::{
    release::{
        cause::{self, Cause},
        grouping::began,
        model::{Outcome, Release, Step},
        stages::step,
    },
    run::{RunRecord, State, TaskRecord},
};

pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) cause: &'static str,
    pub(super) reason: String,
    pub(super) at: Option<Timestamp>,
    pub(super) is_given_up: bool,
}

impl Release {
    /// The same while its canary is there, which its runs cannot say. One that is given up goes on then: Tekton labels a
    /// run when it first looks at it, so that the next one is found moments after it was created; or the sweep will come.
    pub fn with_its_canary(self) -> Self {
        if !self.is_given_up {
            return self;
        }
        let reason = "its canary is there: its next run, or the sweep, goes on with it".into();
        Self { outcome: Outcome::Underway, ended: None, cause: String::new(), reason, ..self }
    }
}

/// What the last task that ends a release came to. Where there is none and a run goes on, the release is under way.
/// Where there is none and no run goes on, none will: whoever hands a canary over waits until the next run is there.
/// The sweep takes the canary back then, if there was one; until it has, see `Release::with_its_canary`.
pub(super) fn ending(
    runs: &[&RunRecord],
    shares: &[(u8, Timestamp)],
    all: &[Vec<&RunRecord>],
) -> Ending {
    let tasks = runs.iter().flat_map(|run| run.tasks.iter().map(move |task| (*run, task)));
    let ended = tasks.fold(None, |last, (run, task)| {
        let newer = |at| newer(runs, at, all);
        end(run, task, last.as_ref(), newer).or(last)
    });
    if let Some(ended) = ended {
        return ended;
    }
    match runs.iter().rfind(|run| run.state == State::Running) {
        Some(run) => under_way(run, shares),
        None => given_up(runs, shares),
    }
}

/// What a task did to the release, if it ended it.
fn end(
    run: &RunRecord,
    task: &TaskRecord,
    before: Option<&Ending>,
    newer: impl Fn(Option<Timestamp>) -> Option<String>,
) -> Option<Ending> {
    let at = task.ended.or(run.ended).or_else(|| Some(began(run)));
    let because = |outcome, Cause { word, reason }: Cause| Ending {
        outcome,
        cause: word,
        reason,
        at,
        is_given_up: false,
    };
    let promoted =
        |reason: &str| because(Outcome::Promoted, Cause { word: "", reason: reason.into() });
    if task.state == State::Running {
        return None;
    }
    match (task.task.as_str(), task.result("outcome")) {
        ("canary-create", "first") => Some(promoted("there was no version before")),
        ("canary-create", "unchanged") => Some(promoted("it served all requests already")),
        // One that has failed is taken back in the same run.
        ("canary-promote", "promoted")
            if task.state == State::Succeeded || run.state != State::Running =>
        {
            Some(promoted(reason_of_gate(run)))
        }
        ("canary-rollback", "rolled-back") => {
            Some(because(Outcome::RolledBack, cause::of_run(run)))
        }
        ("canary-rollback", "nothing")
            if before.is_none() && run.pipeline != "canary-rollback-now" =>
        {
            let had_canary = run.pipeline == "canary-promotion";
            match newer(at).filter(|_| had_canary) {
                Some(newer) => {
                    let reason = format!("a newer release, {newer}, has taken its place");
                    Some(because(Outcome::Failed, Cause { word: "replaced", reason }))
                }
                None => Some(because(Outcome::Failed, cause::of_run(run))),
            }
        }
        _ => None,
    }
}

fn reason_of_gate(run: &RunRecord) -> &str {
    let gate = run.tasks.iter().find(|task| task.task == "prometheus-gate");
    gate.map_or("", |gate| gate.result("reason"))
}

/// The version of a release of the same service that began later and had made a canary by then.
fn newer(runs: &[&RunRecord], then: Option<Timestamp>, all: &[Vec<&RunRecord>]) -> Option<String> {
    let ours = runs[0];
    let makes = |task: &TaskRecord| {
        let is_made = !task.result("canary-revision").is_empty() && task.started.is_some();
        task.task == "canary-create" && is_made && task.started <= then
    };
    let is_newer = |other: &&RunRecord| {
        other.namespace == ours.namespace
            && other.service == ours.service
            && began(other) > began(ours)
            && other.tasks.iter().any(makes)
    };
    // What comes after canary-release is of a release that has begun before.
    let begun = all.iter().map(|group| group[0]).filter(|run| run.pipeline == "canary-release");
    begun.filter(is_newer).max_by_key(|other| began(other)).map(|other| other.version.clone())
}

/// By its last task that goes on
fn under_way(run: &RunRecord, shares: &[(u8, Timestamp)]) -> Ending {
    let task = run.tasks.iter().rfind(|task| task.state == State::Running);
    let mut cause = "";
    let name = &run.name;
    let reason = match task.map(|task| (task, step(run, task, shares))) {
        None if run.reason == "PipelineRunPending" => format!("run `{name}` waits to be started"),
        None => format!("run `{name}` is about to go on"),
        Some((_, Step::Image)) => "its image is made".into(),
        Some((_, Step::Canary)) => "its canary starts".into(),
        Some((_, Step::Gate(percent))) => format!("the gate decides about {percent} %"),
        Some((_, Step::Promote(percent))) => format!("it gets {percent} %"),
        Some((_, Step::Rollback)) => {
            let Cause { word, reason } = cause::of_run(run);
            cause = word;
            format!("it is taken back: {reason}")
        }
        Some((_, Step::Event)) => "its event is sent".into(),
        Some((task, Step::Other)) => format!("task `{}` runs", task.task),
    };
    Ending { outcome: Outcome::Underway, cause, reason, at: None, is_given_up: false }
}

/// All its runs have ended, and none of them has ended the release. What had requests has none any more once the
/// sweep was there; an undo that was refused has changed nothing.
fn given_up(runs: &[&RunRecord], shares: &[(u8, Timestamp)]) -> Ending {
    let last = runs[runs.len() - 1];
    let Cause { word, reason } = cause::of_run(last);
    let made = |task: &TaskRecord| !task.result("canary-revision").is_empty();
    let had_canary = !shares.is_empty()
        || runs.iter().any(|run| run.pipeline == "canary-promotion" || run.tasks.iter().any(made));
    let at = runs.iter().filter_map(|run| run.ended).max().or_else(|| Some(began(last)));
    let outcome = if had_canary { Outcome::RolledBack } else { Outcome::Failed };
    Ending { outcome, cause: word, reason, at, is_given_up: true }
}
