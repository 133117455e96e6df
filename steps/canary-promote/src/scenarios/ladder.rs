//! One rung a run.

use proptest::prelude::*;

use super::*;

#[tokio::test(start_paused = true)]
async fn without_a_ladder_a_live_canary_gets_all_requests_in_one_patch() {
    let simulator = live(10);
    assert_eq!(run(&simulator, straight_on()).await.unwrap(), Climb::Promoted);
    assert_promoted(&simulator);
    assert_eq!(simulator.writes(), ["image v2, no percent"]);
}

#[tokio::test(start_paused = true)]
async fn a_ladder_is_climbed_one_rung_a_run() {
    let simulator = live(10);
    for (at, ended) in [(10, Climb::Advanced(25)), (25, Climb::Advanced(50)), (50, Climb::Promoted)]
    {
        assert_eq!(run(&simulator, judged(at)).await.unwrap(), ended);
    }
    assert_promoted(&simulator);
    assert_eq!(
        simulator.writes(),
        ["image v2, percent 25", "image v2, percent 50", "image v2, no percent"]
    );
}

#[tokio::test(start_paused = true)]
async fn without_the_percent_that_was_judged_it_climbs_from_where_it_stands() {
    let simulator = live(10);
    let desired = Desired { percent: None, ..judged(10) };
    assert_eq!(run(&simulator, desired).await.unwrap(), Climb::Advanced(25));
    assert_at(&simulator, 25);
}

#[tokio::test(start_paused = true)]
async fn a_percent_between_two_rungs_leads_to_the_upper_one() {
    let simulator = live(12);
    assert_eq!(run(&simulator, judged(12)).await.unwrap(), Climb::Advanced(25));
    assert_at(&simulator, 25);
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_one_rung_is_climbed() {
    for at in [10, 25, 50] {
        for applied in [false, true] {
            let simulator = live(at);
            let desired = judged(u8::try_from(at).unwrap());
            simulator.kill_at_write(0, applied);
            assert!(simulator.until_killed(run(&simulator, desired.clone())).await.is_none());
            let ended = run(&simulator, desired.clone()).await.unwrap();
            let writes = simulator.writes();
            assert_eq!(run(&simulator, desired).await.unwrap(), ended, "{at} {applied}");
            assert_eq!(simulator.writes(), writes, "run once more it writes nothing");
            assert_eq!(writes.len(), 1);
            match at {
                10 => assert_at(&simulator, 25),
                25 => assert_at(&simulator, 50),
                _ => assert_promoted(&simulator),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_raised_meanwhile_is_never_lowered() {
    for raised in [20, 25, 60] {
        let simulator = live(raised);
        let percent = u8::try_from(raised).unwrap();
        assert_eq!(run(&simulator, judged(10)).await.unwrap(), Climb::Advanced(percent));
        assert_at(&simulator, raised);
        assert_eq!(simulator.writes(), [""; 0]);
    }
    let simulator = live(10);
    simulator.ask("v2", None);
    assert_eq!(run(&simulator, judged(10)).await.unwrap(), Climb::Promoted);
    assert_eq!(simulator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_lowered_meanwhile_climbs_from_there() {
    let simulator = live(10);
    assert_eq!(run(&simulator, judged(50)).await.unwrap(), Climb::Advanced(25));
    assert_at(&simulator, 25);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_percent_that_somebody_set_is_removed() {
    for desired in [straight_on(), judged(10)] {
        let simulator = live(10);
        simulator.ask("v2", Some(100));
        assert_eq!(run(&simulator, desired).await.unwrap(), Climb::Promoted);
        assert_promoted(&simulator);
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_to_be_judged_at_a_hundred_percent_is_promoted_after_that() {
    let bakes = |at| Desired { bakes: true, ..judged(at) };
    let simulator = live(50);
    for _ in 0..2 {
        assert_eq!(run(&simulator, bakes(50)).await.unwrap(), Climb::Advanced(100));
        assert_promoted(&simulator);
    }
    assert_eq!(run(&simulator, bakes(100)).await.unwrap(), Climb::Promoted);
    assert_eq!(simulator.writes(), ["image v2, no percent"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Controllers act late, twice, or in any order; the process is killed anywhere; somebody had moved it.
    #[test]
    fn whatever_happens_it_ends_above_the_judged_percent_and_no_higher_than_one_rung_above(
        schedule in proptest::collection::vec(0..5_u8, 0..60), kill in proptest::option::of((0..2_usize, any::<bool>())),
        at in 1..60_u8, judged_at in proptest::sample::select(&[10_u8, 25, 50]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let simulator = live(at.into());
            simulator.schedule(schedule);
            if let Some((number, applied)) = kill {
                simulator.kill_at_write(number, applied);
                simulator.until_killed(run(&simulator, judged(judged_at))).await;
            }
            let ended = run(&simulator, judged(judged_at)).await.unwrap().percent();
            let above = judged(judged_at).ladder.unwrap().above(judged_at);
            assert!(ended > at.min(judged_at) && ended <= above.max(at), "{at} {judged_at}: {ended}");
            simulator.settle();
            assert_eq!(simulator.traffic()["v2"], i64::from(ended));
        });
    }
}
