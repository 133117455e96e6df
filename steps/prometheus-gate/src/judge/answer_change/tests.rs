use proptest::prelude::*;

use super::*;

fn counts(canary: [f64; 2], baseline: [f64; 2]) -> Counts {
    let side = |[errors, total]: [f64; 2]| Side { errors, total };
    Counts { canary: side(canary), baseline: side(baseline) }
}

/// An hour of the baseline with this share.
fn hour(share: f64) -> Vec<Side> {
    vec![Side { errors: 300.0 * share, total: 300.0 }; 240]
}

/// The look after which it is refused, with alpha 5 %.
fn found(test: &mut Change, look: Counts) -> Option<usize> {
    (1..=720).find(|_| {
        test.look(look);
        test.log_e() >= 20_f64.ln()
    })
}

fn binomial(n: u32, share: f64) -> Vec<f64> {
    let mut chances = vec![(1.0 - share).powi(i32::try_from(n).unwrap())];
    for k in 1..=n {
        let before = chances[k as usize - 1];
        chances.push(before * f64::from(n - k + 1) / f64::from(k) * share / (1.0 - share));
    }
    chances
}

proptest! {
    #[test]
    fn a_look_wins_nothing_on_average_while_shares_are_tolerated(
        (n, m) in (1..9_u32, 1..25_u32),
        (a, b) in (0.01..0.99_f64, 0.001..0.9_f64),
        (baseline, part) in (0.001..0.7_f64, 0.0..1.0_f64),
    ) {
        let tolerated = 2_f64.sqrt();
        let canary = (tolerated * baseline * part).min(0.999);
        let (x, y) = (binomial(n, canary), binomial(m, baseline));
        let mut mean = 0.0;
        for (errors, chance) in (0_u32..).zip(&x) {
            for (others, also) in (0_u32..).zip(&y) {
                let look = counts([errors.into(), n.into()], [others.into(), m.into()]);
                mean += chance * also * won([a, b], tolerated, look).exp();
            }
        }
        prop_assert!(mean <= 1.0 + 1e-9, "{mean}");
    }

    #[test]
    fn a_look_in_two_parts_of_the_same_weight_wins_the_same(x in 0..20_u32, y in 0..60_u32) {
        let (x, y) = (f64::from(x), f64::from(y));
        let whole = counts([x, 20.0], [y, 60.0]);
        let half = counts([x / 2.0, 10.0], [y / 2.0, 30.0]);
        let of = |look| won([0.5, 0.2], 2_f64.sqrt(), look);
        prop_assert!((of(whole) - 2.0 * of(half)).abs() < 1e-9);
    }
}

#[test]
fn an_answer_that_is_twice_as_frequent_or_half_is_found_and_an_unchanged_one_is_not() {
    for (canary, most) in [(0.6, Some(20)), (0.15, Some(60)), (0.3, None)] {
        let mut test = Change::new(2_f64.sqrt(), 0.02, &hour(0.3));
        let look = found(&mut test, counts([10.0 * canary, 10.0], [27.0, 90.0]));
        assert_eq!(look.is_some(), most.is_some(), "{canary}: {look:?}");
        assert!(look <= most, "{canary}: {look:?}");
        assert!(look.is_none() || test.is_more() == (canary > 0.3), "{canary}");
    }
}

#[test]
fn an_answer_that_is_new_or_gone_is_found_whatever_the_weight_and_without_a_past() {
    for (n, m) in [(10.0, 90.0), (50.0, 50.0), (90.0, 10.0)] {
        for (canary, baseline) in [(0.3, 0.0), (0.0, 0.3)] {
            for past in [vec![], hour(baseline)] {
                let mut test = Change::new(2_f64.sqrt(), 0.02, &past);
                let look = counts([n * canary, n], [m * baseline, m]);
                let found = found(&mut test, look);
                let is_seen = found.is_some_and(|looks| looks <= 60);
                assert!(is_seen, "{n} of {}, {canary} and {baseline}: {found:?}", n + m);
            }
        }
    }
}

#[test]
fn what_is_rare_on_both_sides_is_not_bet_on() {
    let mut test = Change::new(2_f64.sqrt(), 0.02, &hour(0.001));
    for _ in 0..720 {
        test.look(counts([1.0, 100.0], [1.0, 900.0]));
    }
    assert!(test.log_e().abs() < 1e-12, "{}", test.log_e());
}

#[test]
fn a_moment_is_no_change() {
    let mut test = Change::new(2_f64.sqrt(), 0.02, &hour(0.1));
    test.look(counts([1000.0, 1000.0], [0.0, 1000.0]));
    test.look(counts([1000.0, 1000.0], [0.0, 1000.0]));
    assert!(test.log_e() < 20_f64.ln() && test.log_likelihood() >= 3.0, "{}", test.log_e());
}

#[test]
fn a_rung_begins_without_evidence_and_knows_how_answers_come() {
    let mut test = Change::new(2_f64.sqrt(), 0.02, &hour(0.1));
    assert!(found(&mut test, counts([3.0, 10.0], [9.0, 90.0])).is_some());
    let anew = test.anew();
    assert!(anew.log_e().abs() < 1e-12 && !anew.counts_clusters());
}
