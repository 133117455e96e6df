//! A ladder that begins at 0 %: tests reach the canary by its own address, and users do not.

use super::*;

fn blue_green(image: &str) -> Desired {
    Desired { percent: 0, ..desired(image) }
}

async fn observed(simulator: &Simulator) -> Observed {
    Service::new(simulator.client(), None, "iris").observe().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn at_zero_it_is_a_canary_with_an_address_and_without_requests() {
    let simulator = serving(B);
    let ended = run(&simulator, blue_green(C)).await.unwrap();
    assert_eq!((ended.outcome, ended.percent), ("canary", 0));
    assert_eq!(ended.canary_url, "http://latest-iris-predictor.models.example.test");
    assert_eq!(traffic(&simulator), [(B.to_owned(), 100)]);
    let observed = observed(&simulator).await;
    assert!(observed.mark.is_live_at_zero(C) && !observed.mark.is_fresh(C));
    assert_eq!(observed.mark.live_since, ended.started_at);
    assert_eq!(observed.unfinished_canary(), Some(C), "somebody has to end it");
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_it_is_out_once() {
    for (number, applied) in (0..3).flat_map(|number| [(number, false), (number, true)]) {
        let simulator = serving(B);
        simulator.kill_at_write(number, applied);
        assert!(simulator.until_killed(run(&simulator, blue_green(C))).await.is_none());
        let ended = run(&simulator, blue_green(C)).await.unwrap();
        assert_eq!((ended.outcome, ended.percent), ("canary", 0), "{number} {applied}");
        let patches = simulator.writes().into_iter().filter(|write| write.starts_with("image"));
        assert_eq!(patches.count(), 1, "{number} {applied}");
        assert!(observed(&simulator).await.mark.is_live_at_zero(C));
    }
}

#[tokio::test(start_paused = true)]
async fn run_again_it_writes_nothing_and_ends_the_same() {
    let simulator = serving(B);
    let ended = run(&simulator, blue_green(C)).await.unwrap();
    let writes = simulator.writes();
    assert_eq!(run(&simulator, blue_green(C)).await.unwrap(), ended);
    assert_eq!(simulator.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_out_at_zero_is_in_progress() {
    let simulator = serving(B);
    run(&simulator, blue_green(D)).await.unwrap();
    let error = run(&simulator, desired(C)).await.unwrap_err();
    assert!(
        error.to_string().ends_with(&format!("another canary is in progress: `{D}` at 0 %")),
        "{error}"
    );
    run(&simulator, replacing(C)).await.unwrap();
    assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
    assert_eq!(simulator.revisions(), ["iris-predictor-00001", "iris-predictor-00003"]);
}

#[tokio::test(start_paused = true)]
async fn once_it_was_rolled_back_it_is_refused_and_in_nobody_s_way() {
    let simulator = serving(B);
    run(&simulator, blue_green(C)).await.unwrap();
    reject(&simulator, C).await;
    let error = run(&simulator, blue_green(C)).await.unwrap_err();
    assert!(error.to_string().ends_with("it was rolled back before"), "{error}");
    assert_eq!(run(&simulator, desired(D)).await.unwrap().outcome, "canary");
}
