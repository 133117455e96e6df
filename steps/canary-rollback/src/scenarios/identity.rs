//! Which canary is meant, and when there is nothing to take back.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_promoted_canary_can_be_kept() {
    let simulator = simulator("promoted");
    let desired = Desired { keep_promoted: true, ..by_image(C) };
    assert!(matches!(run(&simulator, desired).await.unwrap(), RollbackOutcome::Nothing(_)));
    assert_on(&simulator, C, "kept");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_rolled_back() {
    let simulator = simulator("live");
    assert!(matches!(run(&simulator, by_image(D)).await.unwrap(), RollbackOutcome::Nothing(_)));
    assert!(matches!(
        run(&Simulator::new(), by_image(D)).await.unwrap(),
        RollbackOutcome::Nothing(_)
    ));
    assert_eq!(simulator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_first_release_has_nothing_to_go_back_to() {
    let simulator = Simulator::new();
    simulator.serve(C);
    assert!(matches!(run(&simulator, by_image(C)).await.unwrap(), RollbackOutcome::Nothing(_)));
    assert_on(&simulator, C, "first");
}

#[tokio::test(start_paused = true)]
async fn an_image_is_taken_back_whatever_revision_runs_it_by_now() {
    for desired in [
        by_image(C),
        by_revision("iris-predictor-00003"),
        Desired { canary_image: Some(C.into()), ..by_revision("iris-predictor-00003") },
    ] {
        for state in STATES {
            let simulator = simulator(state);
            simulator.change_otherwise();
            assert_eq!(
                run(&simulator, desired.clone()).await.unwrap(),
                rolled_back(),
                "{state}, {desired:?}"
            );
            assert_on(&simulator, B, state);
            let left = ["iris-predictor-00001", "iris-predictor-00002", "iris-predictor-00005"];
            assert_eq!(simulator.revisions(), left, "{state}, {desired:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_takes_back_the_canary_that_it_made_and_no_other() {
    let by_run = |uid: &str| Desired { made_by: Some(uid.into()), ..Desired::default() };
    let simulator = made_by_run("live");
    mark(&simulator, began).await;
    assert!(matches!(
        run(&simulator, by_run("release-2")).await.unwrap(),
        RollbackOutcome::Nothing(_)
    ));
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
    assert_eq!(run(&simulator, by_image(C)).await.unwrap(), RollbackOutcome::Replaced);
    assert_eq!(simulator.spec(), (D.to_owned(), Some(10)));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_image_over_a_canary_with_requests_is_reported_and_left_alone() {
    let simulator = simulator("live");
    simulator.behave(D, Behaviour::NeverReady);
    simulator.ask(D, Some(10));
    let error = run(&simulator, by_revision("iris-predictor-00003")).await.unwrap_err();
    assert!(error.to_string().contains("has requests, but the service asks for"), "{error}");
}
