use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::judge::samples::{Answers, Material};
use crate::judge::summary::Points;
use crate::series::{Labels, Series};
use crate::spec::expression::Combine;
use crate::spec::permission::Permission;
use crate::spec::resolved::{CompareTest, Counted, Criterion, Policy, Test, Timing, ValueTest};
use crate::spec::rungs::Rungs;

mod ladder;
mod permission;
mod properties;

const T0: Timestamp = Timestamp::constant(1_000_000, 0);
const STEP: SignedDuration = SignedDuration::from_secs(5);

/// Points are 5 s apart; judged from 20 s after the start; 30 s of hold.
const TIMING: Timing = Timing {
    step: STEP,
    hold: SignedDuration::from_secs(30),
    warmup: SignedDuration::from_secs(18),
    skew: SignedDuration::from_secs(2),
    settle: SignedDuration::from_secs(10),
    deadline: SignedDuration::from_secs(300),
    max_outage: SignedDuration::from_secs(60),
};

fn zero_errors() -> Criterion {
    let test = ValueTest { fail_limit: None, consecutive_fail: Some(5), ..ValueTest::zero() };
    let max_gap = SignedDuration::from_secs(15);
    Criterion { max_gap, ..Criterion::new("errors", "errors".to_owned(), Test::Value(test)) }
}

fn spec(criterion: Criterion) -> Spec {
    Spec {
        timing: TIMING,
        rungs: Rungs::default(),
        criteria: vec![criterion],
        combine: Combine::All,
        policy: Policy::default(),
        permission: Permission::default(),
    }
}

/// One mark per point from the start: `.` good, `x` bad, `_` no sample, `n` NaN, `?` no answer.
fn answers(marks: &str) -> Answers {
    let mut answers = Answers::default();
    let mut point = T0;
    for mark in marks.chars() {
        let value = match mark {
            '.' => Some(0.0),
            'x' => Some(1.0),
            'n' => Some(f64::NAN),
            '_' => None,
            '?' => {
                point += STEP;
                continue;
            }
            other => panic!("no such mark: {other}"),
        };
        let values = value.map(|value| (point, value)).into_iter().collect();
        answers.add(
            Grid { from: point, to: point, step: STEP },
            &[Series { labels: Labels::new(), values }],
        );
        point += STEP;
    }
    answers
}

fn samples(points: Answers, failing_since: Option<Timestamp>) -> Samples {
    let material = Material { points, ..Material::new(&zero_errors(), T0) };
    Samples { criteria: vec![material], failing_since, ..Samples::default() }
}

/// What the gate says when the last mark has just become final.
fn judged(marks: &str) -> (Verdict, Reason) {
    let now = T0 + STEP * (count(marks.len()) - 1) + TIMING.settle;
    let samples = samples(answers(marks), None);
    let judgement = verdict(&spec(zero_errors()), T0, &samples, now);
    (judgement.verdict, judgement.reason)
}

/// The four points of the warm-up.
const WARM: &str = "....";
const PENDING: (Verdict, Reason) = (Verdict::Pending, Reason::Pending);
const PASS: (Verdict, Reason) = (Verdict::Pass, Reason::Hold);

#[test]
fn what_holds_long_enough_passes_and_not_a_point_earlier() {
    assert_eq!(judged(&format!("{WARM}......")), PENDING);
    assert_eq!(judged(&format!("{WARM}.......")), PASS);
}

#[test]
fn nothing_measured_is_inconclusive_at_the_end() {
    assert_eq!(judged(&"_".repeat(40)), PENDING);
    assert_eq!(judged(&"_".repeat(61)), (Verdict::Inconclusive, Reason::NoData));
    assert_eq!(judged(&"n".repeat(61)), (Verdict::Inconclusive, Reason::NoData));
}

#[test]
fn a_warm_up_has_no_say_whatever_its_values() {
    assert_eq!(judged("xxxx......."), PASS);
    assert_eq!(judged("xxxx......"), PENDING);
}

#[test]
fn a_bad_point_starts_the_hold_anew() {
    assert_eq!(judged(&format!("{WARM}..x......")), PENDING);
    assert_eq!(judged(&format!("{WARM}..x.......")), PASS);
}

#[test]
fn a_missed_scrape_does_not_interrupt_but_a_long_gap_does() {
    assert_eq!(judged(&format!("{WARM}..........._...")), PASS);
    assert_eq!(
        judged(&format!("{WARM}..._....")),
        PENDING,
        "one of eight points is more than a tenth"
    );
    assert_eq!(judged(&format!("{WARM}.....____...")), PENDING, "not observed is not held");
}

#[test]
fn bad_points_in_a_row_fail_and_missing_ones_between_do_not_help() {
    assert_eq!(judged(&format!("{WARM}xxxx")), PENDING);
    assert_eq!(judged(&format!("{WARM}xxxxx")), (Verdict::Fail, Reason::Limit));
    assert_eq!(judged(&format!("{WARM}xx_x_xx")), (Verdict::Fail, Reason::Limit));
    assert_eq!(judged(&format!("{WARM}xxxx.xxxx")), PENDING);
}

#[test]
fn bad_points_that_leave_no_time_to_hold_fail() {
    // The deadline is 300 s after the start: a hold that begins after 260 s cannot settle before.
    let flapping = "x.".repeat(30);
    assert_eq!(judged(&flapping[..52]), PENDING);
    assert_eq!(judged(&flapping[..53]), (Verdict::Fail, Reason::Infeasible));
}

#[test]
fn the_last_hold_that_fits_before_the_deadline_passes() {
    let bad = "xxxx.".repeat(20);
    assert_eq!(judged(&format!("{}x.......", &bad[..51])), PASS);
}

#[test]
fn an_outage_is_inconclusive_once_it_is_too_long() {
    let samples =
        samples(answers(&format!("{WARM}..????")), Some(T0 + SignedDuration::from_secs(30)));
    let at = |seconds| {
        verdict(&spec(zero_errors()), T0, &samples, T0 + SignedDuration::from_secs(seconds)).reason
    };
    assert_eq!((at(89), at(90)), (Reason::Pending, Reason::Outage));
}

#[test]
fn a_window_that_reaches_back_before_the_canary_delays_the_first_judged_point() {
    let windowed = Criterion { window: SignedDuration::from_secs(60), ..zero_errors() };
    let judged = |bad: usize, good: usize| {
        let marks = format!("{}{}", "x".repeat(bad), ".".repeat(good));
        let now = T0 + STEP * (count(marks.len()) - 1) + TIMING.settle;
        verdict(&spec(windowed.clone()), T0, &samples(answers(&marks), None), now)
    };
    assert_eq!(judged(16, 7).verdict, Verdict::Pass);
    assert_eq!(judged(17, 7).points(), Points { good: 7, bad: 1, warmup: 16, ..Points::default() });
}

impl Judgement {
    fn points(&self) -> Points {
        self.criteria[0].points
    }
}

fn compare() -> Criterion {
    Criterion {
        max_gap: SignedDuration::from_secs(90),
        test: Test::Compare(CompareTest {
            max_ratio: 1.25,
            alpha: 0.05,
            min_requests: 50.0,
            counted: Counted::Failed,
            absolute: Some(0.5),
            weight: None,
            counts_starts: false,
        }),
        ..zero_errors()
    }
}

/// Counters that grow by so much per step on each side: canary errors and total, baseline's.
fn counting(per_step: [f64; 4], steps: usize) -> Samples {
    let steps: Vec<[f64; 4]> = vec![per_step; steps];
    grown(&steps)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap()
}

fn compared(per_step: [f64; 4], steps: usize) -> Judgement {
    let samples = counting(per_step, steps);
    verdict(&spec(compare()), T0, &samples, T0 + STEP * count(steps - 1) + TIMING.settle)
}

#[test]
fn a_canary_that_always_fails_is_refused_within_half_a_minute_of_judged_points() {
    // 20 requests a second, a tenth of them to the canary.
    let judgement = compared([10.0, 10.0, 0.0, 90.0], 10);
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Fail, Reason::Evidence));
    assert_eq!(
        judgement.message,
        "errors: 40 of 40 requests to the canary failed (100 %), 0 of 360 to the baseline (0 %); \
         40 of all 40 requests to the canary failed, more than 50.0 % whatever the baseline does, \
         and chance would say so at most once in 20 releases"
    );
}

#[test]
fn a_canary_like_its_baseline_passes_after_the_hold() {
    let judgement = compared([0.0, 10.0, 0.0, 90.0], 11);
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Pass, Reason::Hold));
    assert_eq!(compared([0.0, 10.0, 0.0, 90.0], 10).verdict, Verdict::Pending);
}

#[test]
fn too_few_requests_are_inconclusive_and_the_missing_ones_are_told() {
    let judgement = compared([0.0, 0.5, 0.0, 90.0], 61);
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Inconclusive, Reason::NoData));
    assert_eq!(
        judgement.message,
        "errors: 0 of 27 requests to the canary failed (0 %), 0 of 4860 to the baseline (0 %); \
         23 more requests to the canary are needed"
    );
}

#[test]
fn a_canary_without_traffic_never_passes() {
    let judgement = compared([0.0, 0.0, 0.0, 90.0], 61);
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Inconclusive, Reason::NoData));
    assert!(judgement.message.contains("no requests to the canary"), "{}", judgement.message);
}

/// Counters that grow by so much at each step.
fn grown(steps: &[[f64; 4]]) -> Samples {
    let roles = ["canary_errors", "canary_total", "baseline_errors", "baseline_total"];
    let series: Vec<Series> = roles
        .iter()
        .enumerate()
        .map(|(role, name)| {
            let mut sum = 0.0;
            let grow = |(at, step): (usize, &[f64; 4])| {
                sum += step[role];
                (T0 + STEP * count(at), sum)
            };
            let values = steps.iter().enumerate().map(grow).collect();
            Series { labels: [(crate::series::ROLE.to_owned(), (*name).to_owned())].into(), values }
        })
        .collect();
    let mut material = Material::new(&compare(), T0);
    material
        .counters
        .add(Grid { from: T0, to: T0 + STEP * count(steps.len() - 1), step: STEP }, &series);
    Samples { criteria: vec![material], ..Samples::default() }
}

/// The same counters, scraped at every so many points only.
fn rarely_scraped(per_step: [f64; 4], steps: usize, every: usize) -> Samples {
    let at = |step: usize| T0 + STEP * count(step);
    let newest = |step: usize| step / every * every;
    let series = |name: &str, value: &dyn Fn(usize) -> f64| Series {
        labels: [(crate::series::ROLE.to_owned(), name.to_owned())].into(),
        values: (0..steps).map(|step| (at(step), value(newest(step)))).collect(),
    };
    let float = |step: usize| f64::from(count(step));
    let mut all: Vec<Series> =
        ["canary_errors", "canary_total", "baseline_errors", "baseline_total"]
            .iter()
            .zip(per_step)
            .map(|(name, growth)| series(name, &|step| growth * float(step)))
            .collect();
    for name in ["canary_sampled", "baseline_sampled"] {
        all.push(series(name, &|step| crate::time::to_seconds(at(step))));
    }
    let mut material = Material::new(&compare(), T0);
    material.counters.add(Grid { from: T0, to: at(steps - 1), step: STEP }, &all);
    Samples { criteria: vec![material], ..Samples::default() }
}

#[test]
fn rare_scrapes_leave_no_hole_for_a_bad_canary_and_do_not_stop_a_good_one() {
    for every in [3, 6, 12] {
        let judged = |per_step| {
            let samples = rarely_scraped(per_step, 58, every);
            verdict(&spec(compare()), T0, &samples, T0 + TIMING.deadline - STEP).verdict
        };
        for bad in [[10.0, 10.0, 0.0, 90.0], [4.0, 10.0, 0.0, 90.0]] {
            assert_ne!(judged(bad), Verdict::Pass, "{bad:?}, a scrape every {every} points");
        }
        assert_eq!(judged([0.0, 10.0, 0.0, 90.0]), Verdict::Pass, "every {every} points");
    }
}
