use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pipeline_run(run: Value) -> PipelineRun {
    serde_json::from_value(run).unwrap()
}

/// The runs of a release as a cluster had them, whose canary was taken back for want of requests
fn recorded() -> Vec<RunRecord> {
    let all: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/fixtures/release.json")).unwrap();
    let (runs, tasks): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|object| object["kind"] == "PipelineRun");
    let tasks: Vec<TaskRun> =
        tasks.into_iter().map(|task| serde_json::from_value(task).unwrap()).collect();
    let with_tasks = |run: RunRecord| {
        let ours = tasks.iter().filter(|task| pipeline_run_of(task) == run.name);
        let ours: Vec<_> = ours.map(TaskRecord::of).collect();
        run.with_tasks(ours)
    };
    runs.into_iter().map(|run| with_tasks(RunRecord::of(&pipeline_run(run)).unwrap())).collect()
}

#[test]
fn the_runs_of_a_cluster_are_read() {
    let [promotion, release] = recorded().try_into().unwrap();
    assert_eq!((release.service.as_str(), release.version.as_str()), ("iris", "v2"));
    assert_eq!(release.correlation, promotion.correlation);
    assert_eq!(release.param("bento"), "iris:v2");
    assert_eq!(release.param("store"), "", "where it was kept is nothing of the release");
    let order =
        |run: &RunRecord| run.tasks.iter().map(|task| task.task.clone()).collect::<Vec<_>>();
    assert_eq!(order(&release), ["bento-build", "canary-create", "canary-created"]);
    assert_eq!(order(&promotion), ["prometheus-gate", "canary-rollback"]);
    assert_eq!(release.state, State::Succeeded);
    assert_eq!((promotion.state, promotion.reason.as_str()), (State::Failed, "Failed"));
    let gate = &promotion.tasks[0];
    assert_eq!((gate.state, gate.reason.as_str()), (State::Failed, "FailureIgnored"));
    assert_eq!(gate.result("verdict"), "inconclusive");
    assert!(promotion.ended > promotion.created);
}

#[test]
fn a_run_that_is_no_release_s_is_none() {
    for labels in [json!({}), json!({"tekton.dev/pipeline": "canary-decision"})] {
        let run = json!({"metadata": {"name": "a", "labels": labels}, "spec": {}});
        assert_eq!(RunRecord::of(&pipeline_run(run)), None);
    }
}

#[test]
fn a_run_s_state_is_that_of_its_condition() {
    let with = |status: Value, requested: &str| {
        let run = json!({
            "metadata": {"name": "a", "labels": {"tekton.dev/pipeline": "canary-release"}},
            "spec": {"status": requested}, "status": status,
        });
        RunRecord::of(&pipeline_run(run)).unwrap()
    };
    let condition = |status: &str, reason: &str| json!({"conditions": [{"type": "Succeeded", "status": status, "reason": reason}], "completionTime": "2026-11-24T06:07:00Z"});
    for (status, requested, state, cancelled) in [
        (json!({}), "", State::Running, false),
        (condition("Unknown", "PipelineRunPending"), "PipelineRunPending", State::Running, false),
        (condition("Unknown", "ToBeRetried"), "", State::Running, false),
        (condition("True", "Completed"), "", State::Succeeded, false),
        (condition("False", "PipelineRunTimeout"), "", State::Failed, false),
        (condition("False", "Cancelled"), "Cancelled", State::Failed, true),
        (condition("False", "Failed"), "CancelledRunFinally", State::Failed, true),
        (condition("Unknown", "StoppedRunFinally"), "StoppedRunFinally", State::Running, true),
    ] {
        let found = with(status.clone(), requested);
        assert_eq!((found.state, found.cancelled), (state, cancelled), "{status}");
        assert_eq!(found.ended.is_some(), state != State::Running, "{status}");
    }
}

#[test]
fn what_strangers_wrote_is_one_line_so_long_and_no_longer() {
    let long = "é\u{1b}[31m\n".repeat(9000);
    let run = json!({
        "metadata": {"name": "a", "labels": {"tekton.dev/pipeline": "canary-rollback-now"}},
        "spec": {"params": [{"name": "reason", "value": long}, {"name": "by", "value": "$$(HOME)"}]},
        "status": {"conditions": [{"type": "Succeeded", "status": "False", "message": long}]},
    });
    let found = RunRecord::of(&pipeline_run(run)).unwrap();
    assert_eq!(found.param("reason").chars().count(), LONGEST_VALUE);
    assert_eq!(found.message.chars().count(), LONGEST_MESSAGE);
    assert!(!found.message.contains(['\n', '\u{1b}']));
    assert_eq!(found.param("by"), "$(HOME)");
}

#[test]
fn a_task_began_with_its_first_try() {
    let task: TaskRun = serde_json::from_value(json!({
        "metadata": {"name": "a"}, "spec": {},
        "status": {"startTime": "2026-11-24T06:09:00Z", "retriesStatus": [{"startTime": "2026-11-24T06:07:00Z"}]},
    }))
    .unwrap();
    assert_eq!(TaskRecord::of(&task).started, "2026-11-24T06:07:00Z".parse().ok());
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_written_and_by_those_who_know_less(
        name in "\\PC*", (created, ended) in (0..4_000_000_000_i64, proptest::option::of(0..4_000_000_000_i64)),
        params in proptest::collection::btree_map("[a-z]{1,9}", "\\PC*", 0..4),
        results in proptest::collection::btree_map("[a-z]{1,9}", "\\PC*", 0..4),
        state in prop_oneof![Just(State::Running), Just(State::Succeeded), Just(State::Failed)],
    ) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let task = TaskRecord { task: name.clone(), started: Some(at(created)), results, state, ..TaskRecord::default() };
        let record = RunRecord {
            name, created: Some(at(created)), ended: ended.map(at), state, params, tasks: vec![task], ..RunRecord::default()
        };
        let written = record.to_json().unwrap();
        prop_assert_eq!(&RunRecord::from_json(&written).unwrap(), &record);
        let mut later: Value = serde_json::from_slice(&written).unwrap();
        later["of-tomorrow"] = json!({"a": 1});
        later["tasks"][0]["of-tomorrow"] = json!([]);
        prop_assert_eq!(RunRecord::from_json(later.to_string().as_bytes()).unwrap(), record);
        later["apiVersion"] = "kanaria.dev/run/v2".into();
        prop_assert!(RunRecord::from_json(later.to_string().as_bytes()).is_err());
    }
}
