//! The time line: what each task was about, and what it came to.

use jiff::Timestamp;

use crate::{
    release::{
        cause::by_hand,
        grouping::began,
        model::{Stage, Step},
        shares::{above, percent_of},
    },
    run::{RunRecord, State, TaskRecord},
};

pub(super) fn stages(runs: &[&RunRecord], shares: &[(u8, Timestamp)]) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for run in runs {
        let mut last = began(run);
        for task in &run.tasks {
            last = task.started.unwrap_or(last); // one that waits for its pod is behind the others
            stages.push(Stage {
                step: step(run, task, shares),
                task: task.task.clone(),
                run: run.name.clone(),
                began: last,
                ended: task.ended,
                state: task.state,
                detail: detail(run, task),
            });
        }
    }
    stages.sort_by_key(|stage| stage.began);
    stages
}

/// By the names that tasks have in this catalog's Pipelines.
pub(super) fn step(run: &RunRecord, task: &TaskRecord, shares: &[(u8, Timestamp)]) -> Step {
    let before =
        || shares.iter().rev().find(|(_, at)| Some(*at) <= task.started).map(|(rung, _)| *rung);
    let rung = percent_of(run.param("percent")).or_else(before).unwrap_or(0);
    match task.task.as_str() {
        "bento-build" => Step::Image,
        "canary-create" => Step::Canary,
        "prometheus-gate" => Step::Gate(rung),
        "canary-promote" => {
            let next = || above(run.param("ladder"), rung);
            Step::Promote(percent_of(task.result("percent")).unwrap_or_else(next))
        }
        "canary-rollback" => Step::Rollback,
        "canary-created" | "canary-promoted" => Step::Event,
        _ => Step::Other,
    }
}

/// In the words of its results, and of its condition where it left none.
fn detail(run: &RunRecord, task: &TaskRecord) -> String {
    let result = |name| task.result(name);
    let error = result("error");
    let said = match (task.task.as_str(), result("outcome")) {
        _ if !error.is_empty() => error.to_owned(),
        ("bento-build", _) => match (result("assembled"), result("reason")) {
            ("yes", _) => "layers onto an environment that was there".into(),
            ("environment-missing", _) => "kaniko built its environment first".into(),
            ("whole", "") => "kaniko built all of it".into(),
            ("whole", why) => format!("kaniko built all of it: {why}"),
            _ => String::new(),
        },
        ("canary-create", "canary") | ("canary-promote", "advanced") => {
            format!("{} % of the requests", result("percent"))
        }
        ("canary-create", "first") => "the first version: all requests".into(),
        ("canary-create", "unchanged") => "it serves all requests already".into(),
        ("prometheus-gate", _) => match (result("verdict"), result("reason")) {
            ("", why) => why.to_owned(),
            (verdict, "") => verdict.to_owned(),
            (verdict, why) => format!("{verdict}: {why}"),
        },
        ("canary-promote", "promoted") => "all requests".into(),
        ("canary-promote", "changed") => "changed: another revision is there".into(),
        ("canary-rollback", "rolled-back") => {
            let by = by_hand(run).map(|by| format!(": {by}"));
            format!("all requests are the version's before again{}", by.unwrap_or_default())
        }
        ("canary-rollback", "nothing") => "there was nothing to take back".into(),
        _ => String::new(),
    };
    let is_silent = said.is_empty() && task.state == State::Failed;
    if is_silent { task.message.clone() } else { said }
}
