//! Canaries that no run will end.

use super::*;

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
