//! From nothing, or from a service that serves, to a canary that is live.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_exist_is_created_and_serves_all() {
    let simulator = Simulator::new();
    let ended = run(&simulator, desired(C)).await.unwrap();
    assert_eq!((ended.outcome, ended.percent), ("first", 100));
    assert_eq!(traffic(&simulator), [(C.to_owned(), 100)]);
    assert_eq!(simulator.spec(), (C.to_owned(), None));
}

#[tokio::test(start_paused = true)]
async fn a_new_image_waits_at_zero_and_then_gets_its_percent() {
    let simulator = serving(B);
    let ended = run(&simulator, desired(C)).await.unwrap();
    assert_eq!((ended.outcome, ended.percent), ("canary", 10));
    assert_eq!(ended.canary_url, "http://latest-iris-predictor.models.example.test");
    assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
    let mark = format!("mark {C}");
    assert_eq!(
        simulator.writes(),
        [
            "decisions ".to_owned(),
            mark.clone(),
            format!("image {C}, percent 0"),
            format!("image {C}, percent 10"),
            mark
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_it_is_live_once() {
    for (number, applied) in (0..5).flat_map(|number| [(number, false), (number, true)]) {
        let simulator = serving(B);
        simulator.kill_at_write(number, applied);
        assert!(
            simulator.until_killed(run(&simulator, desired(C))).await.is_none(),
            "{number} {applied}"
        );
        assert_eq!(
            run(&simulator, desired(C)).await.unwrap().outcome,
            "canary",
            "{number} {applied}"
        );
        assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
        assert_eq!(
            simulator.writes().iter().filter(|write| write.contains("percent 0")).count(),
            1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_release_killed_at_any_write_ends_the_same() {
    for applied in [false, true] {
        let simulator = Simulator::new();
        simulator.kill_at_write(0, applied);
        assert!(simulator.until_killed(run(&simulator, desired(C))).await.is_none());
        assert!(
            ["first", "unchanged"].contains(&run(&simulator, desired(C)).await.unwrap().outcome)
        );
        assert_eq!(traffic(&simulator), [(C.to_owned(), 100)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_release_writes_nothing_and_ends_the_same() {
    let simulator = serving(B);
    let ended = run(&simulator, desired(C)).await.unwrap();
    let writes = simulator.writes();
    assert_eq!(run(&simulator, desired(C)).await.unwrap(), ended);
    simulator.ask(C, None);
    assert_eq!(run(&simulator, desired(C)).await.unwrap().outcome, "unchanged");
    assert_eq!(simulator.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_release_never_lowers_what_a_promotion_has_raised() {
    let simulator = serving(B);
    run(&simulator, desired(C)).await.unwrap();
    simulator.ask(C, Some(50));
    assert_eq!(run(&simulator, desired(C)).await.unwrap().percent, 50, "what it has");
    assert_eq!(simulator.spec(), (C.to_owned(), Some(50)));
    run(&simulator, Desired { percent: 60, ..desired(C) }).await.unwrap();
    assert_eq!(simulator.spec(), (C.to_owned(), Some(60)));
}

#[tokio::test(start_paused = true)]
async fn a_minimum_that_a_promotion_has_left_behind_is_put_back() {
    let simulator = serving(B);
    let service = Service::new(simulator.client(), None, "iris");
    let mut is_asked = false;
    let raise = |observed: &Observed| {
        let raise = ScalePatch::raise(observed, observed.latest(), 3);
        let was_asked = std::mem::replace(&mut is_asked, true);
        Ok(if was_asked { Action::Done(()) } else { Action::Scale(raise) })
    };
    service.reconcile(Duration::from_secs(10), raise).await.unwrap();
    run(&simulator, desired(C)).await.unwrap();
    assert_eq!(
        simulator.annotations("iris-predictor-00001"),
        serde_json::json!({TAG_ROUTING: "true"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_is_made_in_knative_mode_whatever_the_default_is() {
    let simulator = Simulator::new();
    run(&simulator, desired(C)).await.unwrap();
    let annotations = simulator.service().unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations["serving.kserve.io/deploymentMode"], "Serverless");
    // An annotation makes another revision, so what is there is left as it is.
    let simulator = serving(B);
    run(&simulator, desired(C)).await.unwrap();
    let annotations = simulator.service().unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations["serving.kserve.io/deploymentMode"], serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_start_timeout_comes_with_the_image_and_the_step_waits_as_long() {
    let deadline = |simulator: &Simulator| {
        simulator.service().unwrap()["metadata"]["annotations"][PROGRESS_DEADLINE].clone()
    };
    let slow = |image| Desired { start_timeout: Some(Duration::from_mins(15)), ..desired(image) };
    for simulator in [serving(B), Simulator::new()] {
        simulator.behave(C, Behaviour::NeverReady);
        let loading = async {
            tokio::time::sleep(Duration::from_mins(14)).await;
            simulator.behave(C, Behaviour::Good);
        };
        tokio::join!(run(&simulator, slow(C)), loading).0.unwrap();
        assert_eq!(deadline(&simulator), "900s");
        let patches = simulator.writes().into_iter().filter(|write| write.starts_with("image"));
        assert_eq!(patches.filter(|patch| !patch.ends_with("percent 10")).count(), 1);
        // What is there stays, and is waited for.
        simulator.ask(C, None);
        simulator.behave(D, Behaviour::NeverReady);
        let loading = async {
            tokio::time::sleep(Duration::from_mins(14)).await;
            simulator.behave(D, Behaviour::Good);
        };
        tokio::join!(run(&simulator, desired(D)), loading).0.unwrap();
        assert_eq!(deadline(&simulator), "900s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_place_another_one_takes_leaves_no_start_timeout_behind() {
    let simulator = serving(B);
    let slow = Desired { start_timeout: Some(Duration::from_mins(15)), ..by_run(D, "release-1") };
    run(&simulator, slow).await.unwrap();
    run(&simulator, replacing(C)).await.unwrap();
    let annotations = simulator.service().unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations[PROGRESS_DEADLINE], serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_never_served_is_replaced_by_a_better_one() {
    let simulator = Simulator::new();
    simulator.behave(C, Behaviour::Exits);
    run(&simulator, desired(C)).await.unwrap_err();
    assert_eq!(run(&simulator, desired(D)).await.unwrap().outcome, "first");
    assert_eq!(traffic(&simulator), [(D.to_owned(), 100)]);
}

#[tokio::test(start_paused = true)]
async fn what_undoes_the_release_is_not_fought() {
    let simulator = serving(B);
    let undo = simulator.clone();
    let service = Service::new(simulator.client(), None, "iris");
    let mut desired = desired(C);
    let ended = service
        .reconcile(Duration::from_mins(1), |observed| {
            if observed.patches == 1 {
                undo.ask(B, None);
            }
            desired.learn(observed);
            next(&desired, observed, "now")
        })
        .await;
    let error = ended.unwrap_err();
    assert!(error.to_string().contains("was set back meanwhile"), "{error}");
    assert_eq!(simulator.writes().iter().filter(|write| write.starts_with("image")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_cannot_be_kept_stops_the_release_before_it_begins() {
    let simulator = serving(B);
    simulator.forbid("leases");
    let error = run(&simulator, desired(C)).await.unwrap_err();
    assert!(error.to_string().ends_with("its mark cannot be kept"), "{error}");
    assert_eq!(simulator.spec(), (B.to_owned(), None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// KServe, configuration, kubelet, route and status act late, twice, or in any order.
    #[test]
    fn in_whatever_order_the_cluster_acts_requests_stay_with_the_old_image_until_the_new_one_is_ready(
        schedule in proptest::collection::vec(0..5_u8, 0..120), kill in proptest::option::of((0..5_usize, any::<bool>())),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let simulator = serving(B);
            simulator.schedule(schedule);
            if let Some((number, applied)) = kill {
                simulator.kill_at_write(number, applied);
                simulator.until_killed(run(&simulator, desired(C))).await;
            }
            assert_eq!(run(&simulator, desired(C)).await.unwrap().outcome, "canary");
            assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
        });
    }
}
