//! Whole rollbacks on the simulator.

use inference_service::{
    Fields, Mark, PROGRESS_DEADLINE, Release,
    simulator::{Behaviour, Simulator},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

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
    if state.contains("promoted") {
        simulator.ask(C, None);
    }
    if state.contains("crashed") {
        simulator.behave(C, Behaviour::Crashed);
        simulator.settle();
    }
    simulator
}

const STATES: [&str; 6] =
    ["live", "at zero", "never ready", "crashed", "promoted", "promoted and crashed"];

fn by_image(image: &str) -> Asked {
    Asked { canary_image: Some(image.into()), ..Asked::default() }
}

fn by_revision(revision: &str) -> Asked {
    Asked { canary_revision: Some(revision.into()), ..Asked::default() }
}

async fn run(simulator: &Simulator, asked: Asked) -> Result<Ended> {
    let service = Service::new(simulator.client(), None, "iris");
    let (mut asked, mut seen) = (asked, Seen::default());
    take_back(&service, &mut asked, &mut seen, Some(Duration::from_mins(9)), &Results::default())
        .await
}

fn assert_on(simulator: &Simulator, image: &str, why: &str) {
    simulator.settle();
    assert_eq!(simulator.users(), [(image.to_owned(), 100)].into(), "{why}");
    assert_eq!(simulator.spec(), (image.to_owned(), None), "{why}: the spec says what runs");
}

fn rolled_back() -> Ended {
    Ended::RolledBack { image: B.into() }
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
            for asked in [by_image(C), by_revision("iris-predictor-00003")] {
                let simulator = simulator(state);
                simulator.kill_at_write(number, applied);
                let killed = simulator.until_killed(run(&simulator, asked.clone())).await.is_none();
                let ended = run(&simulator, asked.clone()).await.unwrap();
                let story = format!(
                    "{state}, killed at write {number} ({killed}), applied {applied}, {asked:?}"
                );
                assert_eq!(ended, rolled_back(), "{story}");
                assert_on(&simulator, B, &story);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_promoted_canary_loses_its_users_before_the_old_image_has_started_again() {
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
    let (mut asked, mut seen) = (by_image(C), Seen::default());
    let results = Results::default();
    let rollback = take_back(&service, &mut asked, &mut seen, None, &results);
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
    let (mut asked, mut seen) = (by_image(C), Seen::default());
    let limit = Duration::from_secs(30);
    take_back(&service, &mut asked, &mut seen, Some(limit), &Results::default()).await.unwrap_err();
    simulator.settle();
    assert!(!simulator.users().contains_key(C), "{:?}", simulator.users());
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_delete_revisions_the_users_are_served_all_the_same() {
    for state in STATES {
        let simulator = simulator(state);
        simulator.forbid("revisions");
        assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back(), "{state}");
        assert_on(&simulator, B, state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_promoted_canary_can_be_kept() {
    let simulator = simulator("promoted");
    let asked = Asked { keep_promoted: true, ..by_image(C) };
    assert!(matches!(run(&simulator, asked).await.unwrap(), Ended::Nothing(_)));
    assert_on(&simulator, C, "kept");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_rolled_back() {
    let simulator = simulator("live");
    assert!(matches!(run(&simulator, by_image(D)).await.unwrap(), Ended::Nothing(_)));
    assert!(matches!(run(&Simulator::new(), by_image(D)).await.unwrap(), Ended::Nothing(_)));
    assert_eq!(simulator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_first_release_has_nothing_to_go_back_to() {
    let simulator = Simulator::new();
    simulator.serve(C);
    assert!(matches!(run(&simulator, by_image(C)).await.unwrap(), Ended::Nothing(_)));
    assert_on(&simulator, C, "first");
}

#[tokio::test(start_paused = true)]
async fn an_image_is_taken_back_whatever_revision_runs_it_by_now() {
    for asked in [
        by_image(C),
        by_revision("iris-predictor-00003"),
        Asked { canary_image: Some(C.into()), ..by_revision("iris-predictor-00003") },
    ] {
        for state in STATES {
            let simulator = simulator(state);
            simulator.change_otherwise();
            assert_eq!(
                run(&simulator, asked.clone()).await.unwrap(),
                rolled_back(),
                "{state}, {asked:?}"
            );
            assert_on(&simulator, B, state);
            let left = ["iris-predictor-00001", "iris-predictor-00002", "iris-predictor-00005"];
            assert_eq!(simulator.revisions(), left, "{state}, {asked:?}");
        }
    }
}

const ENV: &str = r#"[{"name": "B", "value": "2"}, {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]"#;

/// What a baseline's container may have, and what a canary makes of it
fn brought() -> Vec<(Value, Value)> {
    let some: Value = serde_json::from_str(ENV).unwrap();
    let more = json!([{"name": "B", "value": "3"}, {"name": "C", "value": "\"$(A)\""}]);
    let (small, large) = (
        json!({"limits": {"memory": "512Mi"}}),
        json!({"limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}}),
    );
    vec![
        (json!({}), json!({"resources": large, "env": more})),
        (json!({"resources": small}), json!({"resources": large})),
        (json!({"resources": small, "env": some}), json!({"resources": large, "env": more})),
        (json!({"resources": small, "env": some}), json!({"resources": null, "env": null})),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_the_canary_brought_goes_with_it_and_the_container_is_as_it_was() {
    for (state, (baseline, canary)) in
        STATES.iter().flat_map(|state| brought().into_iter().map(move |both| (state, both)))
    {
        for (is_noted, kill) in (0..4).flat_map(|number| [(true, number), (false, number)]) {
            let simulator = simulator_with(state, &baseline, &canary);
            if is_noted {
                let null = json!({"resources": null, "env": null});
                let before = canary.as_object().unwrap().keys().map(|name| {
                    (name.clone(), baseline.get(name).or(null.get(name)).unwrap().clone())
                });
                let before = Fields(before.collect());
                mark(&simulator, |mark| began(mark).from_fields(before.clone())).await;
            }
            simulator.kill_at_write(kill, true);
            simulator.until_killed(run(&simulator, by_image(C))).await;
            let ended = run(&simulator, by_image(C)).await.unwrap();
            let story = format!(
                "{state}, noted {is_noted}, killed after write {kill}, {baseline} {canary}"
            );
            assert_eq!(ended, rolled_back(), "{story}");
            assert_on(&simulator, B, &story);
            let mut wanted = json!({"name": "kserve-container", "image": B});
            json_patch::merge(&mut wanted, &baseline);
            assert_eq!(simulator.container(), wanted, "{story}: the spec");
            assert_eq!(simulator.serving(), wanted, "{story}: what serves");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_note_and_without_the_old_revision_the_image_alone_goes_back() {
    let (baseline, canary) = brought().remove(1);
    let simulator = simulator_with("live", &baseline, &canary);
    simulator.collect("iris-predictor-00002");
    let asked = Asked { baseline_image: Some(B.into()), ..by_image(C) };
    assert_eq!(run(&simulator, asked).await.unwrap(), rolled_back());
    assert_eq!(simulator.container()["resources"], canary["resources"], "nobody knows better");
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
    let seen = service.seen().await.unwrap();
    let mut wanted = Some(change(&seen.mark));
    service
        .drive(Duration::from_secs(10), |_| {
            Ok(wanted.take().map_or(Next::Done(()), |mark| Next::Mark(Box::new(mark))))
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

async fn found(simulator: &Simulator) -> Vec<String> {
    let found = orphans(&simulator.client(), None, Duration::from_secs(20)).await.unwrap();
    found.into_iter().map(|orphan| orphan.image).collect()
}

#[tokio::test(start_paused = true)]
async fn a_canary_is_left_behind_when_no_unfinished_run_made_it_or_was_told_of_it() {
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

#[tokio::test(start_paused = true)]
async fn a_run_takes_back_the_canary_that_it_made_and_no_other() {
    let by_run = |uid: &str| Asked { made_by: Some(uid.into()), ..Asked::default() };
    let simulator = made_by_run("live");
    mark(&simulator, began).await;
    assert!(matches!(run(&simulator, by_run("release-2")).await.unwrap(), Ended::Nothing(_)));
    assert_eq!(run(&simulator, by_run("release-1")).await.unwrap(), rolled_back());
    assert_on(&simulator, B, "made by the run");
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_was_taken_back_before_a_newer_release_began_is_said_to_be_rolled_back() {
    let simulator = simulator("live");
    run(&simulator, by_image(C)).await.unwrap();
    mark(&simulator, |mark| mark.begin(D, "iris-predictor-00004", B)).await;
    simulator.ask(D, Some(10));
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
    assert_eq!(simulator.spec(), (D.to_owned(), Some(10)));
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_place_was_taken_is_said_to_be_replaced() {
    let simulator = simulator("live");
    mark(&simulator, |mark| mark.begin(D, "iris-predictor-00002", B).replacing(C)).await;
    simulator.ask(D, Some(10));
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), Ended::Replaced);
    assert_eq!(simulator.spec(), (D.to_owned(), Some(10)));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_image_over_a_canary_with_requests_is_told_and_left_alone() {
    let simulator = simulator("live");
    simulator.behave(D, Behaviour::NeverReady);
    simulator.ask(D, Some(10));
    let error = run(&simulator, by_revision("iris-predictor-00003")).await.unwrap_err();
    assert!(error.to_string().contains("has requests, but the service asks for"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_old_revision_that_was_collected_is_made_again_from_what_was_told_or_noted() {
    for state in ["promoted", "promoted and crashed", "live"] {
        let simulator = simulator(state);
        simulator.collect("iris-predictor-00002");
        let asked = Asked { baseline_image: Some(B.into()), ..by_image(C) };
        assert_eq!(run(&simulator, asked).await.unwrap(), rolled_back(), "{state}");
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
async fn users_matter_more_than_the_mark() {
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
async fn an_old_image_that_cannot_start_again_is_told_and_tried_again_by_the_next_run() {
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
async fn run_again_it_says_the_same_and_writes_nothing() {
    for asked in [by_image(C), by_revision("iris-predictor-00003")] {
        let simulator = simulator("live");
        run(&simulator, asked.clone()).await.unwrap();
        let writes = simulator.writes();
        assert_eq!(run(&simulator, asked).await.unwrap(), rolled_back());
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
