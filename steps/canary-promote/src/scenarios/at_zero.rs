//! A ladder that begins at 0 %: tests have reached the canary by its own address.

use inference_service::{Action, Mark};

use super::*;

fn judged_at_zero() -> Desired {
    Desired { ladder: Some("0,100".parse().unwrap()), percent: Some(0), ..straight_on() }
}

async fn mark(simulator: &Simulator, change: impl Fn(Mark) -> Mark) {
    let service = Service::new(simulator.client(), None, "iris");
    let observed = service.observe().await.unwrap();
    let mut wanted = Some(change(observed.mark.begin("v2", BASELINE, "v1")));
    let write =
        |_: &Observed| Ok(wanted.take().map_or(Action::Done(()), |mark| Action::Mark(mark.into())));
    service.reconcile(Duration::from_secs(10), write).await.unwrap();
}

const SINCE: &str = "2026-11-24T09:30:00Z";

#[tokio::test(start_paused = true)]
async fn a_canary_that_was_judged_at_zero_gets_all_requests() {
    for applied in [None, Some(false), Some(true)] {
        let simulator = live(0);
        mark(&simulator, |mark| mark.go_live_at_zero(SINCE)).await;
        if let Some(applied) = applied {
            simulator.kill_at_write(0, applied);
            simulator.until_killed(run(&simulator, judged_at_zero())).await;
        }
        assert_eq!(run(&simulator, judged_at_zero()).await.unwrap(), Climb::Promoted);
        assert_promoted(&simulator);
    }
}

#[tokio::test(start_paused = true)]
async fn it_climbs_a_ladder_from_zero_too() {
    let simulator = live(0);
    mark(&simulator, |mark| mark.go_live_at_zero(SINCE)).await;
    let desired = Desired { ladder: Some("0,10".parse().unwrap()), ..judged_at_zero() };
    assert_eq!(run(&simulator, desired.clone()).await.unwrap(), Climb::Advanced(10));
    assert_eq!(run(&simulator, desired).await.unwrap(), Climb::Advanced(10));
    assert_at(&simulator, 10);
}

#[tokio::test(start_paused = true)]
async fn at_zero_nothing_is_promoted_that_was_rejected_is_unfinished_or_was_judged_elsewhere() {
    type Change = fn(Mark) -> Mark;
    let live_at_zero: Change = |mark| mark.go_live_at_zero(SINCE);
    let cases: [(Change, Option<u8>); 4] = [
        (|mark| mark.go_live_at_zero(SINCE).reject("v2", CANARY), Some(0)),
        (|mark| mark, Some(0)),
        (live_at_zero, None),
        (live_at_zero, Some(10)),
    ];
    for (change, percent) in cases {
        let simulator = live(0);
        mark(&simulator, change).await;
        let writes = simulator.writes();
        let desired = Desired { percent, ..judged_at_zero() };
        let error = run(&simulator, desired).await.unwrap_err();
        assert!(error.to_string().contains("it has 0 %: it was taken back"), "{error}");
        assert_eq!(simulator.writes(), writes);
    }
}
