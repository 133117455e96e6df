//! What people decide is of one release.

use inference_service::Decision;

use super::*;

/// The Lease of decisions, which is there, as one line
fn decided(simulator: &Simulator) -> String {
    let decisions = simulator.decisions().expect("the Lease is there");
    decisions.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

const APPROVED: &str = "kanaria.dev/approve=v3 ada";

#[tokio::test(start_paused = true)]
async fn a_canary_begins_with_a_lease_for_decisions_and_a_first_release_needs_none() {
    let simulator = serving(B);
    run(&simulator, desired(C)).await.unwrap();
    assert_eq!(decided(&simulator), "");
    let first = Simulator::new();
    run(&first, desired(C)).await.unwrap();
    assert_eq!(first.decisions(), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_about_a_release_is_kept_when_a_run_of_it_is_killed_and_repeated() {
    // From the mark on somebody can decide; the decision is then the next write but for the run's own.
    for (number, applied) in (1..5).flat_map(|number| [(number, false), (number, true)]) {
        if (number, applied) == (1, false) {
            continue; // it has not begun
        }
        let simulator = serving(B);
        simulator.kill_at_write(number, applied);
        assert!(simulator.until_killed(run(&simulator, by_run(C, "release-1"))).await.is_none());
        simulator.decide(Decision::Approve, "v3 ada");
        run(&simulator, by_run(C, "release-1")).await.unwrap();
        assert_eq!(decided(&simulator), APPROVED, "killed at write {number}, {applied}");
        run(&simulator, by_run(C, "release-2")).await.unwrap();
        assert_eq!(decided(&simulator), APPROVED, "another run goes on with it");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_release_begins_without_the_decisions_of_the_last_one_however_it_ended() {
    for number in 0..3 {
        let simulator = serving(B);
        run(&simulator, desired(C)).await.unwrap();
        simulator.decide(Decision::Approve, "v3 ada");
        simulator.ask(C, None);
        simulator.kill_at_write(number, true);
        assert!(simulator.until_killed(run(&simulator, desired(D))).await.is_none());
        run(&simulator, desired(D)).await.unwrap();
        assert_eq!(decided(&simulator), "", "killed at write {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_tried_again_begins_without_the_decisions_of_the_first_time() {
    let simulator = serving(B);
    run(&simulator, desired(C)).await.unwrap();
    simulator.decide(Decision::Abort, "v3 ada");
    reject(&simulator, C).await;
    simulator.ask(B, None);
    run(&simulator, Desired { retry_rejected: true, ..desired(C) }).await.unwrap();
    assert_eq!(decided(&simulator), "");
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_write_decisions_it_is_released_all_the_same() {
    let simulator = serving(B);
    simulator.forbid("iris-canary-decision");
    assert_eq!(run(&simulator, desired(C)).await.unwrap().outcome, "canary");
    assert_eq!(simulator.decisions(), None);
}
