//! Verdicts on a later rung of a ladder.

use proptest::prelude::*;

use super::*;

/// The canary had 10 % from the first point on, and has 25 % from this one on; it is judged there from the
/// 24th on, and its growth from the 25th.
const BEGINS: usize = 20;
const JUDGED: usize = BEGINS + 4;

fn second_rung() -> Timestamp {
    T0 + STEP * count(BEGINS)
}

fn on_second_rung(criterion: Criterion) -> Spec {
    let climbed = format!("10@{T0}").parse().unwrap();
    Spec { rungs: Rungs::new(climbed, None, None), ..spec(criterion) }
}

fn at(point: usize) -> Timestamp {
    T0 + STEP * count(point) + TIMING.settle
}

/// What the second gate says of marks from the first rung on.
fn judgement(marks: &str) -> Judgement {
    let samples = samples(answers(marks), None);
    verdict(&on_second_rung(zero_errors()), second_rung(), &samples, at(marks.len() - 1))
}

fn judged(marks: &str) -> (Verdict, Reason) {
    let judgement = judgement(marks);
    (judgement.verdict, judgement.reason)
}

fn compared(steps: &[[f64; 4]]) -> Judgement {
    compared_at(steps, steps.len() - 1)
}

fn compared_at(steps: &[[f64; 4]], point: usize) -> Judgement {
    verdict(&on_second_rung(counted()), second_rung(), &grown(steps), at(point))
}

/// Shares of errors, and ends that the weight promises.
fn counted() -> Criterion {
    let Test::Compare(test) = compare().test else { unreachable!() };
    Criterion { test: Test::Compare(CompareTest { weight: Some(0.25), ..test }), ..compare() }
}

/// So much at each point of the first rung, and at each of so many on the second.
fn both(first: [f64; 4], second: [f64; 4], points: usize) -> Vec<[f64; 4]> {
    [vec![first; BEGINS], vec![second; points]].concat()
}

#[test]
fn the_run_of_good_points_begins_after_the_warm_up_of_this_rung() {
    assert_eq!(judged(&".".repeat(JUDGED + 6)), PENDING);
    assert_eq!(judged(&".".repeat(JUDGED + 7)), PASS);
}

#[test]
fn what_goes_bad_between_two_gates_is_said_by_the_later_one() {
    let judgement = judgement(&format!("{}xxxxx{}", ".".repeat(12), ".".repeat(4)));
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Fail, Reason::Limit));
    assert_eq!(judgement.decided_at, second_rung());
    let over_the_change = format!("{}xxxxx", ".".repeat(BEGINS - 3));
    assert_eq!(judged(&over_the_change), (Verdict::Fail, Reason::Limit));
}

#[test]
fn a_bad_point_of_an_earlier_rung_is_not_why_this_one_did_not_hold() {
    let marks = format!("....x{}{}", ".".repeat(BEGINS - 5), "_".repeat(61));
    assert_eq!(judged(&marks), (Verdict::Inconclusive, Reason::NoData));
    let here = format!("{}{}", ".".repeat(JUDGED), "xx_".repeat(20));
    assert_eq!(judged(&here).0, Verdict::Fail);
}

#[test]
fn the_deadline_counts_from_this_rung() {
    let marks = "_".repeat(BEGINS + 61);
    assert_eq!(judged(&marks[..61]), PENDING);
    assert_eq!(judged(&marks), (Verdict::Inconclusive, Reason::NoData));
}

#[test]
fn a_rung_does_not_pass_on_the_requests_of_those_below() {
    let few = both([0.0, 30.0, 0.0, 270.0], [0.0, 0.5, 0.0, 1.5], 61);
    assert_eq!(compared(&few[..JUDGED + 20]).verdict, Verdict::Pending);
    let judgement = compared(&few);
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Inconclusive, Reason::NoData));
    assert_eq!(
        judgement.message,
        "errors: 0 of 477 requests to the canary failed (0 %), 0 of 4131 to the baseline (0 %); \
         0 of 27 and 0 of 81 on this rung; 23 more requests to the canary are needed"
    );
    assert_eq!(compared(&both([0.0; 4], [0.0, 30.0, 0.0, 90.0], 10)).verdict, Verdict::Pending);
    assert_eq!(compared(&both([0.0; 4], [0.0, 30.0, 0.0, 90.0], 11)).verdict, Verdict::Pass);
}

#[test]
fn a_canary_that_fails_from_the_second_rung_on_is_refused_however_good_it_was() {
    let judgement = compared(&both([0.0, 300.0, 0.0, 2700.0], [30.0, 30.0, 0.0, 90.0], 12));
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Fail, Reason::Evidence));
    let told = "requests to the canary on this rung failed, more than 50.0 % whatever the baseline";
    assert!(judgement.message.contains(told), "{}", judgement.message);
}

#[test]
fn evidence_of_the_rungs_below_goes_on() {
    let failing = |points: &[usize]| {
        let mut steps = both([0.0, 10.0, 0.0, 90.0], [0.0, 25.0, 0.0, 75.0], 20);
        for point in points {
            steps[*point][0] = steps[*point][1];
        }
        compared(&steps)
    };
    let (below, here) = ([8, 14], [JUDGED + 2, JUDGED + 8]);
    for points in [&below, &here] {
        assert_ne!(failing(points).verdict, Verdict::Fail, "two bad moments are not enough");
    }
    let judgement = failing(&[below, here].concat());
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Fail, Reason::Evidence));
}

#[test]
fn a_good_first_rung_hides_no_doubt_about_the_second() {
    // Too many errors to be sure, in two moments that may be one burst; the stake is split over sixty gates.
    let mut steps = both([0.0, 10.0, 0.0, 90.0], [0.0, 25.0, 0.0, 75.0], 12);
    let clean = steps.clone();
    for point in [JUDGED + 2, JUDGED + 4] {
        steps[point][0] = 10.0;
    }
    let climbed = format!("10@{T0}").parse().unwrap();
    let percents: Vec<String> = (1..=60).map(|percent| percent.to_string()).collect();
    let ladder = percents.join(",").parse().unwrap();
    let spec = Spec { rungs: Rungs::new(climbed, Some(&ladder), None), ..spec(counted()) };
    let judged = |steps: &[[f64; 4]]| {
        verdict(&spec, second_rung(), &grown(steps), at(steps.len() - 1)).verdict
    };
    assert_eq!((judged(&clean), judged(&steps)), (Verdict::Pass, Verdict::Pending));
}

fn steps(points: usize) -> impl Strategy<Value = Vec<[f64; 4]>> {
    let step = (0..4_u32, 0..20_u32, 0..4_u32, 0..90_u32).prop_map(
        |(bad, good, baseline_bad, baseline_good)| {
            [bad, bad + good, baseline_bad, baseline_bad + baseline_good].map(f64::from)
        },
    );
    proptest::collection::vec(step, points)
}

fn marks() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![6 => Just('.'), 1 => Just('x'), 1 => Just('_'), 1 => Just('n')],
        1..BEGINS + 62,
    )
    .prop_map(|marks| marks.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn looks_at_every_point_and_a_restart_give_one_verdict(steps in steps(BEGINS + 40), last in 0..40_usize) {
        let last = BEGINS + last;
        let first = (0..=last).map(|point| compared_at(&steps, point).verdict).find(|verdict| *verdict != Verdict::Pending);
        prop_assert_eq!(first.unwrap_or(Verdict::Pending), compared_at(&steps, last).verdict);
    }

    #[test]
    fn what_grew_over_the_change_of_the_weight_has_no_influence(steps in steps(BEGINS + 30), change in steps(JUDGED + 1 - BEGINS)) {
        let mut other = steps.clone();
        other[BEGINS..=JUDGED].copy_from_slice(&change);
        prop_assert_eq!(compared(&steps), compared(&other));
    }

    #[test]
    fn what_passes_would_pass_without_the_rungs_below(below in steps(BEGINS), here in steps(36)) {
        // Of errors below it would know how they come, and by ends how late they come, which a gate of
        // this rung alone does not.
        let quiet = below.iter().map(|[bad, all, _, baseline]| [0.0, all - bad, 0.0, *baseline]);
        let both: Vec<[f64; 4]> = quiet.chain(here.iter().copied()).collect();
        let alone = verdict(&spec(compare()), T0, &grown(&here), at(here.len() - 1));
        let climbed = on_second_rung(compare());
        let last = at(both.len() - 1);
        if verdict(&climbed, second_rung(), &grown(&both), last).verdict == Verdict::Pass {
            // A gate of this rung alone has the whole chance of a false alarm, and may have failed by then.
            prop_assert!(matches!(alone.verdict, Verdict::Pass | Verdict::Fail), "{:?}", alone);
        }
    }

    #[test]
    fn turning_a_point_bad_or_taking_a_good_one_away_never_makes_a_pass(marks in marks(), at in 0..82_usize, bad: bool) {
        let at = at % marks.len();
        let mut worse = marks.clone();
        worse.replace_range(at..=at, if bad { "x" } else { "_" });
        if !bad && &marks[at..=at] == "x" {
            return Ok(()); // to take a bad point away may help
        }
        if judged(&worse) == PASS {
            prop_assert_eq!(judged(&marks), PASS);
        }
    }

    #[test]
    fn no_rung_passes_before_its_own_hold(marks in marks()) {
        let judgement = judgement(&marks);
        let earliest = second_rung() + TIMING.skew + TIMING.warmup + TIMING.hold;
        prop_assert!(judgement.verdict != Verdict::Pass || judgement.decided_at >= earliest + TIMING.settle);
    }
}
