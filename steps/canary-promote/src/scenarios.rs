//! Whole promotions on the simulator.

mod at_zero;
mod ladder;
mod room;

use inference_service::simulator::{Behaviour, Simulator};

use super::*;

const CANARY: &str = "iris-predictor-00002";
const BASELINE: &str = "iris-predictor-00001";

/// A canary at that percent
fn live(percent: i64) -> Simulator {
    let simulator = Simulator::new();
    simulator.serve("v1");
    simulator.ask("v2", Some(percent));
    simulator
}

/// On the ladder 10, 25, 50, 100, where it was judged at that percent
fn judged(percent: u8) -> Desired {
    let ladder = Some("10,25,50".parse().unwrap());
    Desired { ladder, percent: Some(percent), ..straight_on() }
}

/// Without a ladder, wherever it stands, and without asking for pods
fn straight_on() -> Desired {
    Desired { canary: CANARY.into(), ..Desired::default() }
}

async fn run(simulator: &Simulator, mut desired: Desired) -> Result<Climb> {
    let service = Service::new(simulator.client(), None, "iris");
    let (mut observed, limit) = (Observed::default(), Duration::from_mins(5));
    let results = Results::default();
    Box::pin(climb(&service, &mut desired, &mut observed, limit, &results)).await
}

fn assert_at(simulator: &Simulator, percent: i64) {
    simulator.settle();
    assert_eq!(simulator.spec(), ("v2".to_owned(), Some(percent)));
    let both = [("v1".to_owned(), 100 - percent), ("v2".to_owned(), percent)];
    assert_eq!(simulator.traffic(), both.into());
}

fn assert_promoted(simulator: &Simulator) {
    simulator.settle();
    assert_eq!(simulator.traffic(), [("v2".to_owned(), 100)].into());
    assert_eq!(simulator.spec(), ("v2".to_owned(), None), "no percent stays behind");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_judged_or_has_no_requests_is_not_promoted() {
    let never_there = Simulator::new();
    let other = live(10);
    other.ask("v3", Some(10));
    let taken_back = live(10);
    taken_back.ask("v2", Some(0));
    let restored = live(10);
    restored.edit(|service| service["spec"]["predictor"]["containers"][0]["image"] = "v1".into());
    for (simulator, why) in [
        (never_there, "there is no such service"),
        (other, "the latest revision is `iris-predictor-00003`"),
        (taken_back, "it has 0 %: it was taken back, or its release did not end"),
        (restored, "the service asks for another image by now, `v1`"),
    ] {
        for desired in [straight_on(), judged(10)] {
            let error = run(&simulator, desired).await.unwrap_err();
            assert!(error.to_string().ends_with(why), "{error}");
            assert_eq!(simulator.writes(), [""; 0], "{why}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_crashes_before_its_next_percent_does_not_get_it() {
    let simulator = live(10);
    simulator.behave("v2", Behaviour::Crashed);
    simulator.settle();
    let error = run(&simulator, judged(10)).await.unwrap_err();
    assert!(
        error.to_string().contains("its container exits with code 1: no such file: model.pkl"),
        "{error}"
    );
    assert_eq!(simulator.writes(), [""; 0]);
}
