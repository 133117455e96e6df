use jiff::{Timestamp, ToSpan as _};

use super::*;
use crate::run::{RunRecord, State, TaskRecord};

mod endings;
mod properties;
mod time_line;

const BASE: &str = "2026-11-24T06:00:00Z";

fn at(minute: i64) -> Timestamp {
    BASE.parse::<Timestamp>().unwrap() + minute.minutes()
}

/// A run of version v2 that was created in that minute, and ended in the minute after its last task
fn run(
    pipeline: &str,
    name: &str,
    minute: i64,
    params: &[(&str, &str)],
    tasks: Vec<TaskRecord>,
) -> RunRecord {
    let is = |state| tasks.iter().any(|task| task.state == state);
    let state = [State::Running, State::Failed]
        .into_iter()
        .find(|state| is(*state))
        .unwrap_or(State::Succeeded);
    let last = i64::try_from(tasks.len()).unwrap();
    let params = params.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let mut tasks = tasks;
    for (number, task) in (0..).zip(&mut tasks) {
        task.name = format!("{name}-{}", task.task);
        task.started = Some(at(minute + number));
        task.ended = (task.state != State::Running).then(|| at(minute + number + 1));
    }
    RunRecord {
        namespace: "models".into(),
        name: name.into(),
        uid: format!("uid-of-{name}"),
        pipeline: pipeline.into(),
        service: "iris".into(),
        version: "v2".into(),
        correlation: "c-2".into(),
        created: Some(at(minute)),
        ended: (state != State::Running).then(|| at(minute + last)),
        state,
        params: params.collect(),
        tasks,
        ..RunRecord::default()
    }
}

fn task(name: &str, state: State, results: &[(&str, &str)]) -> TaskRecord {
    TaskRecord {
        task: name.into(),
        state,
        message: "exited with code 1".into(),
        results: results.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        ..TaskRecord::default()
    }
}

fn done(name: &str, results: &[(&str, &str)]) -> TaskRecord {
    task(name, State::Succeeded, results)
}

fn build() -> TaskRecord {
    done(
        "bento-build",
        &[
            ("assembled", "yes"),
            ("sha256", "ab12"),
            ("bento", "iris:v2"),
            ("IMAGE_DIGEST", "sha256:cd34"),
        ],
    )
}

/// A release in its first minute, with a canary at 10 % in its second
fn release() -> RunRecord {
    let canary = [
        ("outcome", "canary"),
        ("percent", "10"),
        ("started-at", "2026-11-24T06:02:00Z"),
        ("canary-revision", "iris-predictor-00002"),
        ("baseline-revision", "iris-predictor-00001"),
    ];
    let tasks = vec![
        build(),
        done("canary-create", &canary),
        done("canary-created", &[("status-code", "202")]),
    ];
    run(
        "canary-release",
        "release-1",
        0,
        &[("ladder", "10,50"), ("image", "r/iris"), ("bento", "iris:v2")],
        tasks,
    )
}

/// A promotion from the rung of 10 % on
fn promotion(tasks: Vec<TaskRecord>) -> RunRecord {
    let params = [
        ("ladder", "10,50,100"),
        ("percent", "10"),
        ("started-at", "2026-11-24T06:02:00Z"),
        ("climbed", ""),
    ];
    run("canary-promotion", "promotion-1", 10, &params, tasks)
}

fn passed() -> TaskRecord {
    done("prometheus-gate", &[("verdict", "pass"), ("reason", "hold: held for 60s")])
}

fn failed_gate() -> TaskRecord {
    task("prometheus-gate", State::Failed, &[("verdict", "fail"), ("reason", "errors: too many")])
}

fn rolled_back() -> TaskRecord {
    done("canary-rollback", &[("outcome", "rolled-back"), ("restored-image", "r/iris:v1")])
}

fn only(runs: &[RunRecord]) -> Release {
    let found = releases(runs);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

fn ending_of(runs: &[RunRecord]) -> (Outcome, String, String) {
    let Release { outcome, cause, reason, .. } = only(runs);
    (outcome, cause, reason)
}
