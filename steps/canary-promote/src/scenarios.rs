//! Whole promotions on the simulator.

use inference_service::simulator::{Behaviour, Simulator};

use super::*;

const CANARY: &str = "iris-predictor-00002";

fn live() -> Simulator {
    let simulator = Simulator::new();
    simulator.serve("v1");
    simulator.ask("v2", Some(10));
    simulator
}

fn desired(ladder: &[u8]) -> Desired {
    Desired { canary: CANARY.into(), ladder: ladder.into(), pause: Duration::from_secs(30) }
}

async fn run(simulator: &Simulator, desired: &Desired) -> Result<&'static str> {
    Service::new(simulator.client(), None, "iris")
        .reconcile(Duration::from_mins(5), |observed| next(desired, observed))
        .await
}

fn assert_promoted(simulator: &Simulator) {
    simulator.settle();
    assert_eq!(simulator.traffic(), [("v2".to_owned(), 100)].into());
    assert_eq!(simulator.spec(), ("v2".to_owned(), None), "no percent stays behind");
}

#[tokio::test(start_paused = true)]
async fn a_live_canary_gets_all_requests_in_one_patch() {
    let simulator = live();
    run(&simulator, &desired(&[])).await.unwrap();
    assert_promoted(&simulator);
    assert_eq!(simulator.writes(), ["image v2, no percent"]);
}

#[tokio::test(start_paused = true)]
async fn a_ladder_is_climbed_from_where_the_canary_stands() {
    let simulator = live();
    run(&simulator, &desired(&[50, 5, 25])).await.unwrap();
    assert_promoted(&simulator);
    assert_eq!(
        simulator.writes(),
        ["image v2, percent 25", "image v2, percent 50", "image v2, no percent"]
    );
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_it_is_promoted() {
    for (number, applied) in (0..3).flat_map(|number| [(number, false), (number, true)]) {
        let simulator = live();
        simulator.kill_at_write(number, applied);
        assert!(simulator.until_killed(run(&simulator, &desired(&[25, 50]))).await.is_none());
        run(&simulator, &desired(&[25, 50])).await.unwrap();
        assert_promoted(&simulator);
    }
}

#[tokio::test(start_paused = true)]
async fn promoted_before_it_writes_nothing() {
    let simulator = live();
    simulator.ask("v2", None);
    run(&simulator, &desired(&[25])).await.unwrap();
    assert_eq!(simulator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_percent_that_somebody_set_is_removed() {
    let simulator = live();
    simulator.ask("v2", Some(100));
    run(&simulator, &desired(&[])).await.unwrap();
    assert_promoted(&simulator);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_judged_or_has_no_requests_is_not_promoted() {
    let never_there = Simulator::new();
    let other = live();
    other.ask("v3", Some(10));
    let taken_back = live();
    taken_back.ask("v2", Some(0));
    let restored = live();
    restored.edit(|service| service["spec"]["predictor"]["containers"][0]["image"] = "v1".into());
    for (simulator, why) in [
        (never_there, "there is no such service"),
        (other, "the latest revision is `iris-predictor-00003`"),
        (taken_back, "it has 0 %: it was taken back, or its release did not end"),
        (restored, "the service asks for another image by now, `v1`"),
    ] {
        let error = run(&simulator, &desired(&[])).await.unwrap_err();
        assert!(error.to_string().ends_with(why), "{error}");
        assert_eq!(simulator.writes(), [""; 0], "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_crashes_on_the_ladder_is_not_promoted() {
    let simulator = live();
    simulator.behave("v2", Behaviour::Crashed);
    simulator.settle();
    let error = run(&simulator, &desired(&[])).await.unwrap_err();
    assert!(
        error.to_string().contains("its container exits with code 1: no such file: model.pkl"),
        "{error}"
    );
    assert_eq!(simulator.writes(), [""; 0]);
}
