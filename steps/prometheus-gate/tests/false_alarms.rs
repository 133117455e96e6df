//! A canary that is no worse is seldom refused, whatever its errors are like: 300 seeded releases each.
//! `cargo bench -p prometheus-gate --bench false_alarms` runs many more.

#[path = "../benches/false_alarms/answers.rs"]
mod answers;
#[path = "../benches/false_alarms/ladder.rs"]
mod ladder;
#[path = "../benches/false_alarms/simulation.rs"]
mod simulation;

use answers::{Answers, equal, first, skewed};
use ladder::{Climb, Evidence};
use simulation::{Errors, Past, Release, Test, power};

/// The level is 5 %, and the benchmark finds hardly more than 3 % of any of these. In 300 releases,
/// 6 % are three standard errors of a binomial above 3 %.
const RUNS: u32 = 300;
const MOST: f64 = 0.06;

fn false_alarms(release: Release, past: Past) -> f64 {
    power(release, Test { tolerated: 1.0, past }, RUNS).found
}

/// 0.2 % of 200 requests a second.
fn busy(errors: Errors) -> Release {
    Release { requests: 200.0, share: 0.002, errors, ..Release::default() }
}

#[test]
fn a_canary_that_is_no_worse_is_seldom_refused() {
    let quiet = Release::default();
    for release in [
        quiet,
        Release { share: 0.2, ..quiet },
        Release { ramp: true, ..quiet },
        Release { requests: 0.2, ..quiet },
        Release { drift: true, ..quiet },
    ] {
        for past in [Past::Seen, Past::None] {
            let found = false_alarms(release, past);
            assert!(found <= MOST, "{found} of {release:?}, past {past:?}");
        }
    }
}

#[test]
fn bursts_are_no_alarm_with_and_without_a_past() {
    for size in [3.0, 8.0, 20.0] {
        for past in [Past::Seen, Past::None, Past::WithoutErrors] {
            let found = false_alarms(busy(Errors::Bursts(size)), past);
            assert!(found <= MOST, "{found} of bursts of {size}, past {past:?}");
        }
    }
}

#[test]
fn bursts_that_the_past_does_not_show_are_no_alarm() {
    let only = Release { canary: Some(Errors::Bursts(8.0)), ..busy(Errors::Single) };
    let most = Release { weight: 0.9, ..busy(Errors::Bursts(20.0)) };
    for release in [only, most, busy(Errors::HeavyBursts(3.0))] {
        let found = false_alarms(release, Past::Seen).max(false_alarms(release, Past::None));
        assert!(found <= MOST, "{found} of {release:?}");
    }
}

#[test]
fn a_pod_that_goes_bad_now_and_then_is_no_alarm() {
    for seconds in [5.0, 30.0] {
        let pods = Errors::BadPods { part: 0.3, seconds, minutes: 10.0 };
        let release = Release { share: 0.0005, ..busy(pods) };
        for past in [Past::Seen, Past::None] {
            let found = false_alarms(release, past);
            assert!(found <= MOST, "{found} of {seconds} s, past {past:?}");
        }
    }
}

#[test]
fn what_is_worse_is_found_with_few_requests_more_than_any_test_needs() {
    for ratio in [2.0, 3.0] {
        let release = Release { ratio, ..Release::default() };
        let power = power(release, Test { tolerated: 1.0, past: Past::Seen }, RUNS);
        assert!(power.found >= 0.98, "{ratio}: {power:?}");
        let bound = release.bound(1.0, 0.05);
        assert!(power.requests <= 1.5 * bound, "{ratio}: {power:?}, bound {bound}");
    }
}

#[test]
fn three_times_the_errors_are_found_within_minutes() {
    let minutes = |errors, past, tolerated| {
        let release = Release { ratio: 3.0, errors, ..Release::default() };
        power(release, Test { tolerated, past }, RUNS).minutes
    };
    for (past, tolerated, most) in [
        (Past::Seen, 1.0, 4.0),
        (Past::Seen, 1.25, 6.0),
        (Past::None, 1.0, 8.0),
        (Past::None, 1.25, 11.0),
    ] {
        let found = minutes(Errors::Single, past, tolerated);
        assert!(found <= most, "{found} min, past {past:?}, ratio {tolerated}");
    }
}

#[test]
fn a_release_that_is_no_worse_is_seldom_refused_on_any_rung_of_its_ladder() {
    let quiet = Release::default();
    for release in [
        quiet,
        Release { share: 0.001, ..quiet },
        Release { share: 0.2, ..quiet },
        busy(Errors::Bursts(8.0)),
    ] {
        for rungs in [3, 6] {
            for past in [Past::Seen, Past::None] {
                let climb = Climb::new(release, rungs);
                let found = climb.power(Evidence::Restarted, past, RUNS).found;
                assert!(found <= MOST, "{found} of {climb:?}, past {past:?}");
            }
        }
    }
}

#[test]
fn a_canary_that_turns_bad_on_the_second_rung_is_found_like_by_a_test_of_that_rung_alone() {
    for rungs in [3, 6] {
        let release = Release { ratio: 3.0, ..Release::default() };
        let climb = Climb { looks: 720, bad_from: 2, ..Climb::new(release, rungs) };
        let [restarted, alone, going_on] =
            [Evidence::Restarted, Evidence::OfOneRung, Evidence::GoingOn]
                .map(|evidence| climb.power(evidence, Past::Seen, RUNS));
        assert!(restarted.found >= 0.99, "{restarted:?}");
        // It takes ln K more than the ln 20 of a proof, and a tenth for chance.
        let most = 1.1 * (1.0 + f64::from(u32::try_from(rungs).unwrap()).ln() / 20_f64.ln());
        assert!(restarted.requests <= most * alone.requests, "{restarted:?}, alone {alone:?}");
        assert!(restarted.requests < going_on.requests, "{restarted:?}, going on {going_on:?}");
    }
}

#[test]
fn answers_that_do_not_change_are_seldom_refused() {
    const RUNS: u32 = 100;
    for shares in [equal(3), skewed(10)] {
        let plain = Answers { shares, ..Answers::default() };
        for answers in [
            plain.clone(),
            Answers { drift: true, ..plain.clone() },
            Answers { lost: 0.3, has_past: false, ..plain.clone() },
            Answers { ratio: answers::TOLERATED, ..plain },
        ] {
            let found = answers.power(RUNS).found;
            assert!(found <= MOST, "{found} of {answers:?}");
        }
    }
}

#[test]
fn an_answer_that_is_twice_as_frequent_is_found_within_minutes() {
    for classes in [2, 3, 10, 50] {
        let answers = Answers { shares: first(0.1, classes), ratio: 2.0, ..Answers::default() };
        let power = answers.power(100);
        assert!(power.found >= 0.98 && power.minutes <= 10.0, "{classes} classes: {power:?}");
        assert!(power.requests <= 2.0 * answers.bound(0.05), "{classes} classes: {power:?}");
    }
}
