//! More than one release of a service.

use super::*;

#[tokio::test(start_paused = true)]
async fn another_canary_in_progress_is_named_and_left_alone() {
    let simulator = serving(B);
    run(&simulator, desired(D)).await.unwrap();
    let writes = simulator.writes();
    let error = run(&simulator, desired(C)).await.unwrap_err();
    assert!(
        error.to_string().ends_with(&format!("another canary is in progress: `{D}` at 10 %")),
        "{error}"
    );
    assert_eq!(simulator.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn of_two_releases_at_the_same_moment_one_is_live_and_the_other_says_why() {
    let simulator = serving(B);
    let (one, other) = tokio::join!(run(&simulator, desired(C)), run(&simulator, desired(D)));
    let ends = [one.is_ok(), other.is_ok()];
    assert_eq!(ends.iter().filter(|is_ok| **is_ok).count(), 1, "{one:?} {other:?}");
    let error = one.err().or(other.err()).unwrap();
    assert!(error.to_string().contains("another canary is in progress"), "{error}");
}

/// A release, and what somebody does after a minute.
async fn run_while(
    simulator: &Simulator,
    desired: Desired,
    somebody: impl FnOnce(),
) -> Result<Released> {
    let later = async {
        tokio::time::sleep(Duration::from_mins(1)).await;
        somebody();
    };
    tokio::join!(run(simulator, desired), later).0
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_until_the_canary_in_progress_has_ended() {
    let simulator = serving(B);
    run(&simulator, by_run(D, "release-1")).await.unwrap();
    let ended = run_while(&simulator, by_run(C, "release-2"), || simulator.ask(D, None)).await;
    assert_eq!(ended.unwrap().outcome, "canary");
    assert_eq!(traffic(&simulator), [(C.to_owned(), 10), (D.to_owned(), 90)]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_waits_too_long_says_for_whom() {
    let simulator = serving(B);
    run(&simulator, by_run(D, "release-1")).await.unwrap();
    let error = run(&simulator, by_run(C, "release-2")).await.unwrap_err().to_string();
    assert!(error.ends_with(&format!("`{D}` at 10 %, version v3 by run `release-1`")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn releases_go_in_the_order_in_which_their_runs_were_created() {
    let simulator = serving(B);
    for run in ["release-1", "release-2"] {
        simulator.run("PipelineRun", run, &[("service", "iris")]);
    }
    simulator.run("PipelineRun", "release-0-of-another-service", &[("service", "rose")]);
    let ended = run_while(&simulator, by_run(C, "release-2"), || {
        assert_eq!(simulator.writes(), [""; 0], "it has waited for the older run");
        simulator.end_run("release-1");
    });
    assert_eq!(ended.await.unwrap().outcome, "canary");
}

#[tokio::test(start_paused = true)]
async fn a_second_run_for_the_same_image_waits_for_the_first_and_finds_nothing_to_do() {
    let simulator = serving(B);
    simulator.run("PipelineRun", "release-1", &[("service", "iris")]);
    simulator.run("PipelineRun", "promotion-1", &[("service", "iris"), ("canary-image", C)]);
    run(&simulator, by_run(C, "release-1")).await.unwrap();
    simulator.end_run("release-1");
    let ended = run_while(&simulator, by_run(C, "release-2"), || {
        simulator.ask(C, None);
        simulator.end_run("promotion-1");
    });
    assert_eq!(ended.await.unwrap().outcome, "unchanged");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_with_a_lost_one_s_canary_makes_it_its_own() {
    let simulator = serving(B);
    let first = run(&simulator, by_run(C, "release-1")).await.unwrap();
    assert_eq!(run(&simulator, by_run(C, "release-2")).await.unwrap(), first);
    let observed = Service::new(simulator.client(), None, "iris").observe().await.unwrap();
    assert_eq!(observed.mark.release.run, "release-2");
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_until_a_rollback_has_finished() {
    let simulator = serving(B);
    simulator.run("PipelineRun", "promotion-1", &[("service", "iris"), ("canary-image", D)]);
    run(&simulator, by_run(D, "release-1")).await.unwrap();
    reject(&simulator, D).await;
    simulator.behave(B, Behaviour::NeverReady); // the revision that restores it is on its way
    simulator.ask(B, Some(0));
    let ended = run_while(&simulator, by_run(C, "release-2"), || {
        assert_eq!(simulator.spec(), (B.to_owned(), Some(0)), "it has waited");
        simulator.behave(B, Behaviour::Good);
        simulator.ask(B, None);
        simulator.end_run("promotion-1");
    });
    assert_eq!(ended.await.unwrap().outcome, "canary");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_replaces_a_canary_takes_its_requests_and_its_room() {
    for behaviour in [Behaviour::Good, Behaviour::NeverReady, Behaviour::Crashed] {
        for kill in [
            None,
            Some((0, false)),
            Some((0, true)),
            Some((1, false)),
            Some((1, true)),
            Some((2, true)),
        ] {
            let simulator = serving(B);
            let before =
                if behaviour == Behaviour::NeverReady { behaviour } else { Behaviour::Good };
            simulator.behave(D, before);
            let started = run(&simulator, by_run(D, "release-1")).await;
            assert_eq!(started.is_ok(), before == Behaviour::Good);
            simulator.behave(D, behaviour);
            simulator.settle();
            if let Some((number, applied)) = kill {
                simulator.kill_at_write(number, applied);
                simulator.until_killed(run(&simulator, replacing(C))).await;
            }
            let ended = run(&simulator, replacing(C)).await.unwrap();
            assert_eq!(ended.outcome, "canary", "{behaviour:?}, killed at {kill:?}");
            assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
            assert_eq!(
                simulator.revisions(),
                ["iris-predictor-00001", "iris-predictor-00003"],
                "{behaviour:?}, killed at {kill:?}: the canary's own revision is gone"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_somebody_else_made_is_not_replaced() {
    let simulator = serving(B);
    simulator.ask(D, Some(10));
    let error = run(&simulator, replacing(C)).await.unwrap_err();
    assert!(error.to_string().contains("another canary is in progress"), "{error}");
    assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (D.to_owned(), 10)]);
}
