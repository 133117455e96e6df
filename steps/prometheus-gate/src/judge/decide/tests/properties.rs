//! What holds for any marks and any counters.

use proptest::prelude::*;

use super::*;

fn marks() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![4 => Just('.'), 1 => Just('x'), 1 => Just('_'), 1 => Just('n')],
        1..64,
    )
    .prop_map(|marks| marks.into_iter().collect())
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
        track.step(T0 + STEP * i32::try_from(k).unwrap(), &samples.criteria[0], &|_| None);
        k + 1 >= i64::from(count(from)) && track.holds()
    })
}
