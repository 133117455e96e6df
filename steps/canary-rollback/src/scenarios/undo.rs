//! Undo of what serves all requests.

use super::*;
use crate::desired::Undo;

pub(super) fn undo() -> Desired {
    undo_of("")
}

fn undo_of(version: &str) -> Desired {
    Desired { undo: Some(Undo { version: version.into() }), ..Desired::default() }
}

/// C serves all requests, of version v3, and B did before.
async fn promoted(state: &str) -> Simulator {
    let simulator = simulator(state);
    mark(&simulator, began).await;
    simulator
}

async fn observed(simulator: &Simulator) -> Observed {
    Service::new(simulator.client(), None, "iris").observe().await.unwrap()
}

/// An undo that is refused and writes nothing
async fn refused(simulator: &Simulator, desired: Desired) -> (String, String) {
    let writes = simulator.writes();
    let error = run(simulator, desired).await.unwrap_err();
    assert_eq!(simulator.writes(), writes, "{error}");
    let hint = error.downcast_ref::<step::Failure>().unwrap().hint.clone();
    (error.to_string(), hint)
}

const PROMOTED: [&str; 2] = ["promoted", "promoted and crashed"];

#[tokio::test(start_paused = true)]
async fn the_version_before_serves_again_and_what_was_undone_is_remembered() {
    for state in PROMOTED {
        for version in ["", "v3"] {
            let simulator = promoted(state).await;
            assert_eq!(run(&simulator, undo_of(version)).await.unwrap(), rolled_back(), "{state}");
            assert_on(&simulator, B, state);
            assert!(observed(&simulator).await.mark.has_rejected(C));
            let left = ["iris-predictor-00001", "iris-predictor-00002", "iris-predictor-00004"];
            assert_eq!(simulator.revisions(), left, "{state}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_it_ends_on_the_version_before() {
    for (state, is_noted) in PROMOTED.iter().flat_map(|state| [(state, true), (state, false)]) {
        for (number, applied) in (0..6).flat_map(|number| [(number, false), (number, true)]) {
            let simulator = if is_noted { promoted(state).await } else { simulator(state) };
            simulator.kill_at_write(number, applied);
            simulator.until_killed(run(&simulator, undo())).await;
            let case = format!("{state}, noted {is_noted}, write {number}, applied {applied}");
            assert_eq!(run(&simulator, undo()).await.unwrap(), rolled_back(), "{case}");
            assert_on(&simulator, B, &case);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn asked_for_twice_it_neither_goes_further_back_nor_brings_back_what_was_undone() {
    for state in PROMOTED {
        let simulator = promoted(state).await;
        simulator.forbid("revisions"); // what was undone is still there, and KServe may have recorded it
        run(&simulator, undo()).await.unwrap();
        let writes = simulator.writes();
        for desired in [undo(), undo_of("v3")] {
            assert_eq!(run(&simulator, desired).await.unwrap(), rolled_back(), "{state}");
        }
        assert_eq!(simulator.writes(), writes, "{state}");
        assert_on(&simulator, B, state);
        let (error, hint) = refused(&simulator, undo_of("v2")).await;
        assert!(error.ends_with("version `v3` was taken back before it"), "{error}");
        assert!(hint.contains("release that version again"), "{hint}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_gate_s_rollback_there_is_nothing_to_undo() {
    let simulator = promoted("live").await;
    run(&simulator, by_image(C)).await.unwrap();
    let writes = simulator.writes();
    assert_eq!(run(&simulator, undo()).await.unwrap(), rolled_back());
    assert_eq!(simulator.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn what_was_released_after_an_undo_can_be_undone_too() {
    let simulator = promoted("promoted").await;
    run(&simulator, undo()).await.unwrap();
    mark(&simulator, |mark| mark.begin(D, "iris-predictor-00004", B)).await;
    simulator.ask(D, Some(10));
    simulator.ask(D, None);
    assert_eq!(run(&simulator, undo()).await.unwrap(), rolled_back());
    assert_on(&simulator, B, "undone again");
    assert!(observed(&simulator).await.mark.has_rejected(D));
}

#[tokio::test(start_paused = true)]
async fn a_change_by_hand_is_undone_by_what_kserve_has_recorded() {
    let simulator = promoted("promoted").await;
    simulator.ask(D, None);
    let ended = run(&simulator, undo()).await.unwrap();
    assert_eq!(ended, RollbackOutcome::RolledBack { image: C.into() });
    assert_on(&simulator, C, "the mark is of what served before");
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_itself_is_not_gone_back_to() {
    let simulator = simulator("promoted");
    mark(&simulator, |mark| mark.begin(B, "iris-predictor-00001", A).reject(B, "r")).await;
    let (error, hint) = refused(&simulator, undo()).await;
    assert!(error.ends_with("which served before, was taken back itself"), "{error}");
    assert!(hint.starts_with("release the old version again"), "{hint}");
}

#[tokio::test(start_paused = true)]
async fn a_first_release_is_not_undone() {
    let simulator = Simulator::new();
    simulator.serve(C);
    let (error, _) = refused(&simulator, undo()).await;
    assert_eq!(
        error,
        "failed to undo `models/iris`: nothing served before it: it is a first release"
    );
    let (error, _) = refused(&Simulator::new(), undo()).await;
    assert!(error.ends_with("there is no such service"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_canary_in_progress_is_to_be_aborted_instead() {
    for (state, percent) in [("live", 10), ("at zero", 0), ("never ready", 10)] {
        let simulator = promoted(state).await;
        let (error, hint) = refused(&simulator, undo()).await;
        let wanted = format!(
            "failed to undo `models/iris`: a canary is in progress: `{C}` at {percent} %, version v3 by run `release-1`"
        );
        assert_eq!(error, wanted);
        assert!(
            hint.contains("`kubectl annotate lease iris-canary-decision -n models --overwrite kanaria.dev/abort='v3 WHO: WHY'`"),
            "{hint}"
        );
    }
    let (error, hint) = refused(&simulator("live"), undo()).await;
    assert!(error.contains("a canary is in progress"), "{error}");
    assert!(hint.contains("canary-rollback"), "nobody would read an abort: {hint}");
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_is_refused_tells_of_no_release() {
    let simulator = promoted("live").await;
    let service = Service::new(simulator.client(), None, "iris");
    let (mut desired, mut observed) = (undo(), Observed::default());
    take_back(&service, &mut desired, &mut observed, None, &Results::default()).await.unwrap_err();
    assert_eq!((observed.full_name(), observed.mark), ("models/iris".into(), Mark::default()));
}

#[tokio::test(start_paused = true)]
async fn another_version_than_the_one_that_is_to_go_is_kept() {
    let simulator = promoted("promoted").await;
    let (error, hint) = refused(&simulator, undo_of("v2")).await;
    assert_eq!(error, "failed to undo `models/iris`: version `v3` serves");
    assert!(hint.contains("`v3`"), "{hint}");
}

#[tokio::test(start_paused = true)]
async fn a_version_before_that_is_gone_is_made_again_from_its_image_if_that_is_known() {
    let simulator = promoted("promoted").await;
    simulator.collect("iris-predictor-00002");
    assert_eq!(run(&simulator, undo()).await.unwrap(), rolled_back());
    assert_on(&simulator, B, "the mark knows its image");
    for given in [None, Some(B.to_owned())] {
        let simulator = self::simulator("promoted");
        simulator.collect("iris-predictor-00002");
        let desired = Desired { baseline_image: given.clone(), ..undo() };
        if given.is_some() {
            assert_eq!(run(&simulator, desired).await.unwrap(), rolled_back());
            assert_on(&simulator, B, "given");
        } else {
            let (error, hint) = refused(&simulator, desired).await;
            assert!(
                error.contains(
                    "`iris-predictor-00002`, which served before, is gone: Knative keeps"
                ),
                "{error}"
            );
            assert!(hint.starts_with("release the old version again"), "{hint}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_marks_it_goes_back_all_the_same() {
    for state in PROMOTED {
        let simulator = simulator(state);
        simulator.forbid("leases");
        assert_eq!(run(&simulator, undo()).await.unwrap(), rolled_back(), "{state}");
        assert_on(&simulator, B, state);
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_is_under_way_is_not_swept_and_one_that_died_is_finished() {
    let simulator = promoted("promoted").await;
    simulator.kill_at_write(1, true);
    assert!(simulator.until_killed(run(&simulator, undo())).await.is_none());
    simulator.run("TaskRun", "undo-1", &[("service", "iris"), ("undo", "true")]);
    assert_eq!(sweep::found(&simulator).await, [""; 0]);
    simulator.end_run("undo-1");
    assert_eq!(sweep::found(&simulator).await, [C]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_whatever_order_the_cluster_acts_it_ends_on_the_version_before(
        state in proptest::sample::select(&PROMOTED), schedule in proptest::collection::vec(0..5_u8, 0..120),
        kill in proptest::option::of((0..5_usize, any::<bool>())),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let simulator = promoted(state).await;
            simulator.schedule(schedule);
            if let Some((number, applied)) = kill {
                simulator.kill_at_write(number, applied);
                simulator.until_killed(run(&simulator, undo())).await;
            }
            assert_eq!(run(&simulator, undo()).await.unwrap(), rolled_back());
            assert_on(&simulator, B, state);
        });
    }
}
