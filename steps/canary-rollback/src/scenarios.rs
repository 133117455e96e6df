//! Whole rollbacks on the simulator.

mod answers;
mod container;
mod identity;
mod sweep;
mod undo;

use std::time::Duration;

use inference_service::{
    Action, Fields, LoggerChange, Mark, PROGRESS_DEADLINE, Release,
    simulator::{Behaviour, NAMESPACE, Simulator},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{orphaned_canaries::orphaned_canaries, plan::RollbackOutcome, results::Results};

const A: &str = "r/iris@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "r/iris@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "r/iris@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
const D: &str = "r/iris@sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";

/// A service on B, with A before it, and a canary C in the state that is named.
fn simulator(state: &str) -> Simulator {
    simulator_with(state, &json!({}), &json!({}))
}

/// The same where B's container has these fields, and C's container these in their place.
fn simulator_with(state: &str, baseline: &Value, canary: &Value) -> Simulator {
    let simulator = Simulator::new();
    let set = |fields: &Value| {
        simulator.edit(|service| {
            let container = &mut service["spec"]["predictor"]["containers"][0];
            json_patch::merge(container, fields);
        });
    };
    simulator.serve(A);
    set(baseline);
    simulator.serve(B);
    if state == "never ready" {
        simulator.behave(C, Behaviour::NeverReady);
    }
    set(canary);
    simulator.ask(C, Some(if state == "at zero" { 0 } else { 10 }));
    come_to(&simulator, state);
    simulator
}

/// What becomes of the canary C, once it is there.
fn come_to(simulator: &Simulator, state: &str) {
    if state.contains("promoted") {
        simulator.ask(C, None);
    }
    if state.contains("crashed") {
        simulator.behave(C, Behaviour::Crashed);
        simulator.settle();
    }
}

const STATES: [&str; 6] =
    ["live", "at zero", "never ready", "crashed", "promoted", "promoted and crashed"];

fn by_image(image: &str) -> Desired {
    Desired { canary_image: Some(image.into()), ..Desired::default() }
}

fn by_revision(revision: &str) -> Desired {
    Desired { canary_revision: Some(revision.into()), ..Desired::default() }
}

async fn run(simulator: &Simulator, desired: Desired) -> Result<RollbackOutcome> {
    let service = Service::new(simulator.client(), None, "iris");
    let (mut desired, mut observed) = (desired, Observed::default());
    Box::pin(take_back(
        &service,
        &mut desired,
        &mut observed,
        Some(Duration::from_mins(9)),
        &Results::default(),
    ))
    .await
}

fn assert_on(simulator: &Simulator, image: &str, why: &str) {
    simulator.settle();
    assert_eq!(simulator.traffic(), [(image.to_owned(), 100)].into(), "{why}");
    assert_eq!(simulator.spec(), (image.to_owned(), None), "{why}: the spec says what runs");
}

fn rolled_back() -> RollbackOutcome {
    RollbackOutcome::RolledBack { image: B.into() }
}

#[tokio::test(start_paused = true)]
async fn from_every_state_the_old_image_serves_all_and_the_spec_says_so() {
    for state in STATES {
        let simulator = simulator(state);
        assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back(), "{state}");
        assert_on(&simulator, B, state);
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_it_ends_in_the_same_place() {
    for state in STATES {
        for (number, applied) in (0..5).flat_map(|number| [(number, false), (number, true)]) {
            for desired in [by_image(C), by_revision("iris-predictor-00003")] {
                let simulator = simulator(state);
                simulator.kill_at_write(number, applied);
                let killed =
                    simulator.until_killed(run(&simulator, desired.clone())).await.is_none();
                let ended = run(&simulator, desired.clone()).await.unwrap();
                let case = format!(
                    "{state}, killed at write {number} ({killed}), applied {applied}, {desired:?}"
                );
                assert_eq!(ended, rolled_back(), "{case}");
                assert_on(&simulator, B, &case);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_promoted_canary_loses_its_traffic_before_the_old_image_has_started_again() {
    let simulator = simulator("promoted");
    run(&simulator, by_image(C)).await.unwrap();
    let patches: Vec<_> =
        simulator.writes().into_iter().filter(|write| write.starts_with("image")).collect();
    assert_eq!(
        patches,
        [
            format!("image {C}, percent 0"),
            format!("image {B}, percent 0"),
            format!("image {B}, no percent")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_live_canary_is_taken_back_in_two_patches() {
    let simulator = simulator("live");
    run(&simulator, by_image(C)).await.unwrap();
    assert_eq!(
        simulator.writes(),
        [
            format!("mark {C}"),
            format!("image {B}, percent 0"),
            format!("image {B}, no percent"),
            "delete iris-predictor-00003".to_owned()
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_progress_deadline_is_again_what_it_was() {
    for before in [None, Some("900s")] {
        for percent in [Some(0), Some(10), None] {
            let simulator = Simulator::new();
            simulator.serve(A);
            let set = |deadline: Option<&str>| {
                simulator.edit(|service| {
                    service["metadata"]["annotations"][PROGRESS_DEADLINE] = json!(deadline);
                    if deadline.is_none()
                        && let Some(all) = service["metadata"]["annotations"].as_object_mut()
                    {
                        all.remove(PROGRESS_DEADLINE);
                    }
                });
            };
            set(before);
            simulator.serve(B);
            set(Some("1800s"));
            simulator.ask(C, percent);
            run(&simulator, by_image(C)).await.unwrap();
            assert_on(&simulator, B, "rolled back");
            let annotations = simulator.service().unwrap()["metadata"]["annotations"].clone();
            assert_eq!(annotations[PROGRESS_DEADLINE], json!(before), "at {percent:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_waits_as_long_as_the_old_image_may_take_to_start() {
    let simulator = Simulator::new();
    simulator.serve(A);
    simulator.edit(|service| service["metadata"]["annotations"][PROGRESS_DEADLINE] = "15m".into());
    simulator.serve(B);
    simulator.ask(C, Some(10));
    simulator.behave(B, Behaviour::NeverReady);
    let service = Service::new(simulator.client(), None, "iris");
    let (mut desired, mut observed) = (by_image(C), Observed::default());
    let results = Results::default();
    let rollback = take_back(&service, &mut desired, &mut observed, None, &results);
    let loading = async {
        tokio::time::sleep(Duration::from_mins(14)).await;
        simulator.behave(B, Behaviour::Good);
    };
    assert_eq!(tokio::join!(rollback, loading).0.unwrap(), rolled_back());
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_rejected_canary_goes_on() {
    for state in STATES {
        let simulator = simulator(state);
        run(&simulator, by_image(C)).await.unwrap();
        let left = ["iris-predictor-00001", "iris-predictor-00002", "iris-predictor-00004"];
        assert_eq!(simulator.revisions(), left, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_stuck_on_a_crashed_canary_is_free_before_the_old_image_has_started_again()
{
    let simulator = simulator("crashed");
    simulator.behave(B, Behaviour::NeverReady);
    // The old revision goes on, and the one that restores it finds no room.
    simulator.edit(|_| {});
    let service = Service::new(simulator.client(), None, "iris");
    let (mut desired, mut observed) = (by_image(C), Observed::default());
    let limit = Duration::from_secs(30);
    take_back(&service, &mut desired, &mut observed, Some(limit), &Results::default())
        .await
        .unwrap_err();
    simulator.settle();
    assert!(!simulator.traffic().contains_key(C), "{:?}", simulator.traffic());
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_delete_revisions_requests_are_served_all_the_same() {
    for state in STATES {
        let simulator = simulator(state);
        simulator.forbid("revisions");
        assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back(), "{state}");
        assert_on(&simulator, B, state);
    }
}

/// A canary that a run has made, and the runs that may end it.
fn made_by_run(state: &str) -> Simulator {
    let simulator = simulator(state);
    simulator.run("PipelineRun", "release-1", &[("service", "iris")]);
    simulator.run("PipelineRun", "promotion-1", &[("service", "iris"), ("canary-image", C)]);
    simulator
}

async fn mark(simulator: &Simulator, change: impl Fn(&Mark) -> Mark) {
    let service = Service::new(simulator.client(), None, "iris");
    let observed = service.observe().await.unwrap();
    let mut wanted = Some(change(&observed.mark));
    service
        .reconcile(Duration::from_secs(10), |_| {
            Ok(wanted.take().map_or(Action::Done(()), |mark| Action::Mark(Box::new(mark))))
        })
        .await
        .unwrap();
}

fn began(mark: &Mark) -> Mark {
    let release = Release {
        run: "release-1".into(),
        run_uid: "release-1".into(),
        version: "v3".into(),
        ..Release::default()
    };
    mark.begin(C, "iris-predictor-00002", B).of(&release).go_live("2026-11-24T06:07:00Z")
}

#[tokio::test(start_paused = true)]
async fn an_old_revision_that_was_collected_is_made_again_from_what_was_given_or_noted() {
    for state in ["promoted", "promoted and crashed", "live"] {
        let simulator = simulator(state);
        simulator.collect("iris-predictor-00002");
        let desired = Desired { baseline_image: Some(B.into()), ..by_image(C) };
        assert_eq!(run(&simulator, desired).await.unwrap(), rolled_back(), "{state}");
        assert_on(&simulator, B, state);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_image_that_nobody_knows_is_asked_for() {
    let simulator = simulator("live");
    simulator.collect("iris-predictor-00002");
    let error = run(&simulator, by_image(C)).await.unwrap_err();
    assert!(error.to_string().contains("`iris-predictor-00002` is not known any more"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn requests_matter_more_than_the_mark() {
    for state in STATES {
        let simulator = simulator(state);
        simulator.forbid("leases");
        assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back(), "{state}");
        assert_on(&simulator, B, state);
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_comes_back_is_waited_for() {
    let simulator = simulator("live");
    simulator.answer(&[503, 500, 429, 503]);
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
}

#[tokio::test(start_paused = true)]
async fn an_old_image_that_cannot_start_again_is_reported_and_tried_again_by_the_next_run() {
    let simulator = simulator("live");
    simulator.behave(B, Behaviour::Exits);
    let error = run(&simulator, by_image(C)).await.unwrap_err();
    assert!(
        error.to_string().contains("which restores the old image: its container exits with code 1"),
        "{error}"
    );
    simulator.behave(B, Behaviour::Good);
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
    assert_on(&simulator, B, "again");
}

#[tokio::test(start_paused = true)]
async fn run_again_it_ends_the_same_and_writes_nothing() {
    for desired in [by_image(C), by_revision("iris-predictor-00003")] {
        let simulator = simulator("live");
        run(&simulator, desired.clone()).await.unwrap();
        let writes = simulator.writes();
        assert_eq!(run(&simulator, desired).await.unwrap(), rolled_back());
        assert_eq!(simulator.writes(), writes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// KServe, configuration, kubelet, route and status act late, twice, or in any order.
    #[test]
    fn in_whatever_order_the_cluster_acts_it_ends_on_the_old_image(
        state in proptest::sample::select(&STATES), schedule in proptest::collection::vec(0..5_u8, 0..120),
        kill in proptest::option::of((0..4_usize, any::<bool>())),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let simulator = simulator(state);
            simulator.schedule(schedule);
            if let Some((number, applied)) = kill {
                simulator.kill_at_write(number, applied);
                simulator.until_killed(run(&simulator, by_image(C))).await;
            }
            assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
            assert_on(&simulator, B, state);
        });
    }
}
