//! The runs of one release in the order of its time line, and how it ended.

mod cause;
mod ending;
mod grouping;
mod model;
mod shares;
mod stages;

use crate::run::RunRecord;

pub use model::{Outcome, Release, Stage, Step};

/// The releases that these runs are of, newest first, whatever the order of the runs is. A run that is there twice,
/// once as it was kept and once as the cluster has it, counts once.
pub fn releases(runs: &[RunRecord]) -> Vec<Release> {
    let groups = grouping::group(runs);
    let mut releases: Vec<_> = groups.iter().map(|runs| release(runs, &groups)).collect();
    releases.sort_by(|a, b| b.began.cmp(&a.began).then_with(|| a.runs.cmp(&b.runs)));
    releases
}

/// Of runs in their order; there is at least one.
fn release(runs: &[&RunRecord], all: &[Vec<&RunRecord>]) -> Release {
    let shares = shares::shares(runs);
    let ending = ending::ending(runs, &shares, all);
    let param = |name| known(runs.iter().map(|run| run.param(name)));
    let result = |task: &str, name| {
        let tasks = runs.iter().flat_map(|run| &run.tasks).filter(|found| found.task == task);
        known(tasks.map(|task| task.result(name)))
    };
    let climbs = runs.iter().any(|run| run.pipeline == "canary-promotion")
        || !["first", "unchanged"].contains(&result("canary-create", "outcome"));
    let digest = result("bento-build", "IMAGE_DIGEST");
    let built = match param("image") {
        "" => String::new(),
        _ if digest.is_empty() => String::new(),
        repository => format!("{repository}@{digest}"),
    };
    // What it took, also where none was given; of a release whose first run is gone, what its gates were told.
    let ladder = known([result("canary-create", "ladder"), param("ladder")].into_iter());
    let stages = stages::stages(runs, &shares);
    Release {
        namespace: runs[0].namespace.clone(),
        service: runs[0].service.clone(),
        version: known(runs.iter().map(|run| run.version.as_str())).to_owned(),
        began: grouping::began(runs[0]),
        ended: ending.at,
        outcome: ending.outcome,
        cause: ending.cause.to_owned(),
        reason: ending.reason,
        is_given_up: ending.is_given_up,
        ladder: if climbs { shares::percents(ladder) } else { Vec::new() },
        revision: first(&[result("canary-create", "canary-revision"), param("canary-revision")]),
        baseline_revision: first(&[
            result("canary-create", "baseline-revision"),
            param("baseline-revision"),
        ]),
        image: first(&[&built, param("canary-image")]),
        bento_sha256: first(&[result("bento-build", "sha256"), param("sha256")]),
        bento: first(&[result("bento-build", "bento"), param("bento")]),
        stages,
        runs: runs.iter().map(|run| run.name.clone()).collect(),
        shares,
    }
}

/// The first that says something
fn known<'a>(values: impl Iterator<Item = &'a str>) -> &'a str {
    values.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
}

fn first(values: &[&str]) -> String {
    known(values.iter().copied()).to_owned()
}

#[cfg(test)]
mod tests;
