//! Pods before requests.

use super::*;

const MIN_SCALE: &str = "autoscaling.knative.dev/min-scale";
const BEFORE: &str = "kanaria.dev/min-scale";

/// A canary with one pod beside a baseline that needs this many for its requests
fn busy(percent: i64, baseline: u32) -> Simulator {
    let simulator = Simulator::new();
    simulator.serve("v1");
    // As KServe has it from `minReplicas`
    simulator.edit(|service| service["metadata"]["annotations"][MIN_SCALE] = "1".into());
    simulator.ask("v2", Some(percent));
    simulator.load("v1", baseline);
    simulator
}

fn with_room(percent: u8) -> Desired {
    Desired { room_timeout: Duration::from_mins(3), ..judged(percent) }
}

fn minimum(simulator: &Simulator) -> (Option<String>, Option<String>) {
    let annotations = simulator.annotations(CANARY);
    let text = |key: &str| annotations[key].as_str().map(String::from);
    (text(MIN_SCALE), text(BEFORE))
}

fn untouched() -> (Option<String>, Option<String>) {
    (Some("1".into()), None)
}

#[tokio::test(start_paused = true)]
async fn the_pods_are_there_before_the_percent_and_stay_until_the_ladder_ends() {
    let simulator = busy(10, 9);
    assert_eq!(run(&simulator, with_room(10)).await.unwrap(), Climb::Advanced(25));
    assert_eq!(run(&simulator, with_room(25)).await.unwrap(), Climb::Advanced(50));
    assert_eq!(minimum(&simulator), (Some("6".into()), Some("1".into())));
    let began = tokio::time::Instant::now();
    assert_eq!(run(&simulator, with_room(50)).await.unwrap(), Climb::Promoted);
    assert!(began.elapsed() >= Duration::from_mins(1), "the autoscaler has seen all requests");
    assert_eq!(minimum(&simulator), untouched());
    assert_eq!(
        simulator.writes(),
        [
            "minimum of iris-predictor-00002: 3", // 9 pods for 90 %, so 2.5 for 25
            "image v2, percent 25",
            "minimum of iris-predictor-00002: 6", // 9 for 75 %
            "image v2, percent 50",
            "minimum of iris-predictor-00002: 18", // 9 for 50 %
            "image v2, no percent",
            "minimum of iris-predictor-00002: 1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_it_ends_the_same() {
    for (number, applied) in (0..3).flat_map(|number| [(number, false), (number, true)]) {
        let simulator = busy(50, 4);
        simulator.kill_at_write(number, applied);
        assert!(simulator.until_killed(run(&simulator, with_room(50))).await.is_none());
        assert_eq!(run(&simulator, with_room(50)).await.unwrap(), Climb::Promoted);
        assert_promoted(&simulator);
        assert_eq!(minimum(&simulator), untouched(), "{number} {applied}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_has_its_pods_or_whose_service_has_none_is_asked_for_nothing() {
    let enough = busy(10, 4);
    enough.load("v2", 2);
    let idle = busy(10, 0);
    for simulator in [enough, idle] {
        simulator.settle();
        assert_eq!(run(&simulator, with_room(10)).await.unwrap(), Climb::Advanced(25));
        assert_eq!(simulator.writes(), ["image v2, percent 25"]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_room_it_keeps_its_percent_and_says_how_many_pods_are_missing_and_why() {
    let simulator = busy(10, 9);
    simulator.limit_pods("v2", 2);
    let began = tokio::time::Instant::now();
    let error = run(&simulator, with_room(10)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_mins(4));
    assert_eq!(
        error.to_string(),
        "failed to give `iris-predictor-00002` of `models/iris` 25 %: 2 of the 3 pods that it needs are ready after 3m: \
         no node has room for it: 0/1 nodes are available: 1 Insufficient cpu."
    );
}

#[tokio::test(start_paused = true)]
async fn without_asking_for_room_it_climbs_at_once() {
    let simulator = busy(10, 9);
    assert_eq!(run(&simulator, judged(10)).await.unwrap(), Climb::Advanced(25));
    assert_eq!(simulator.writes(), ["image v2, percent 25"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_ask_for_pods_it_climbs_all_the_same() {
    let simulator = busy(10, 9);
    simulator.forbid("revisions");
    assert_eq!(run(&simulator, with_room(10)).await.unwrap(), Climb::Advanced(25));
    assert_eq!(simulator.writes(), ["image v2, percent 25"]);
}

#[tokio::test(start_paused = true)]
async fn a_baseline_that_grows_meanwhile_is_followed_but_not_for_ever() {
    let simulator = busy(10, 9);
    simulator.limit_pods("v2", 2);
    let growing = async {
        for pods in 10..200 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            simulator.load("v1", pods);
        }
    };
    let began = tokio::time::Instant::now();
    let promotion = async {
        let ended = run(&simulator, with_room(10)).await;
        (ended, began.elapsed())
    };
    let ((ended, took), ()) = tokio::join!(promotion, growing);
    assert!(ended.is_err() && took < Duration::from_mins(4), "{ended:?} after {took:?}");
}
