use super::*;
use crate::judge::counts::{Counts, Side};

fn counts(canary: (f64, f64), baseline: (f64, f64)) -> Counts {
    Counts {
        canary: Side { errors: canary.0, total: canary.1 },
        baseline: Side { errors: baseline.0, total: baseline.1 },
    }
}

/// An hour whose errors come by themselves.
fn quiet() -> Vec<Side> {
    (0..240).map(|at| Side { errors: f64::from(at * 7 % 3), total: 1000.0 }).collect()
}

#[test]
fn a_canary_that_only_fails_is_found_within_a_minute_with_and_without_a_past() {
    for (past, looks) in [(quiet(), 3), (vec![], 7)] {
        let mut test = Ratio::new(1.25, &past);
        let found = (1..=720).find(|_| {
            test.look(counts((5.0, 5.0), (0.0, 45.0)));
            test.log_e() >= 20_f64.ln()
        });
        assert_eq!(found, Some(looks));
    }
}

#[test]
fn one_burst_refuses_no_canary() {
    for past in [vec![], quiet()] {
        let mut test = Ratio::new(1.0, &past);
        test.look(counts((500.0, 500.0), (0.0, 4500.0)));
        test.look(counts((500.0, 500.0), (0.0, 4500.0)));
        assert!(test.log_e() < 20_f64.ln(), "{}", test.log_e());
    }
}

#[test]
fn equal_shares_are_no_evidence() {
    for past in [vec![], quiet()] {
        let mut test = Ratio::new(1.0, &past);
        test.look(counts((100.0, 1000.0), (900.0, 9000.0)));
        assert!(test.log_e() <= 0.0, "{}", test.log_e());
    }
}

#[test]
fn a_look_split_at_the_same_weights_gives_the_same_evidence() {
    let (mut whole, mut split) = (Ratio::new(1.25, &quiet()), Ratio::new(1.25, &quiet()));
    whole.look(counts((2.0, 40.0), (1.0, 40.0)));
    split.look(counts((1.0, 10.0), (1.0, 10.0)));
    split.look(counts((1.0, 30.0), (0.0, 30.0)));
    assert!((whole.log_e() - split.log_e()).abs() < 1e-12);
}

#[test]
fn sides_that_are_scraped_in_turn_are_looked_at_together() {
    let (mut whole, mut turns) = (Ratio::new(1.25, &quiet()), Ratio::new(1.25, &quiet()));
    whole.look(counts((2.0, 40.0), (1.0, 40.0)));
    turns.look(counts((2.0, 40.0), (0.0, 0.0)));
    assert!(turns.log_e().abs() < 1e-12, "one side alone says nothing");
    turns.look(counts((0.0, 0.0), (1.0, 40.0)));
    assert!((whole.log_e() - turns.log_e()).abs() < 1e-12);
}

#[test]
fn while_bursts_are_not_known_a_cluster_of_any_size_and_length_counts_once() {
    let (mut one, mut many) = (Ratio::new(1.0, &[]), Ratio::new(1.0, &[]));
    assert!(one.counts_clusters() && one.dispersion().is_none());
    one.look(counts((1.0, 100.0), (0.0, 900.0)));
    for errors in [30.0, 100.0, 20.0] {
        many.look(counts((errors, 100.0), (0.0, 900.0)));
    }
    assert!(one.log_e() > 0.0);
    assert!((one.log_e() - many.log_e()).abs() < 1e-12);
    many.look(counts((1.0, 100.0), (0.0, 900.0)));
    assert!(many.log_e() > one.log_e(), "the next one counts");
}

#[test]
fn clusters_on_both_sides_count_for_the_baseline_where_the_canary_has_most_requests() {
    let both = |canary: f64, baseline: f64| {
        let mut test = Ratio::new(1.0, &[]);
        test.look(counts((9.0, canary), (9.0, baseline)));
        test.log_e()
    };
    assert!(both(100.0, 900.0).abs() < 1e-12);
    assert!(both(900.0, 100.0) < -0.5);
}

#[test]
fn what_a_look_shows_of_bursts_counts_from_the_next_one() {
    let (mut test, mut alone) = (Ratio::new(1.0, &quiet()), Ratio::new(1.0, &quiet()));
    (0..5).for_each(|_| test.look(counts((0.0, 100.0), (0.0, 900.0))));
    let burst = counts((0.0, 100.0), (90.0, 900.0));
    test.look(burst);
    alone.look(burst);
    assert!((test.log_e() - alone.log_e()).abs() < 1e-12);
    assert!(test.overdispersion() > 5.0, "{}", test.overdispersion());
}

#[test]
fn clean_requests_prove_a_limit_after_the_published_number() {
    // 328 clean requests for 1 %, 163 for 2 %, 65 for 5 %: computed apart from this code.
    for (limit, needed) in [(0.01, 328), (0.02, 163), (0.05, 65)] {
        let mut test = Share::below(limit, &[]);
        let looks = (1..=1000)
            .find(|_| {
                test.look(Side { errors: 0.0, total: 1.0 });
                test.log_e() >= 20_f64.ln()
            })
            .unwrap();
        assert_eq!(looks, needed, "limit {limit}");
    }
}

#[test]
fn a_share_above_the_limit_is_found() {
    let mut test = Share::above(0.02, &[]);
    test.look(Side { errors: 12.0, total: 100.0 });
    assert!(test.log_e() > 20_f64.ln(), "{}", test.log_e());
}

#[test]
fn the_missing_clean_requests_are_those_that_would_be_enough() {
    let mut test = Share::below(0.02, &[]);
    assert!((test.clean_requests_until(20_f64.ln()) - 163.0).abs() < 1e-9);
    test.look(Side { errors: 0.0, total: 100.0 });
    assert!((test.clean_requests_until(20_f64.ln()) - 63.0).abs() < 1e-9);
}

#[test]
fn a_past_with_bursts_makes_an_objective_cautious() {
    let bursts: Vec<Side> = (0..240)
        .map(|at| Side { errors: if at % 6 == 0 { 20.0 } else { 0.0 }, total: 1000.0 })
        .collect();
    let (single, cautious) = (Share::below(0.02, &quiet()), Share::below(0.02, &bursts));
    let needed = |test: Share| test.clean_requests_until(20_f64.ln());
    assert!(needed(cautious) > 20.0 * needed(single));
}

#[test]
fn joined_evidence_is_the_weighted_mean() {
    let logs = [(0.5, 3.0_f64), (0.5, 0.0)];
    assert!((joined(logs.into_iter()) - (0.5 * 3.0_f64.exp() + 0.5).ln()).abs() < 1e-12);
}
