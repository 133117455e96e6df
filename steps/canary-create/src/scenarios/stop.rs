//! The stop switch.

use super::*;

const STOPPED: &str = "all releases of the namespace are stopped, by ada: incident 42";

fn stopped(simulator: &Simulator) {
    simulator.stop(Some("ada: incident 42"));
}

#[tokio::test(start_paused = true)]
async fn a_release_does_not_begin_while_all_are_stopped_and_does_when_they_go_on() {
    for (simulator, desired) in [
        (serving(B), desired(C)),
        (serving(B), by_run(C, "release-1")),
        (Simulator::new(), desired(C)),
    ] {
        stopped(&simulator);
        let writes = simulator.writes();
        let error = run(&simulator, desired.clone()).await.unwrap_err();
        let wanted = format!("failed to release `{C}` on `models/iris`: {STOPPED}");
        assert_eq!(error.to_string(), wanted);
        let hint = &error.downcast_ref::<step::Failure>().unwrap().hint;
        assert!(hint.contains("`kubectl delete configmap canary-stop -n models`"), "{hint}");
        assert_eq!(simulator.writes(), writes);
        simulator.stop(None);
        run(&simulator, desired).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_waits_for_its_turn_is_not_begun_when_all_are_stopped() {
    let simulator = serving(B);
    run(&simulator, by_run(D, "release-1")).await.unwrap();
    let stop = async {
        tokio::time::sleep(Duration::from_mins(1)).await;
        stopped(&simulator);
    };
    let error = tokio::join!(run(&simulator, by_run(C, "release-2")), stop).0.unwrap_err();
    assert!(error.to_string().ends_with(STOPPED), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_in_the_spec_goes_on_and_one_that_is_only_marked_does_not() {
    for (number, goes_on) in [(1, false), (2, true), (3, true), (4, true)] {
        let simulator = serving(B);
        simulator.kill_at_write(number, true);
        assert!(simulator.until_killed(run(&simulator, desired(C))).await.is_none());
        stopped(&simulator);
        let ended = run(&simulator, desired(C)).await;
        assert_eq!(ended.is_ok(), goes_on, "killed after write {number}: {ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_serves_already_is_unchanged_and_one_at_zero_is_not_begun_again() {
    let simulator = serving(B);
    stopped(&simulator);
    assert_eq!(run(&simulator, desired(B)).await.unwrap().outcome, "unchanged");
    simulator.stop(None);
    run(&simulator, desired(C)).await.unwrap();
    reject(&simulator, C).await;
    simulator.ask(C, Some(0));
    stopped(&simulator);
    let again = Desired { retry_rejected: true, ..desired(C) };
    let error = run(&simulator, again).await.unwrap_err();
    assert!(error.to_string().ends_with(STOPPED), "{error}");
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_read_it_there_is_no_stop_switch() {
    let simulator = serving(B);
    stopped(&simulator);
    simulator.forbid_reading("configmaps");
    assert_eq!(run(&simulator, desired(C)).await.unwrap().outcome, "canary");
}
