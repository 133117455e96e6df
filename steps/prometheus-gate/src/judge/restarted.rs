//! One alpha for a whole release: on each rung of a ladder a test begins anew, and those begun before go on.
//!
//! A single process over all rungs would lose while the canary is good. What it lost on a first rung
//! with many requests, it would have to win back before it finds a canary that turns bad on the second.
//!
//! So the stake is split over the K gates of the ladder: `E = 1/K Σ E_k`. `E_k` is 1 until rung k begins,
//! and from then on what the test has won since. When a rung begins depends on the past alone, so each
//! `E_k` is a non-negative supermartingale that starts at 1 while the canary is no worse, and so is the
//! mean of all, whatever ties them together: K is fixed before anything is seen. By Ville's inequality
//! the chance that any gate of the release ever sees 1/alpha is at most alpha. A canary that turns bad
//! on rung k is found with ln K more in the logarithm than a test of that rung alone needs, at most.
//!
//! Starting processes at several times and adding them up is what e-detectors do (Shin, Ramdas,
//! Rinaldo, arXiv 2203.03532). They begin one at every moment, and bound how often an alarm is false;
//! here the times are few and each has its part of one stake, which bounds the chance of any.
//!
//! With K = 1 it is the one test, to the bit.

use crate::judge::e_process::{Process, log_sum};

/// A test that begins anew on each rung.
#[derive(Clone, Debug)]
pub struct Restarted<P> {
    /// Those that began on earlier rungs, and have gone on since.
    earlier: Vec<P>,
    /// The one that began on this rung.
    newest: P,
    /// How many share the stake: the gates of the ladder.
    gates: usize,
}

impl<P: Process> Restarted<P> {
    /// A test before its first look, on a rung that is counted from 1. Where there was nothing to look
    /// at on the rungs below, theirs begin here as well.
    pub fn new(test: P, rung: usize, gates: usize) -> Self {
        let earlier = vec![test.clone(); rung.saturating_sub(1)];
        Self { earlier, newest: test, gates: gates.max(rung) }
    }

    /// The next rung: the stake of its gate begins to count.
    pub fn begin(&mut self) {
        self.each(P::part);
        let next = self.newest.anew();
        self.earlier.push(std::mem::replace(&mut self.newest, next));
        self.gates = self.gates.max(self.begun());
    }

    /// Shows a look to all that have begun.
    pub fn each(&mut self, mut look: impl FnMut(&mut P)) {
        self.earlier.iter_mut().for_each(&mut look);
        look(&mut self.newest);
    }

    /// Natural logarithm of the evidence of the whole release; 0 is none, 3.0 is 20 to 1.
    pub fn log_e(&self) -> f64 {
        self.mean(P::log_e)
    }

    /// The same of another quantity of the tests that begins at 1.
    pub(crate) fn mean(&self, log: impl Fn(&P) -> f64) -> f64 {
        let begun = self.earlier.iter().chain([&self.newest]).map(log);
        mean_over_gates(begun.collect(), self.gates)
    }

    /// The test of this rung alone.
    pub const fn newest(&self) -> &P {
        &self.newest
    }

    /// Whether this rung shows more than all that go back to earlier ones.
    pub(crate) fn shows_on_this_rung(&self) -> bool {
        let newest = self.newest.log_e();
        !self.earlier.is_empty() && self.earlier.iter().all(|test| test.log_e() <= newest)
    }

    fn begun(&self) -> usize {
        self.earlier.len() + 1
    }
}

/// The mean over all gates of what begins at 1, of which so many have begun.
pub(super) fn mean_over_gates(mut logs: Vec<f64>, gates: usize) -> f64 {
    let to_begin = gates.saturating_sub(logs.len());
    if to_begin > 0 {
        logs.push(ln(to_begin));
    }
    log_sum(logs.into_iter()) - ln(gates)
}

#[expect(clippy::cast_precision_loss, reason = "a few gates")]
pub(super) fn ln(count: usize) -> f64 {
    (count as f64).ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::judge::counts::{Counts, Side};
    use crate::judge::e_process::Ratio;

    fn counts([bad, good, baseline_bad, baseline_good]: [u32; 4]) -> Counts {
        let side = |bad: u32, good: u32| Side { errors: bad.into(), total: (bad + good).into() };
        Counts { canary: side(bad, good), baseline: side(baseline_bad, baseline_good) }
    }

    fn looks() -> impl Strategy<Value = Vec<[u32; 4]>> {
        proptest::collection::vec([0..5_u32, 0..40_u32, 0..5_u32, 0..200_u32], 1..200)
    }

    proptest! {
        #[test]
        fn with_one_gate_it_is_the_test_itself(looks in looks()) {
            let mut alone = Ratio::new(1.25, &[]);
            let mut restarted = Restarted::new(alone.clone(), 1, 1);
            for look in looks {
                alone.look(counts(look));
                restarted.each(|test| test.look(counts(look)));
                prop_assert_eq!(restarted.log_e().to_bits(), alone.log_e().to_bits());
                prop_assert_eq!(restarted.mean(Ratio::log_doubt).to_bits(), alone.log_doubt().to_bits());
            }
        }

        #[test]
        fn it_has_at_least_the_part_of_each_test_and_of_what_has_not_begun(looks in looks(), every in 20..90_usize) {
            let gates = 12;
            let mut restarted = Restarted::new(Ratio::new(1.0, &[]), 1, gates);
            for (at, look) in looks.into_iter().enumerate() {
                if at > 0 && at % every == 0 {
                    let before = restarted.log_e();
                    restarted.begin();
                    prop_assert!((restarted.log_e() - before).abs() < 1e-9, "a new rung is no evidence");
                }
                restarted.each(|test| test.look(counts(look)));
                let strongest = restarted.newest().log_e().max(ln(gates - restarted.begun()));
                prop_assert!(restarted.log_e() >= strongest - ln(gates) - 1e-9);
            }
        }
    }

    #[test]
    fn what_a_good_rung_has_lost_is_not_missing_on_the_next() {
        let mut restarted = Restarted::new(Ratio::new(1.25, &[]), 1, 3);
        let mut alone = Ratio::new(1.25, &[]);
        for _ in 0..240 {
            let good = counts([1, 99, 9, 891]);
            restarted.each(|test| test.look(good));
            alone.look(good);
        }
        restarted.begin();
        alone.part();
        let found = |log_e: &mut dyn FnMut(Counts) -> f64| {
            (1..=720).find(|_| log_e(counts([5, 245, 3, 747])) >= 20_f64.ln())
        };
        let going_on = found(&mut |look| {
            alone.look(look);
            alone.log_e()
        });
        let anew = found(&mut |look| {
            restarted.each(|test| test.look(look));
            restarted.log_e()
        });
        assert!(anew.is_some() && anew.map(|looks| 2 * looks) < going_on, "{anew:?}, {going_on:?}");
        assert!(restarted.shows_on_this_rung());
    }

    #[test]
    fn a_rung_on_which_the_first_look_comes_has_the_stake_of_those_below() {
        let mut late = Restarted::new(Ratio::new(1.25, &[]), 3, 3);
        let mut alone = Ratio::new(1.25, &[]);
        for _ in 0..20 {
            let bad = counts([5, 5, 0, 90]);
            late.each(|test| test.look(bad));
            alone.look(bad);
        }
        assert!(alone.log_e() > 0.0 && (late.log_e() - alone.log_e()).abs() < 1e-9);
    }
}
