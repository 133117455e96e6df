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
    /// The alternative that this part of the bet is on: a ratio, or a share of errors.
    on: f64,
    log: f64,
}

impl Ratio {
    /// `tolerated` is a ratio of shares, above 0; `caution` is 1 or more.
    pub(crate) fn new(tolerated: f64, past: &[Side]) -> Self {
        let bets = spread(1.1 * tolerated, 30.0 * tolerated);
        let caution = caution(dispersion(past));
        Self { tolerated, caution, bets, open: Counts::default() }
    }

    pub(crate) fn dispersion(&self) -> Option<f64> {
        None
    }
    pub(crate) fn caution(&self) -> f64 {
        self.caution
    }
    pub(crate) fn counts_clusters(&self) -> bool {
        false
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

/// Is a share of errors above a limit, or proven to be below it?
#[derive(Clone, Debug)]
pub(crate) struct Share {
    limit: f64,
    caution: f64,
    bets: Vec<Bet>,
}

impl Share {
    /// Collects evidence that the true share is above `limit`, between 0 and 0.8.
    pub(crate) fn above(limit: f64, past: &[Side]) -> Self {
        let caution = dispersion(past).map_or(1.0, |phi| caution(Some(phi)));
        let bets = spread::<ALTERNATIVES>(1.1 * limit, 0.9_f64.max(1.1 * limit)).to_vec();
        Self { limit, caution, bets }
    }

    /// Collects evidence that the true share is below `limit`, above 0: that there were requests
    /// enough to trust.
    pub(crate) fn below(limit: f64, past: &[Side]) -> Self {
        let caution = dispersion(past).map_or(1.0, |phi| caution(Some(phi)));
        let bets = spread::<16>(0.0009 * limit, 0.9 * limit).to_vec();
        Self { limit, caution, bets }
    }

    /// Takes in what happened since the last look.
    pub(crate) fn look(&mut self, more: Side) {
        for bet in &mut self.bets {
            let won = more.errors * (bet.on / self.limit).ln()
                + (more.total - more.errors) * ((1.0 - bet.on) / (1.0 - self.limit)).ln();
            bet.log += won / self.caution;
        }
    }

    /// Natural logarithm of the evidence; 0 is none, 3.0 is 20 to 1.
    pub(crate) fn log_e(&self) -> f64 {
        mean_log(&self.bets)
    }

    /// How many more requests, all without an error, would bring the evidence to `log_e`.
    pub(crate) fn clean_requests_until(&self, log_e: f64) -> f64 {
        let after = |requests: f64| {
            let mut later = self.clone();
            later.look(Side { errors: 0.0, total: requests });
            later.log_e() >= log_e
        };
        let (mut low, mut high) = (0.0, 1.0);
        while !after(high) && high < 1e9 {
            low = high;
            high *= 2.0;
        }
        while high - low > 1.0 {
            let middle = f64::midpoint(low, high).floor();
            if after(middle) { high = middle } else { low = middle }
        }
        high
    }
}

/// How much more the errors of neighbouring steps differ than chance alone would have them: 1 where
/// each error comes by itself, about the size of a burst where they come in bursts. Nothing where
/// the past shows too little to tell.
pub(crate) fn dispersion(steps: &[Side]) -> Option<f64> {
    /// Below these the estimate is noise.
    const LEAST: (usize, f64) = (20, 10.0);
    let (mut pairs, mut errors, mut spread) = (0, 0.0, 0.0);
    for pair in steps.chunks_exact(2) {
        let (a, b) = (pair[0], pair[1]);
        if a.total <= 0.0 || b.total <= 0.0 {
            continue;
        }
        // A rate that drifts is the same within a pair, so that it does not look like bursts.
        let rate = (a.errors + b.errors) / (a.total + b.total);
        spread += (a.errors - b.errors - rate * (a.total - b.total)).powi(2);
        errors += a.errors + b.errors;
        pairs += 1;
    }
    (pairs >= LEAST.0 && errors >= LEAST.1).then(|| spread / errors)
}

/// What to divide the evidence by, for errors that come in bursts. A heuristic that held its level in
/// all simulations: the factor covers the error of an estimate from 120 pairs.
pub(crate) fn caution(dispersion: Option<f64>) -> f64 {
    match dispersion {
        Some(phi) if phi < 1.3 => 1.0,
        Some(phi) => 1.32 * phi,
        // Without a past, bursts of three are assumed.
        None => 3.0,
    }
}

/// The evidence of several tests at once: their weighted mean, valid whatever ties them together.
/// Weights add up to 1.
pub(crate) fn joined(parts: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    log_sum(parts.map(|(weight, log)| weight.ln() + log))
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

#[cfg(any())]
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

    #[test]
    fn clean_requests_prove_a_limit_after_the_published_number() {
        // 328 clean requests for 1 %, 163 for 2 %, 65 for 5 %: computed apart from this code.
        for (limit, needed) in [(0.01, 328), (0.02, 163), (0.05, 65)] {
            let mut test = Share::below(limit, 1.0);
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
        let mut test = Share::above(0.02, 1.0);
        test.look(Side { errors: 12.0, total: 100.0 });
        assert!(test.log_e() > 20_f64.ln(), "{}", test.log_e());
    }

    #[test]
    fn the_missing_clean_requests_are_those_that_would_be_enough() {
        let mut test = Share::below(0.02, 1.0);
        assert!((test.clean_requests_until(20_f64.ln()) - 163.0).abs() < 1e-9);
        test.look(Side { errors: 0.0, total: 100.0 });
        assert!((test.clean_requests_until(20_f64.ln()) - 63.0).abs() < 1e-9);
    }

    #[test]
    fn errors_in_bursts_are_told_from_single_ones() {
        let side = |errors| Side { errors, total: 100.0 };
        let single: Vec<Side> = (0..240).map(|at| side(f64::from((at * 7 + at / 3) % 3))).collect();
        let bursts: Vec<Side> =
            (0..240).map(|at| side(if at % 9 == 0 { 9.0 } else { 0.0 })).collect();
        assert!(dispersion(&single).unwrap() < 1.3);
        assert!((8.0..11.0).contains(&dispersion(&bursts).unwrap()));
        assert_eq!(dispersion(&[side(0.0); 240]), None, "no errors show no bursts");
        assert_eq!(dispersion(&[]), None);
    }

    #[test]
    fn a_drifting_rate_is_not_taken_for_bursts() {
        let drifting: Vec<Side> =
            (0..240).map(|at| Side { errors: f64::from(at), total: 1000.0 }).collect();
        assert!(dispersion(&drifting).unwrap() < 1.3);
    }

    #[test]
    fn caution_grows_with_bursts_and_without_a_past() {
        assert!((caution(Some(1.2)) - 1.0).abs() < 1e-12);
        assert!((caution(Some(5.0)) - 6.6).abs() < 1e-12);
        assert!((caution(None) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn joined_evidence_is_the_weighted_mean() {
        let logs = [(0.5, 3.0_f64), (0.5, 0.0)];
        assert!((joined(logs.into_iter()) - (0.5 * 3.0_f64.exp() + 0.5).ln()).abs() < 1e-12);
    }
}
