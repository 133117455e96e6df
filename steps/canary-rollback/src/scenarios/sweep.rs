//! Canaries that no run will end, and runs that cannot.

use super::*;
use crate::stuck_runs::cancel_stuck_runs;

pub(super) async fn found(simulator: &Simulator) -> Vec<String> {
    let found =
        orphaned_canaries(&simulator.client(), NAMESPACE, Duration::from_secs(20)).await.unwrap();
    found.into_iter().map(|orphaned_canary| orphaned_canary.image).collect()
}

#[tokio::test(start_paused = true)]
async fn a_canary_is_left_behind_when_no_unfinished_run_made_it_or_was_given_it() {
    let simulator = made_by_run("live");
    mark(&simulator, began).await;
    assert_eq!(found(&simulator).await, [""; 0]);
    simulator.end_run("release-1");
    assert_eq!(found(&simulator).await, [""; 0], "the promotion goes on");
    simulator.end_run("promotion-1");
    simulator.run("PipelineRun", "release-2", &[("service", "iris")]);
    simulator.run("PipelineRun", "promotion-2", &[("service", "iris"), ("canary-image", D)]);
    simulator.run("TaskRun", "canary-3", &[("service", "rose"), ("canary-image", C)]);
    assert_eq!(found(&simulator).await, [C], "these are about something else");
    simulator.run(
        "TaskRun",
        "canary-4",
        &[("service", "iris"), ("canary-revision", "iris-predictor-00003")],
    );
    assert_eq!(found(&simulator).await, [""; 0], "somebody takes it back");
}

#[tokio::test(start_paused = true)]
async fn a_canary_without_our_mark_is_never_swept() {
    let simulator = simulator("live");
    assert_eq!(found(&simulator).await, [""; 0]);
    mark(&simulator, |mark| mark.begin(D, "iris-predictor-00002", B)).await;
    assert_eq!(found(&simulator).await, [""; 0], "the mark is of another image");
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_out_at_zero_is_left_behind_like_any_other_and_is_taken_back() {
    let simulator = made_by_run("at zero");
    mark(&simulator, |mark| began(mark).go_live_at_zero("2026-11-24T06:07:00Z")).await;
    assert_eq!(found(&simulator).await, [""; 0], "its runs go on");
    simulator.end_run("release-1");
    simulator.end_run("promotion-1");
    assert_eq!(found(&simulator).await, [C]);
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
    assert_on(&simulator, B, "at zero");
    assert!(!simulator.revisions().contains(&"iris-predictor-00003".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_serves_all_requests_is_never_swept() {
    for state in ["promoted", "promoted and crashed"] {
        let simulator = simulator(state);
        mark(&simulator, began).await;
        assert_eq!(found(&simulator).await, [""; 0], "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_died_half_way_is_finished_by_the_sweep() {
    for state in STATES {
        for number in 0..4 {
            let simulator = simulator(state);
            mark(&simulator, began).await;
            simulator.kill_at_write(number, true);
            simulator.until_killed(run(&simulator, by_image(C))).await;
            for image in found(&simulator).await {
                run(&simulator, by_image(&image)).await.unwrap();
            }
            if !(state.contains("promoted") && number == 0) {
                assert_on(&simulator, B, &format!("{state}, killed after write {number}"));
            }
        }
    }
}

/// Writes about runs
async fn cancelled(simulator: &Simulator) -> Vec<String> {
    cancel_stuck_runs(&simulator.client(), NAMESPACE).await.unwrap();
    simulator.writes().into_iter().filter(|write| write.starts_with("run ")).collect()
}

/// A canary whose gate was killed whole.
async fn stuck() -> Simulator {
    let simulator = made_by_run("live");
    mark(&simulator, began).await;
    simulator.end_run("release-1");
    simulator.kill_step_of("promotion-1");
    simulator
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_gate_was_killed_whole_is_cancelled_once_its_canary_is_taken_back_and_not_before()
 {
    let simulator = stuck().await;
    assert_eq!(cancelled(&simulator).await, [""; 0], "its canary is still there");
    assert_eq!(found(&simulator).await, [C]);
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
    let once = ["run promotion-1: Cancelled"];
    assert_eq!(cancelled(&simulator).await, once);
    assert_eq!(cancelled(&simulator).await, once, "another sweep finds it ended");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_canary_is_gone_but_whose_pods_go_on_is_left_to_end_by_itself() {
    let simulator = made_by_run("live");
    mark(&simulator, began).await;
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
    assert_eq!(cancelled(&simulator).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_go_on_is_left_alone_where_its_version_serves_all_requests() {
    let simulator = made_by_run("promoted");
    mark(&simulator, began).await;
    simulator.kill_step_of("promotion-1");
    assert_eq!(found(&simulator).await, [""; 0]);
    assert_eq!(cancelled(&simulator).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_run_that_made_a_canary_is_cancelled_like_one_that_was_given_it() {
    let simulator = made_by_run("live");
    mark(&simulator, began).await;
    simulator.end_run("promotion-1");
    simulator.kill_step_of("release-1");
    assert_eq!(found(&simulator).await, [C]);
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
    assert_eq!(cancelled(&simulator).await, ["run release-1: Cancelled"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_cancel_runs_the_sweep_goes_on() {
    let simulator = stuck().await;
    run(&simulator, by_image(C)).await.unwrap();
    simulator.forbid("pipelineruns");
    assert_eq!(cancelled(&simulator).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_event_says_which_container_was_killed_and_what_the_run_says_later_is_the_same() {
    let simulator = stuck().await;
    let client = simulator.client();
    let orphans = orphaned_canaries(&client, NAMESPACE, Duration::from_secs(20)).await.unwrap();
    let [orphan] = <[_; 1]>::try_from(orphans).ok().unwrap();
    let lost = orphan.lost.as_ref();
    let cause = RollbackCause::of_canary(&orphan.service, &orphan.observed, C, lost).await;
    let why = "run `promotion-1` cannot go on: container `step-prometheus-gate` of pod `promotion-1-pod` was killed whole (OOMKilled, exit code 137), so that the step behind it never begins";
    assert_eq!(cause, RollbackCause::new("error", "prometheus-gate", why));
    run(&simulator, by_image(C)).await.unwrap();
    cancelled(&simulator).await;
    let later = RollbackCause::of_run(&client, NAMESPACE, "promotion-1", "").await;
    assert_eq!((later.reason, later.message.as_str()), ("error", why), "it was not a person");
}
