//! Tests that may be looked at as often as one likes.
//!
//! Each keeps an e-process: a bet against "the canary is no worse" that on average wins nothing
//! while that is true, whatever the traffic and however often one looks. By Ville's inequality the
//! chance that it ever reaches 1/alpha is then at most alpha (arXiv 2205.14762, 2011.03567).

/// Requests and failed ones of one stretch of time, on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) canary: Side,
    pub(crate) baseline: Side,
}

/// Requests, and how many of them failed (or were slower than a bound).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Side {
    pub(crate) errors: f64,
    pub(crate) total: f64,
}

impl Side {
    pub(crate) fn add(&mut self, more: Self) {
        self.errors += more.errors;
        self.total += more.total;
    }

    /// Failed per request, 0 to 1; none without requests.
    pub(crate) fn share(self) -> Option<f64> {
        (self.total > 0.0).then(|| self.errors / self.total)
    }
}

/// More alternatives would split the bet further, fewer would leave gaps between them.
const ALTERNATIVES: usize = 24;

/// Is the canary's share of errors more than `tolerated` times the baseline's?
///
/// Given how many errors a look saw in all, how many of them fell to the canary is binomial with a
/// known chance, however large the common rate of errors is and however it drifts.
#[derive(Clone, Debug)]
pub(crate) struct Ratio {
    tolerated: f64,
    /// What the increments are divided by: errors that come in bursts count for less.
    caution: f64,
    bets: [Bet; ALTERNATIVES],
    /// What has been counted since the last look that had requests on both sides.
    open: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bet {
    /// The ratio that this part of the bet is on.
    on: f64,
    log: f64,
}

impl Ratio {
    /// `tolerated` is a ratio of shares, above 0; `caution` is 1 or more.
    pub(crate) fn new(tolerated: f64, caution: f64) -> Self {
        let bets = spread(1.1 * tolerated, 30.0 * tolerated);
        Self { tolerated, caution, bets, open: Counts::default() }
    }

    /// Takes in what happened since the last look.
    ///
    /// Where the two sides are scraped at different times, a look can see requests on one side
    /// only; it then waits for the other. That depends on requests alone, never on errors, so the
    /// bet stays fair.
    pub(crate) fn look(&mut self, more: Counts) {
        self.open.canary.add(more.canary);
        self.open.baseline.add(more.baseline);
        let Counts { canary, baseline } = self.open;
        if canary.total <= 0.0 || baseline.total <= 0.0 {
            return;
        }
        self.open = Counts::default();
        let to_canary = |ratio: f64| ratio * canary.total / (ratio * canary.total + baseline.total);
        let fair = to_canary(self.tolerated);
        for bet in &mut self.bets {
            let chance = to_canary(bet.on);
            let won = canary.errors * (chance / fair).ln()
                + baseline.errors * ((1.0 - chance) / (1.0 - fair)).ln();
            bet.log += won / self.caution;
        }
    }

    /// Natural logarithm of the evidence; 0 is none, 3.0 is 20 to 1.
    pub(crate) fn log_e(&self) -> f64 {
        mean_log(&self.bets)
    }
}

/// From `low` to `high`, equally far apart as ratios.
fn spread<const N: usize>(low: f64, high: f64) -> [Bet; N] {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let part = |at: usize| at as f64 / (N - 1) as f64;
    std::array::from_fn(|at| Bet { on: low * (high / low).powf(part(at)), log: 0.0 })
}

fn mean_log(bets: &[Bet]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let count = bets.len() as f64;
    log_sum(bets.iter().map(|bet| bet.log)) - count.ln()
}

/// ln Σ exp(x), without leaving the range of numbers on the way.
fn log_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if top.is_finite() { top + logs.map(|log| (log - top).exp()).sum::<f64>().ln() } else { top }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(canary: (f64, f64), baseline: (f64, f64)) -> Counts {
        Counts {
            canary: Side { errors: canary.0, total: canary.1 },
            baseline: Side { errors: baseline.0, total: baseline.1 },
        }
    }

    #[test]
    fn a_canary_that_only_fails_is_found_within_a_few_requests() {
        let mut test = Ratio::new(1.25, 1.0);
        test.look(counts((5.0, 5.0), (0.0, 45.0)));
        assert!(test.log_e() > 20_f64.ln(), "{}", test.log_e());
    }

    #[test]
    fn equal_shares_are_no_evidence() {
        let mut test = Ratio::new(1.0, 1.0);
        test.look(counts((100.0, 1000.0), (900.0, 9000.0)));
        assert!(test.log_e() < 0.0, "{}", test.log_e());
    }

    #[test]
    fn a_look_split_at_the_same_weights_gives_the_same_evidence() {
        let (mut whole, mut split) = (Ratio::new(1.25, 1.0), Ratio::new(1.25, 1.0));
        whole.look(counts((7.0, 40.0), (3.0, 360.0)));
        split.look(counts((5.0, 10.0), (1.0, 90.0)));
        split.look(counts((2.0, 30.0), (2.0, 270.0)));
        assert!((whole.log_e() - split.log_e()).abs() < 1e-12);
    }

    #[test]
    fn sides_that_are_scraped_in_turn_are_looked_at_together() {
        let (mut whole, mut turns) = (Ratio::new(1.25, 1.0), Ratio::new(1.25, 1.0));
        whole.look(counts((7.0, 40.0), (3.0, 360.0)));
        turns.look(counts((7.0, 40.0), (0.0, 0.0)));
        assert!(turns.log_e().abs() < 1e-12, "one side alone says nothing");
        turns.look(counts((0.0, 0.0), (3.0, 360.0)));
        assert!((whole.log_e() - turns.log_e()).abs() < 1e-12);
    }
}
