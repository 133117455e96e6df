//! Whole releases on the simulator.

use inference_service::{
    PROGRESS_DEADLINE,
    simulator::{Behaviour, Simulator},
};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const B: &str = "r/iris@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "r/iris@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
const D: &str = "r/iris@sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";

fn serving(image: &str) -> Simulator {
    let simulator = Simulator::new();
    simulator.serve(image);
    simulator
}

fn asked(image: &str) -> Asked {
    let Args { image, percent, retry_rejected, start_timeout, first, .. } =
        Args::try_parse_from(["canary-create", "--service=iris", "--image", image]).unwrap();
    Asked {
        image,
        percent,
        retry_rejected,
        start_timeout,
        first: first.read("iris").unwrap(),
        brings: Fields::default(),
        pull_secret: None,
        release: Release::default(),
        when_busy: WhenBusy::Refuse,
        is_first: false,
        has_begun: false,
        has_tried: false,
        outdated: String::new(),
    }
}

async fn run(simulator: &Simulator, asked: Asked) -> Result<Ended> {
    let service = Service::new(simulator.client(), None, "iris");
    release(&service, asked, Duration::from_hours(1), &Results::default()).await
}

/// What a rollback leaves in the mark, without a rollback.
async fn reject(simulator: &Simulator, image: &str) {
    let service = Service::new(simulator.client(), None, "iris");
    let rejected = |seen: &Seen| {
        let mark = seen.mark.begin(image, seen.rolled_out(), B).reject(image, seen.latest());
        let is_there = seen.mark.has_rejected(image);
        Ok(if is_there {
            inference_service::Next::Done(())
        } else {
            inference_service::Next::Mark(Box::new(mark))
        })
    };
    service.drive(Duration::from_secs(10), rejected).await.unwrap();
}

fn users(simulator: &Simulator) -> Vec<(String, i64)> {
    simulator.settle();
    simulator.users().into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_exist_is_created_and_serves_all() {
    let simulator = Simulator::new();
    assert_eq!(run(&simulator, asked(C)).await.unwrap().outcome, "first");
    assert_eq!(users(&simulator), [(C.to_owned(), 100)]);
    assert_eq!(simulator.spec(), (C.to_owned(), None));
}

#[tokio::test(start_paused = true)]
async fn a_new_image_waits_at_zero_and_then_gets_its_percent() {
    let simulator = serving(B);
    let ended = run(&simulator, asked(C)).await.unwrap();
    assert_eq!(ended.outcome, "canary");
    assert_eq!(ended.canary_url, "http://latest-iris-predictor.models.example.test");
    assert_eq!(users(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
    let mark = format!("mark {C}");
    assert_eq!(
        simulator.writes(),
        [mark.clone(), format!("image {C}, percent 0"), format!("image {C}, percent 10"), mark]
    );
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_it_is_live_once() {
    for (number, applied) in (0..4).flat_map(|number| [(number, false), (number, true)]) {
        let simulator = serving(B);
        simulator.kill_at_write(number, applied);
        assert!(
            simulator.until_killed(run(&simulator, asked(C))).await.is_none(),
            "{number} {applied}"
        );
        assert_eq!(
            run(&simulator, asked(C)).await.unwrap().outcome,
            "canary",
            "{number} {applied}"
        );
        assert_eq!(users(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
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
        assert!(simulator.until_killed(run(&simulator, asked(C))).await.is_none());
        assert!(["first", "unchanged"].contains(&run(&simulator, asked(C)).await.unwrap().outcome));
        assert_eq!(users(&simulator), [(C.to_owned(), 100)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_release_writes_nothing_and_says_the_same() {
    let simulator = serving(B);
    let ended = run(&simulator, asked(C)).await.unwrap();
    let writes = simulator.writes();
    assert_eq!(run(&simulator, asked(C)).await.unwrap(), ended);
    simulator.ask(C, None);
    assert_eq!(run(&simulator, asked(C)).await.unwrap().outcome, "unchanged");
    assert_eq!(simulator.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_release_never_lowers_what_a_promotion_has_raised() {
    let simulator = serving(B);
    run(&simulator, asked(C)).await.unwrap();
    simulator.ask(C, Some(50));
    run(&simulator, asked(C)).await.unwrap();
    assert_eq!(simulator.spec(), (C.to_owned(), Some(50)));
    run(&simulator, Asked { percent: 60, ..asked(C) }).await.unwrap();
    assert_eq!(simulator.spec(), (C.to_owned(), Some(60)));
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_does_not_start_gets_no_user_and_is_explained() {
    for (behaviour, why) in [
        (Behaviour::Exits, "its container exits with code 1: no such file: model.pkl"),
        (Behaviour::Missing, "its image cannot be pulled: not found"),
        (Behaviour::NeverReady, "its container runs, but its readiness probe does not pass yet"),
    ] {
        let simulator = serving(B);
        simulator.behave(C, behaviour);
        let error = run(&simulator, asked(C)).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(users(&simulator), [(B.to_owned(), 100)]);
        assert_eq!(simulator.spec(), (C.to_owned(), Some(0)));
    }
}

const DENIED: &str = "admission webhook \"validation.webhook.serving.knative.dev\" denied the request: \
                      validation failed: must not set the field(s): spec.template.spec.nodeSelector";

#[tokio::test(start_paused = true)]
async fn what_will_not_heal_ends_the_wait_long_before_the_timeout_and_says_what_helps() {
    for (behaviour, why, helps) in [
        (Behaviour::Denied(DENIED), "KServe cannot hand it on: ", "`config-features`"),
        (
            Behaviour::Refused("pods is forbidden: failed quota: q: must specify limits.cpu"),
            "its pods are refused: ",
            "LimitRange",
        ),
    ] {
        for simulator in [serving(B), Simulator::new()] {
            simulator.behave(C, behaviour);
            let began = tokio::time::Instant::now();
            let error = run(&simulator, asked(C)).await.unwrap_err();
            assert!(began.elapsed() < Duration::from_mins(1), "{error}");
            assert!(error.to_string().contains(why), "{error}");
            let hint = &error.downcast_ref::<step::Failure>().unwrap().hint;
            assert!(hint.contains(helps), "{hint}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_heal_is_waited_for_as_long_as_the_release_itself() {
    let simulator = serving(B);
    simulator.behave(C, Behaviour::Denied("failed calling webhook: connection refused"));
    let release = run(&simulator, asked(C));
    let webhook = async {
        tokio::time::sleep(Duration::from_mins(3)).await;
        simulator.behave(C, Behaviour::Good);
    };
    assert_eq!(tokio::join!(release, webhook).0.unwrap().outcome, "canary");
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_was_refused_is_tried_again_by_the_next_run() {
    let simulator = Simulator::new();
    simulator.behave(C, Behaviour::Denied(DENIED));
    run(&simulator, asked(C)).await.unwrap_err();
    let writes = simulator.writes().len();
    run(&simulator, asked(C)).await.unwrap_err();
    assert_eq!(simulator.writes().len(), writes + 1, "once in a run");
    simulator.behave(C, Behaviour::Good);
    assert_eq!(run(&simulator, asked(C)).await.unwrap().outcome, "first");
}

#[tokio::test(start_paused = true)]
async fn without_knative_nothing_is_made() {
    let simulator = Simulator::new();
    simulator.without_knative();
    let error = run(&simulator, asked(C)).await.unwrap_err();
    assert!(format!("{error:#}").contains("Knative Serving is not installed"), "{error:#}");
    assert_eq!(simulator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_service_is_made_in_knative_mode_whatever_the_default_is() {
    let simulator = Simulator::new();
    run(&simulator, asked(C)).await.unwrap();
    let annotations = simulator.service().unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations["serving.kserve.io/deploymentMode"], "Serverless");
    // An annotation makes another revision, so what is there is left as it is.
    let simulator = serving(B);
    run(&simulator, asked(C)).await.unwrap();
    let annotations = simulator.service().unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations["serving.kserve.io/deploymentMode"], serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_start_timeout_comes_with_the_image_and_the_step_waits_as_long() {
    let deadline = |simulator: &Simulator| {
        simulator.service().unwrap()["metadata"]["annotations"][PROGRESS_DEADLINE].clone()
    };
    let slow = |image| Asked { start_timeout: Some(Duration::from_mins(15)), ..asked(image) };
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
        tokio::join!(run(&simulator, asked(D)), loading).0.unwrap();
        assert_eq!(deadline(&simulator), "900s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_place_another_one_takes_leaves_no_start_timeout_behind() {
    let simulator = serving(B);
    let slow = Asked { start_timeout: Some(Duration::from_mins(15)), ..by_run(D, "release-1") };
    run(&simulator, slow).await.unwrap();
    run(&simulator, replacing(C)).await.unwrap();
    let annotations = simulator.service().unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations[PROGRESS_DEADLINE], serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn another_canary_in_progress_is_named_and_left_alone() {
    let simulator = serving(B);
    run(&simulator, asked(D)).await.unwrap();
    let writes = simulator.writes();
    let error = run(&simulator, asked(C)).await.unwrap_err();
    assert!(
        error.to_string().ends_with(&format!("another canary is in progress: `{D}` at 10 %")),
        "{error}"
    );
    assert_eq!(simulator.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn of_two_releases_at_the_same_moment_one_is_live_and_the_other_says_why() {
    let simulator = serving(B);
    let (one, other) = tokio::join!(run(&simulator, asked(C)), run(&simulator, asked(D)));
    let ends = [one.is_ok(), other.is_ok()];
    assert_eq!(ends.iter().filter(|is_ok| **is_ok).count(), 1, "{one:?} {other:?}");
    let error = one.err().or(other.err()).unwrap();
    assert!(error.to_string().contains("another canary is in progress"), "{error}");
}

/// A release by this run, which waits for its turn.
fn by_run(image: &str, run: &str) -> Asked {
    let release = Release {
        run: run.into(),
        run_uid: run.into(),
        version: "v3".into(),
        ..Release::default()
    };
    Asked { release, when_busy: WhenBusy::Wait, ..asked(image) }
}

/// A release, and what somebody does after a minute.
async fn run_while(simulator: &Simulator, asked: Asked, somebody: impl FnOnce()) -> Result<Ended> {
    let later = async {
        tokio::time::sleep(Duration::from_mins(1)).await;
        somebody();
    };
    tokio::join!(run(simulator, asked), later).0
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_until_the_canary_in_progress_has_ended() {
    let simulator = serving(B);
    run(&simulator, by_run(D, "release-1")).await.unwrap();
    let ended = run_while(&simulator, by_run(C, "release-2"), || simulator.ask(D, None)).await;
    assert_eq!(ended.unwrap().outcome, "canary");
    assert_eq!(users(&simulator), [(C.to_owned(), 10), (D.to_owned(), 90)]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_waits_too_long_tells_for_whom() {
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
    let seen = Service::new(simulator.client(), None, "iris").seen().await.unwrap();
    assert_eq!(seen.mark.release.run, "release-2");
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

fn replacing(image: &str) -> Asked {
    Asked { when_busy: WhenBusy::Replace, ..by_run(image, "release-2") }
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
            assert_eq!(users(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
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
    assert_eq!(users(&simulator), [(B.to_owned(), 90), (D.to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_bento_that_was_rolled_back_is_recognised_in_another_image() {
    let simulator = serving(B);
    let release = Release { bento: "ab".repeat(32), ..Release::default() };
    let of_bento = |image| Asked { release: release.clone(), ..asked(image) };
    run(&simulator, of_bento(C)).await.unwrap();
    let service = Service::new(simulator.client(), None, "iris");
    let seen = service.seen().await.unwrap();
    let mut rejected = Some(seen.mark.reject(C, seen.latest()));
    service
        .drive(Duration::from_secs(10), |_| {
            Ok(rejected.take().map_or(inference_service::Next::Done(()), |mark| {
                inference_service::Next::Mark(Box::new(mark))
            }))
        })
        .await
        .unwrap();
    simulator.ask(B, Some(0));
    simulator.ask(B, None);
    let error = run(&simulator, of_bento(D)).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("its bento, with SHA-256 {}, was rolled back", release.bento)),
        "{error}"
    );
    run(&simulator, Asked { retry_rejected: true, ..of_bento(D) }).await.unwrap();
    assert_eq!(users(&simulator), [(B.to_owned(), 90), (D.to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_rolled_back_is_refused_until_it_is_asked_for_again() {
    let simulator = serving(B);
    reject(&simulator, C).await;
    let writes = simulator.writes();
    let error = run(&simulator, asked(C)).await.unwrap_err();
    assert!(error.to_string().ends_with("it was rolled back before"), "{error}");
    assert_eq!(simulator.writes(), writes);
    run(&simulator, Asked { retry_rejected: true, ..asked(C) }).await.unwrap();
    assert_eq!(users(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_somebody_set_to_zero_stays_there() {
    let simulator = serving(B);
    run(&simulator, asked(C)).await.unwrap();
    simulator.ask(C, Some(0));
    let error = run(&simulator, asked(C)).await.unwrap_err();
    assert!(error.to_string().ends_with("it was rolled back before"), "{error}");
    assert_eq!(
        run(&simulator, asked(D)).await.unwrap().outcome,
        "canary",
        "a new image may replace it"
    );
    assert_eq!(users(&simulator), [(B.to_owned(), 90), (D.to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_never_served_is_replaced_by_a_better_one() {
    let simulator = Simulator::new();
    simulator.behave(C, Behaviour::Exits);
    run(&simulator, asked(C)).await.unwrap_err();
    assert_eq!(run(&simulator, asked(D)).await.unwrap().outcome, "first");
    assert_eq!(users(&simulator), [(D.to_owned(), 100)]);
}

fn fields(value: serde_json::Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

/// A release that brings this for its container.
fn bringing(image: &str, brings: serde_json::Value) -> Asked {
    let brings = fields(brings);
    let release = Release { brought: brings.fingerprint(), ..Release::default() };
    Asked { brings, release, ..asked(image) }
}

/// A service whose container has this much memory, and a variable.
fn serving_with(image: &str, memory: &str) -> Simulator {
    let simulator = serving(image);
    simulator.edit(|service| {
        let container = &mut service["spec"]["predictor"]["containers"][0];
        container["resources"] = json!({"limits": {"memory": memory}});
        container["env"] = json!([{"name": "B", "value": "1"}, {"name": "A", "value": "1"}]);
    });
    simulator.settle();
    simulator
}

/// The fields that a rollback would put back
async fn noted(simulator: &Simulator) -> Fields {
    Service::new(simulator.client(), None, "iris").seen().await.unwrap().mark.before
}

fn brings() -> serde_json::Value {
    json!({
        "resources": {"limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}},
        "env": [{"name": "C", "value": "3"}, {"name": "B", "value": null}],
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_release_brings_comes_in_the_patch_of_its_image_and_is_noted_before() {
    for kill in
        (0..4).flat_map(|number| [Some((number, false)), Some((number, true))]).chain([None])
    {
        let simulator = serving_with(B, "512Mi");
        let before = simulator.container();
        if let Some((number, applied)) = kill {
            simulator.kill_at_write(number, applied);
            simulator.until_killed(run(&simulator, bringing(C, brings()))).await;
        }
        assert_eq!(
            run(&simulator, bringing(C, brings())).await.unwrap().outcome,
            "canary",
            "{kill:?}"
        );
        let container = simulator.container();
        assert_eq!(container["resources"], brings()["resources"]);
        assert_eq!(
            container["env"],
            json!([{"name": "A", "value": "1"}, {"name": "C", "value": "3"}])
        );
        assert_eq!(
            simulator.revisions().len(),
            3,
            "{kill:?}: one revision for the image and all it brings"
        );
        let wanted = fields(json!({"resources": before["resources"], "env": before["env"]}));
        assert_eq!(noted(&simulator).await, wanted, "{kill:?}");
        simulator.ask(C, None);
        assert_eq!(simulator.serving(), container, "a promotion keeps it");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_release_does_not_name_is_neither_changed_nor_noted() {
    let simulator = serving_with(B, "512Mi");
    run(&simulator, asked(C)).await.unwrap();
    assert_eq!(noted(&simulator).await, Fields::default());
    simulator.ask(C, None);
    let brings = json!({"resources": {"limits": {"memory": "1Gi"}}});
    run(&simulator, bringing(D, brings)).await.unwrap();
    let before = json!({"resources": {"limits": {"memory": "512Mi"}}});
    assert_eq!(noted(&simulator).await, fields(before));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_replaces_a_canary_begins_from_the_baseline_s_container() {
    for lose in [false, true] {
        for kill in [None, Some((0, true)), Some((1, false)), Some((1, true))] {
            let simulator = serving_with(B, "512Mi");
            let before = simulator.container();
            let brings_more = json!({"env": [{"name": "D", "value": "4"}]});
            let of_run = |image, run, brings: serde_json::Value| {
                let bringing = bringing(image, brings);
                let brought = bringing.release.brought;
                let release = Release { brought, ..by_run(image, run).release };
                Asked { release, brings: bringing.brings, ..replacing(image) }
            };
            run(&simulator, of_run(D, "release-1", brings())).await.unwrap();
            if let Some((number, applied)) = kill.filter(|_| !lose) {
                simulator.kill_at_write(number, applied);
                simulator
                    .until_killed(run(&simulator, of_run(C, "release-2", brings_more.clone())))
                    .await;
            }
            if lose {
                simulator.ask(D, Some(0)); // somebody gives it up, and the mark is gone
                simulator.lose_mark();
            }
            run(&simulator, of_run(C, "release-2", brings_more)).await.unwrap();
            assert_eq!(simulator.container()["resources"], before["resources"], "{lose} {kill:?}");
            let mut variables = before["env"].clone();
            variables.as_array_mut().unwrap().push(json!({"name": "D", "value": "4"}));
            assert_eq!(simulator.container()["env"], variables, "{lose} {kill:?}");
            let wanted = fields(json!({"resources": before["resources"], "env": before["env"]}));
            assert_eq!(noted(&simulator).await, wanted, "{lose} {kill:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_rolled_back_may_come_again_with_more_memory() {
    let simulator = serving_with(B, "512Mi");
    reject(&simulator, C).await;
    run(&simulator, asked(C)).await.unwrap_err();
    let more = json!({"resources": {"limits": {"memory": "2Gi"}}});
    assert_eq!(run(&simulator, bringing(C, more)).await.unwrap().outcome, "canary");
    assert_eq!(users(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn the_image_that_runs_already_is_refused_with_something_else_and_unchanged_with_the_same() {
    let simulator = serving_with(B, "2Gi");
    let same = json!({"resources": {"limits": {"memory": "2048Mi"}}});
    assert_eq!(run(&simulator, bringing(B, same)).await.unwrap().outcome, "unchanged");
    run(&simulator, bringing(C, brings())).await.unwrap();
    let other = json!({"resources": {"limits": {"memory": "3Gi"}}});
    for percent in [Some(10), None] {
        simulator.ask(C, percent);
        let writes = simulator.writes();
        let error = run(&simulator, bringing(C, other.clone())).await.unwrap_err();
        assert!(error.to_string().contains("with other resources or variables"), "{error}");
        assert_eq!(simulator.writes(), writes);
        let again = run(&simulator, bringing(C, brings())).await.unwrap();
        assert_eq!(again.outcome, if percent.is_some() { "canary" } else { "unchanged" });
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_says_nothing_of_the_container_goes_on_with_what_another_brought() {
    let simulator = serving_with(B, "512Mi");
    run(&simulator, bringing(C, brings())).await.unwrap();
    run(&simulator, by_run(C, "release-2")).await.unwrap();
    let seen = Service::new(simulator.client(), None, "iris").seen().await.unwrap();
    assert_eq!(seen.mark.release.run, "release-2");
    assert_eq!(seen.mark.release.brought, fields(brings()).fingerprint());
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_never_served_gets_more_memory_with_the_same_image() {
    let simulator = Simulator::new();
    simulator.behave(C, Behaviour::Exits);
    run(&simulator, asked(C)).await.unwrap_err();
    simulator.behave(C, Behaviour::Good);
    let more = json!({"resources": {"limits": {"memory": "2Gi"}}});
    assert_eq!(run(&simulator, bringing(C, more)).await.unwrap().outcome, "first");
    simulator.settle();
    assert_eq!(simulator.serving()["resources"]["limits"]["memory"], "2Gi");
}

#[tokio::test(start_paused = true)]
async fn a_service_without_the_pull_secret_gets_it_with_the_image_and_keeps_it() {
    let pulling = |image| Asked { pull_secret: Some("registry".into()), ..asked(image) };
    let secrets = |simulator: &Simulator| {
        simulator.service().unwrap()["spec"]["predictor"]["imagePullSecrets"].clone()
    };
    let simulator = serving(B);
    for image in [C, D] {
        run(&simulator, pulling(image)).await.unwrap();
        simulator.ask(image, None);
        assert_eq!(secrets(&simulator), json!([{"name": "registry"}]), "{image}");
    }
    let unpulled = Simulator::new();
    unpulled.behave(C, Behaviour::Missing);
    run(&unpulled, asked(C)).await.unwrap_err();
    unpulled.behave(C, Behaviour::Good);
    assert_eq!(run(&unpulled, pulling(C)).await.unwrap().outcome, "first");
    assert_eq!(secrets(&unpulled), json!([{"name": "registry"}]));
}

#[tokio::test(start_paused = true)]
async fn what_undoes_the_release_is_not_fought() {
    let simulator = serving(B);
    let undo = simulator.clone();
    let service = Service::new(simulator.client(), None, "iris");
    let mut asked = asked(C);
    let ended = service
        .drive(Duration::from_mins(1), |seen| {
            if seen.patches == 1 {
                undo.ask(B, None);
            }
            asked.learn(seen);
            next(&asked, seen, "now")
        })
        .await;
    let error = ended.unwrap_err();
    assert!(error.to_string().contains("was set back meanwhile"), "{error}");
    assert_eq!(simulator.writes().iter().filter(|write| write.starts_with("image")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn services_that_kserve_would_not_split_are_refused_by_name() {
    for (path, value, why) in [
        ("/spec/transformer", serde_json::json!({}), "a transformer or an explainer"),
        ("/spec/canary", serde_json::json!([]), "another kind of canary"),
        ("/status/deploymentMode", "Standard".into(), "not in Knative mode"),
        ("/metadata/annotations/serving.kserve.io~1stop", "true".into(), "it is stopped"),
        ("/spec/predictor/containers/0/name", "model".into(), "no container `kserve-container`"),
    ] {
        let simulator = serving(B);
        simulator.edit(|service| {
            let patch = serde_json::json!([{"op": "add", "path": path, "value": value}]);
            json_patch::patch(
                service,
                &serde_json::from_value::<json_patch::Patch>(patch).unwrap(),
            )
            .unwrap();
        });
        simulator.schedule([4; 20]); // KServe does not write its status over ours
        let error = run(&simulator, asked(C)).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(simulator.writes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_cannot_be_kept_stops_the_release_before_it_begins() {
    let simulator = serving(B);
    simulator.forbid("leases");
    let error = run(&simulator, asked(C)).await.unwrap_err();
    assert!(error.to_string().ends_with("its mark cannot be kept"), "{error}");
    assert_eq!(simulator.spec(), (B.to_owned(), None));
}

#[test]
fn a_name_leaves_room_for_the_host_of_its_canary() {
    let fits = |name: &str| plan::service_name(name).is_ok();
    assert!(fits("iris") && fits("i") && fits("iris-2") && fits(&"i".repeat(46)));
    assert!(
        !fits("")
            && !fits("2iris")
            && !fits("iris-")
            && !fits("Iris")
            && !fits("iris.v1")
            && !fits(&"i".repeat(47))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// KServe, configuration, kubelet, route and status act late, twice, or in any order.
    #[test]
    fn in_whatever_order_the_cluster_acts_users_keep_the_old_image_until_the_new_one_is_ready(
        schedule in proptest::collection::vec(0..5_u8, 0..120), kill in proptest::option::of((0..4_usize, any::<bool>())),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let simulator = serving(B);
            simulator.schedule(schedule);
            if let Some((number, applied)) = kill {
                simulator.kill_at_write(number, applied);
                simulator.until_killed(run(&simulator, asked(C))).await;
            }
            assert_eq!(run(&simulator, asked(C)).await.unwrap().outcome, "canary");
            assert_eq!(users(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
        });
    }
}
