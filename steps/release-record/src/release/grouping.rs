//! Which runs are of one release.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::run::{RunRecord, State, TaskRecord};

/// When it was created; of a run that does not say so, when its first task started.
pub(super) fn began(run: &RunRecord) -> Timestamp {
    let started = || run.tasks.iter().filter_map(|task| task.started).min();
    run.created.or_else(started).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The runs of each release in the order in which they began.
///
/// Each run of canary-release begins a release. A promotion belongs to the newest one before it that has its
/// correlation, or its version where one of them has none; where that run is gone, the promotions that follow each
/// other make the release. An undo belongs to the newest release before it that was promoted.
pub(super) fn group(runs: &[RunRecord]) -> Vec<Vec<&RunRecord>> {
    let mut services = BTreeMap::<_, Vec<Vec<&RunRecord>>>::new();
    for run in in_order(runs) {
        let groups = services.entry((&run.namespace, &run.service)).or_default();
        match home(run, groups) {
            Some(at) => groups[at].push(run),
            None => groups.push(vec![run]),
        }
    }
    services.into_values().flatten().collect()
}

/// Each run once, and of two looks at it the one that knows more.
fn in_order(runs: &[RunRecord]) -> Vec<&RunRecord> {
    let mut unique = BTreeMap::new();
    let said = |run: &RunRecord| {
        let of_task = |task: &TaskRecord| (task.state != State::Running, task.results.len());
        let tasks: Vec<_> = run.tasks.iter().map(of_task).collect();
        (run.state != State::Running, tasks.len(), tasks, format!("{run:?}"))
    };
    for run in runs {
        let id = (&run.namespace, &run.name, &run.uid);
        let known = unique.entry(id).or_insert(run);
        if *known != run && said(known) < said(run) {
            *known = run;
        }
    }
    let mut runs: Vec<_> = unique.into_values().collect();
    let place = |run: &RunRecord| {
        ["canary-release", "canary-promotion"].iter().position(|name| *name == run.pipeline)
    };
    runs.sort_by_key(|run| (began(run), place(run).unwrap_or(2))); // stable, by name where all else is the same
    runs
}

/// Which of its service's releases a run belongs to; none if it begins one.
fn home(run: &RunRecord, groups: &[Vec<&RunRecord>]) -> Option<usize> {
    let newest =
        |fits: &dyn Fn(&[&RunRecord]) -> bool| groups.iter().rposition(|group| fits(group));
    let has_version =
        |group: &[&RunRecord]| group.iter().any(|member| member.version == run.version);
    match run.pipeline.as_str() {
        "canary-release" => None,
        "canary-rollback-now" => {
            let is_meant = |group: &[&RunRecord]| run.version.is_empty() || has_version(group);
            newest(&|group| is_meant(group) && group.iter().any(|run| promotes(run)))
                .or_else(|| newest(&|group| !run.version.is_empty() && has_version(group)))
        }
        _ => {
            let correlates = |group: &[&RunRecord]| {
                !run.correlation.is_empty()
                    && group.iter().any(|other| other.correlation == run.correlation)
            };
            let goes_on = |group: &[&RunRecord]| {
                let says_less = run.correlation.is_empty() || group[0].correlation.is_empty();
                let is_next =
                    group[0].pipeline == "canary-release" || !run.param("climbed").is_empty();
                says_less && is_next && group[0].pipeline != "canary-rollback-now"
            };
            newest(&|group| has_version(group) && correlates(group))
                .or_else(|| newest(&|group| has_version(group) && goes_on(group)))
        }
    }
}

/// Whether it gave its version all requests for good
pub(super) fn promotes(run: &RunRecord) -> bool {
    run.tasks.iter().any(|task| match task.task.as_str() {
        "canary-create" => ["first", "unchanged"].contains(&task.result("outcome")),
        "canary-promote" => task.result("outcome") == "promoted",
        _ => false,
    })
}
