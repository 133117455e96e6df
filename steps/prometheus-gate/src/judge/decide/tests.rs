use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::judge::samples::{Answers, Material};
use crate::judge::summary::Points;
use crate::series::{Labels, Series};
use crate::spec::expression::Combine;
use crate::spec::model::{CompareTest, Counted, Criterion, Policy, Test, Timing, ValueTest};

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
    Criterion {
        name: "errors".into(),
        query: "errors".into(),
        presence: None,
        past: None,
        source: String::new(),
        notes: Vec::new(),
        role: Role::Gate,
        window: SignedDuration::ZERO,
        coverage: 0.9,
        max_gap: SignedDuration::from_secs(15),
        unit: String::new(),
        test: Test::Value(ValueTest {
            fail_limit: None,
            consecutive_fail: Some(5),
            ..ValueTest::zero()
        }),
    }
}

fn spec(criterion: Criterion) -> Spec {
    Spec {
        timing: TIMING,
        criteria: vec![criterion],
        combine: Combine::All,
        policy: Policy::default(),
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
    Samples { criteria: vec![material], failing_since }
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

fn marks() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![4 => Just('.'), 1 => Just('x'), 1 => Just('_'), 1 => Just('n')],
        1..64,
    )
    .prop_map(|marks| marks.into_iter().collect())
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
    Samples { criteria: vec![material], failing_since: None }
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
    Samples { criteria: vec![material], failing_since: None }
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

fn growth() -> impl Strategy<Value = Vec<[f64; 4]>> {
    let step = (0..4_u32, 0..20_u32, 0..4_u32, 0..90_u32).prop_map(
        |(bad, good, baseline_bad, baseline_good)| {
            [bad, bad + good, baseline_bad, baseline_bad + baseline_good].map(f64::from)
        },
    );
    proptest::collection::vec(step, 1..56)
}

fn compared_at(samples: &Samples, point: usize) -> Verdict {
    verdict(&spec(compare()), T0, samples, T0 + STEP * count(point) + TIMING.settle).verdict
}

proptest! {
    #[test]
    fn counters_looked_at_at_every_step_and_once_give_one_verdict(steps in growth()) {
        let samples = grown(&steps);
        let first = (0..steps.len()).map(|point| compared_at(&samples, point)).find(|verdict| *verdict != Verdict::Pending);
        prop_assert_eq!(first.unwrap_or(Verdict::Pending), compared_at(&samples, steps.len() - 1));
    }

    #[test]
    fn more_errors_of_the_canary_never_make_a_pass(steps in growth(), at in 0..56_usize, more in 1..9_u32) {
        let mut worse = steps.clone();
        let at = at % steps.len();
        worse[at][0] = (worse[at][0] + f64::from(more)).min(worse[at][1]);
        let last = steps.len() - 1;
        if compared_at(&grown(&worse), last) == Verdict::Pass {
            prop_assert_eq!(compared_at(&grown(&steps), last), Verdict::Pass);
        }
    }

    #[test]
    fn the_order_and_size_of_answers_does_not_matter(marks in marks(), cuts in proptest::collection::vec(0..64_usize, 0..6), from_the_end: bool) {
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < marks.len()).collect();
        cuts.extend([0, marks.len()]);
        cuts.sort_unstable();
        let mut parts: Vec<(usize, usize)> = cuts.windows(2).map(|cut| (cut[0], cut[1])).filter(|(a, b)| a < b).collect();
        if from_the_end {
            parts.reverse();
        }
        let mut split = Answers::default();
        for (from, to) in parts {
            let values = marks.chars().enumerate().filter(|(at, _)| (from..to).contains(at)).filter_map(|(at, mark)| {
                let value = match mark { '.' => 0.0, 'x' => 1.0, 'n' => f64::NAN, _ => return None };
                Some((T0 + STEP * count(at), value))
            });
            let series = Series { labels: Labels::new(), values: values.collect() };
            split.add(Grid { from: T0 + STEP * count(from), to: T0 + STEP * count(to - 1), step: STEP }, &[series]);
        }
        let now = T0 + STEP * count(marks.len() - 1) + TIMING.settle;
        let judge = |answers| verdict(&spec(zero_errors()), T0, &samples(answers, None), now);
        prop_assert_eq!(judge(split), judge(answers(&marks)));
    }

    #[test]
    fn a_gate_that_looked_at_every_step_agrees_with_one_that_looks_once(marks in marks()) {
        let first = (1..=marks.len()).map(|seen| judged(&marks[..seen])).find(|judged| judged.0 != Verdict::Pending);
        prop_assert_eq!(first.unwrap_or(PENDING), judged(&marks));
    }

    #[test]
    fn an_outage_that_is_filled_in_later_changes_nothing(marks in marks(), from in 0..64_usize, length in 1..64_usize) {
        let marks = &marks[..marks.len().min(57)]; // at the deadline an outage is the end
        let from = from % marks.len();
        let outage: String = marks.chars().enumerate().map(|(at, mark)| if (from..from + length).contains(&at) { '?' } else { mark }).collect();
        let during = judged(&outage);
        prop_assert!(during == PENDING || during == judged(marks), "{during:?}");
    }

    #[test]
    fn turning_a_point_bad_or_taking_a_good_one_away_never_makes_a_pass(marks in marks(), at in 0..64_usize, bad: bool) {
        let at = at % marks.len();
        let mut worse = marks.clone();
        worse.replace_range(at..=at, if bad { "x" } else { "_" });
        if !bad && &marks[at..=at] == "x" {
            return Ok(()); // to take a bad point away may help
        }
        if judged(&worse) == PASS {
            // It may come earlier or later by nothing: the run it rests on was there before.
            prop_assert_eq!(judged(&marks), PASS);
        }
    }

    #[test]
    fn every_run_ends_by_its_deadline(marks in marks()) {
        let samples = samples(answers(&marks), None);
        let judgement = verdict(&spec(zero_errors()), T0, &samples, T0 + TIMING.deadline);
        prop_assert_ne!(judgement.verdict, Verdict::Pending);
    }

    #[test]
    fn without_a_good_judged_point_there_is_no_pass(marks in "[x_n]{1,64}") {
        prop_assert_ne!(judged(&marks).0, Verdict::Pass);
    }

    #[test]
    fn infeasible_is_never_said_while_a_pass_is_possible(marks in marks()) {
        let first = (1..=marks.len()).find(|seen| judged(&marks[..*seen]).0 != Verdict::Pending);
        if let (Some(seen), (_, Reason::Infeasible | Reason::NoData)) = (first, judged(&marks)) {
            let best = format!("{}{}", &marks[..seen], ".".repeat(64));
            prop_assert!(!could_hold(answers(&best), seen), "a pass was possible after {best}");
        }
    }
}

/// Whether it would hold at any point from there on, up to the deadline.
fn could_hold(answers: Answers, from: usize) -> bool {
    let (spec, samples) = (spec(zero_errors()), samples(answers, None));
    let mut track = CriterionState::new(&spec, &spec.criteria[0], &samples.criteria[0], T0);
    let last = (TIMING.deadline - TIMING.settle).as_secs() / STEP.as_secs();
    (0..=last).any(|k| {
        track.step(T0 + STEP * i32::try_from(k).unwrap(), &|_| None);
        k + 1 >= i64::from(count(from)) && track.holds()
    })
}
