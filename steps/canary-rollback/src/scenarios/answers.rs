//! Where the answers go once the canary is gone.

use inference_service::LOGGER_PENDING;

use super::{undo::undo, *};

fn url(version: &str) -> Value {
    format!("http://answer-counter.canary:8080/models/iris/{version}").into()
}

fn ours(version: &str) -> Value {
    json!({"mode": "response", "url": url(version)})
}

fn owners() -> Value {
    json!({"mode": "all", "url": "http://broker.owner", "metadataHeaders": ["X-Team"]})
}

/// A service on B with one logger, A with none before it, and a canary C with another in the state that is named.
fn with_loggers(state: &str, baseline: &Value, canary: &Value) -> Simulator {
    let simulator = Simulator::new();
    simulator.serve(A);
    go_on(&simulator, state, baseline, canary);
    simulator
}

/// B and then the canary C on a service that is there.
fn go_on(simulator: &Simulator, state: &str, baseline: &Value, canary: &Value) {
    simulator.edit(|service| service["spec"]["predictor"]["logger"] = baseline.clone());
    simulator.serve(B);
    if state == "never ready" {
        simulator.behave(C, Behaviour::NeverReady);
    }
    simulator.edit(|service| {
        let predictor = &mut service["spec"]["predictor"];
        predictor["logger"] = canary.clone();
        predictor["containers"][0]["image"] = C.into();
        predictor["canaryTrafficPercent"] = if state == "at zero" { 0 } else { 10 }.into();
    });
    simulator.settle();
    come_to(simulator, state);
}

/// What canary-create notes of it
async fn note(simulator: &Simulator, from: &Value, to: &Value) {
    let change = (from != to).then(|| LoggerChange { from: from.clone(), to: to.clone() });
    let observed = Service::new(simulator.client(), None, "iris").observe().await.unwrap();
    let baseline = observed.revisions.keys().rfind(|one| observed.runs_image(one, B)).unwrap();
    let begun = |mark: &Mark| {
        let mut mark = began(mark).from_logger(change.clone());
        mark.baseline_revision.clone_from(baseline);
        mark
    };
    mark(simulator, begun).await;
}

fn assert_logger(simulator: &Simulator, wanted: &Value, case: &str) {
    let there = simulator.logger();
    assert_eq!(&there, wanted, "{case}: the spec");
    let sinks = [(B.to_owned(), wanted["url"].clone())];
    assert_eq!(simulator.sinks(), sinks.into(), "{case}: what serves");
}

#[tokio::test(start_paused = true)]
async fn the_old_image_comes_back_with_its_own_url() {
    let none = Value::Null;
    for (baseline, canary) in
        [(ours("v1"), ours("v2")), (none.clone(), ours("v2")), (none.clone(), none)]
    {
        for (state, is_noted) in STATES.iter().flat_map(|state| [(state, true), (state, false)]) {
            for kill in 0..4 {
                let simulator = with_loggers(state, &baseline, &canary);
                if is_noted {
                    note(&simulator, &baseline, &canary).await;
                }
                simulator.kill_at_write(kill, true);
                simulator.until_killed(run(&simulator, by_image(C))).await;
                assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
                let case = format!(
                    "{state}, noted {is_noted}, killed after write {kill}, {baseline} {canary}"
                );
                assert_on(&simulator, B, &case);
                assert_logger(&simulator, &baseline, &case);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn image_and_logger_go_back_in_one_patch() {
    let simulator = with_loggers("live", &ours("v1"), &ours("v2"));
    run(&simulator, by_image(C)).await.unwrap();
    let revisions = simulator.revisions();
    let last = revisions.last().unwrap();
    assert_eq!(last, "iris-predictor-00004", "one revision restores both: {revisions:?}");
}

#[tokio::test(start_paused = true)]
async fn an_undo_brings_back_the_url_too() {
    for is_noted in [true, false] {
        let simulator = with_loggers("promoted", &ours("v1"), &ours("v2"));
        if is_noted {
            note(&simulator, &ours("v1"), &ours("v2")).await;
        }
        assert_eq!(run(&simulator, undo()).await.unwrap(), rolled_back());
        assert_logger(&simulator, &ours("v1"), "undone");
    }
}

#[tokio::test(start_paused = true)]
async fn what_its_owner_has_made_of_the_logger_meanwhile_stays() {
    for (state, is_noted) in
        ["live", "promoted"].iter().flat_map(|state| [(state, true), (state, false)])
    {
        for (meanwhile, wanted) in [(owners(), owners()), (Value::Null, Value::Null)] {
            let simulator = with_loggers(state, &ours("v1"), &ours("v2"));
            if is_noted {
                note(&simulator, &ours("v1"), &ours("v2")).await;
            }
            simulator.set_logger(&meanwhile);
            assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
            assert_logger(&simulator, &wanted, &format!("{state}, noted {is_noted}, {meanwhile}"));
        }
        let simulator = with_loggers(state, &owners(), &owners());
        assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
        assert_logger(&simulator, &owners(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_logger_that_the_release_took_away_comes_back_where_that_was_noted() {
    let simulator = with_loggers("live", &ours("v1"), &Value::Null);
    note(&simulator, &ours("v1"), &Value::Null).await;
    run(&simulator, by_image(C)).await.unwrap();
    assert_logger(&simulator, &ours("v1"), "noted");
}

#[tokio::test(start_paused = true)]
async fn what_a_canary_took_away_comes_back_also_when_the_next_one_has_noted_that_it_takes_its_place()
 {
    let simulator = with_loggers("live", &ours("v1"), &Value::Null);
    let noted = LoggerChange { from: ours("v1"), to: ours("v3") };
    let next = |mark: &Mark| mark.begin(D, "iris-predictor-00002", B).replacing(C);
    mark(&simulator, |mark| next(mark).from_logger(Some(noted.clone()))).await;
    run(&simulator, by_image(C)).await.unwrap();
    assert_logger(&simulator, &ours("v1"), "replaced");
}

#[tokio::test(start_paused = true)]
async fn another_baseline_that_is_given_comes_back_with_its_own_url() {
    let none = Value::Null;
    for (of_a, of_b, of_c) in [
        (ours("v0"), ours("v1"), ours("v2")),
        (ours("v0"), ours("v1"), none.clone()),
        (ours("v0"), none.clone(), ours("v2")),
        (ours("v0"), none.clone(), none.clone()),
        (none.clone(), ours("v1"), ours("v2")),
    ] {
        for state in STATES {
            let simulator = Simulator::new();
            simulator.serve(A);
            simulator.set_logger(&of_a);
            let baseline = simulator.revisions().last().unwrap().clone();
            go_on(&simulator, state, &of_b, &of_c);
            note(&simulator, &of_b, &of_c).await;
            let desired = Desired { baseline_revision: Some(baseline), ..by_image(C) };
            let ended = run(&simulator, desired).await.unwrap();
            assert_eq!(ended, RollbackOutcome::RolledBack { image: A.into() });
            let case = format!("{state}, {of_a} {of_b} {of_c}");
            assert_on(&simulator, A, &case);
            assert_eq!(simulator.logger(), of_a, "{case}");
            assert_eq!(simulator.sinks(), [(A.to_owned(), of_a["url"].clone())].into(), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_logger_that_the_old_version_waited_for_is_waited_for_again() {
    let pending = |simulator: &Simulator| {
        simulator.service().unwrap()["metadata"]["annotations"][LOGGER_PENDING].clone()
    };
    let simulator = Simulator::new();
    simulator.serve(A);
    simulator.edit(|service| service["metadata"]["annotations"][LOGGER_PENDING] = "true".into());
    simulator.serve(B);
    simulator.edit(|service| {
        let annotations = &mut service["metadata"]["annotations"];
        drop(annotations.as_object_mut().unwrap().remove(LOGGER_PENDING));
        service["spec"]["predictor"]["logger"] = ours("v2");
    });
    simulator.ask(C, Some(10));
    assert_eq!(pending(&simulator), Value::Null);
    run(&simulator, by_image(C)).await.unwrap();
    assert_logger(&simulator, &Value::Null, "rolled back");
    assert_eq!(pending(&simulator), "true");
}

#[tokio::test(start_paused = true)]
async fn what_is_added_to_our_logger_stays_with_it() {
    let with_more =
        |version: &str| json!({"mode": "all", "url": url(version), "metadataHeaders": ["X-Team"]});
    let simulator = with_loggers("live", &with_more("v1"), &with_more("v2"));
    note(&simulator, &with_more("v1"), &with_more("v2")).await;
    run(&simulator, by_image(C)).await.unwrap();
    assert_logger(&simulator, &with_more("v1"), "noted");
}

#[tokio::test(start_paused = true)]
async fn without_the_old_revision_the_note_has_its_url_and_without_a_note_nothing_is_counted() {
    for (is_noted, wanted) in [(true, ours("v1")), (false, Value::Null)] {
        let simulator = with_loggers("promoted", &ours("v1"), &ours("v2"));
        if is_noted {
            note(&simulator, &ours("v1"), &ours("v2")).await;
        }
        let baseline = simulator.revisions().iter().rev().nth(1).unwrap().clone();
        simulator.collect(&baseline);
        let desired = Desired { baseline_image: Some(B.into()), ..by_image(C) };
        assert_eq!(run(&simulator, desired).await.unwrap(), rolled_back());
        assert_logger(&simulator, &wanted, &format!("noted {is_noted}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_whatever_order_the_cluster_acts_the_logger_is_the_baseline_s_or_its_owner_s(
        state in proptest::sample::select(&STATES), schedule in proptest::collection::vec(0..5_u8, 0..120),
        kill in proptest::option::of((0..4_usize, any::<bool>())), is_noted in any::<bool>(),
        loggers in proptest::sample::select(vec![(ours("v1"), ours("v2")), (Value::Null, ours("v2")), (owners(), owners())]),
        is_owned in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (baseline, canary) = loggers;
            let simulator = with_loggers(state, &baseline, &canary);
            if is_noted {
                note(&simulator, &baseline, &canary).await;
            }
            simulator.schedule(schedule);
            if let Some((number, applied)) = kill {
                simulator.kill_at_write(number, applied);
                simulator.until_killed(run(&simulator, by_image(C))).await;
            }
            if is_owned {
                simulator.edit(|service| service["spec"]["predictor"]["logger"] = owners());
            }
            assert_eq!(run(&simulator, by_image(C)).await.unwrap(), rolled_back());
            simulator.settle();
            assert_eq!(simulator.logger(), if is_owned { owners() } else { baseline });
        });
    }
}
