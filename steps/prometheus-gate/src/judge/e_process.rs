//! Sequential tests (e-processes, or test martingales), which may be looked at as often as one likes.
//!
//! Each keeps an e-process: a bet against "the canary is no worse" that on average wins nothing
//! while that is true, whatever the traffic and however often one looks. By Ville's inequality the
//! chance that it ever reaches 1/alpha is then at most alpha (arXiv 2205.14762, 2011.03567). How the
//! gates of a ladder share that chance is in [`crate::judge::restarted`].

use crate::judge::counts::{Counts, Side};
use crate::judge::dispersion::Dispersion;

/// More alternatives would split the bet further, fewer would leave gaps between them.
pub(super) const ALTERNATIVES: usize = 24;
/// Looks after a cluster in which none counts: one that goes on into them is not counted again.
pub(super) const REST: u32 = 2;
/// What one look adds to the logarithm of a bet on errors, at most: 20 to 1 takes three such looks,
/// so that no burst of a moment refuses a canary, however large. Without it bursts on the canary
/// alone, which no past of the baseline shows, are false alarms in 4 of 10 hours.
pub(super) const MOST_OF_A_LOOK: f64 = 1.4;

/// A test that may begin once more while others of its kind go on.
pub trait Process: Clone {
    /// Natural logarithm of the evidence; 0 is none, 3.0 is 20 to 1.
    fn log_e(&self) -> f64;

    /// The same test before its first look; what it knows of how errors come, it keeps.
    #[must_use]
    fn anew(&self) -> Self;

    /// What comes next does not follow on what came last: nothing of the two is put together.
    fn part(&mut self) {}
}

/// Is the canary's share of errors more than `tolerated` times the baseline's?
///
/// How a look is counted is decided before it is seen, from the looks and the past before it, so
/// that the product of what the looks win stays an e-process.
///
/// *Errors*, where their dispersion is known. Given how many errors a look saw in all, how many of
/// them fell to the canary is binomial with a known chance, however large the common rate of errors
/// is and however it drifts. For errors that come by themselves the process is exact, whatever it is
/// divided by (Jensen) and wherever it is cut off. For bursts, dividing by an upper bound of their
/// dispersion is a heuristic that held its level in all simulations.
///
/// *Clusters*, until then: has a side had any error in this look? Let clusters begin independently,
/// at a common rate per request that may drift (`tolerated` times as often to the canary), and last
/// at most 10 s into the looks that follow. With a and b expected on the two sides, the chance that
/// the canary is the one side with a cluster is (eᵃ-1)/(eᵃ+eᵇ-2), which is at most a/(a+b) while
/// a ≤ b. Else a look with clusters on both sides counts for the baseline, and the chance is
/// (eᵃ-1)/(eᵃ⁺ᵇ-1), at most a/(a+b) always. So the process is exact for clusters of any size and any
/// number of errors, and so for single errors.
#[derive(Clone, Debug)]
pub struct Ratio {
    tolerated: f64,
    dispersion: Dispersion,
    /// What the next look's evidence is divided by; none where clusters are counted.
    overdispersion: Option<f64>,
    /// Looks to come in which no cluster counts.
    rest: u32,
    bets: [Bet; ALTERNATIVES],
    /// The same bets on errors, also while clusters are counted.
    doubts: [Bet; ALTERNATIVES],
    /// What has been counted since the last look that had requests on both sides, and its looks.
    open: Counts,
    looks: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bet {
    /// The alternative that this part of the bet is on: a ratio, or a share of errors.
    pub(super) on: f64,
    pub(super) log: f64,
}

impl Bet {
    pub(super) const fn anew(self) -> Self {
        Self { log: 0.0, ..self }
    }
}

impl Ratio {
    /// `tolerated` is a ratio of shares, above 0; `past` the baseline's steps of 15 s before the
    /// canary, which may be none.
    pub fn new(tolerated: f64, past: &[Side]) -> Self {
        let bets = bets_on(1.1 * tolerated, 30.0 * tolerated);
        let dispersion = Dispersion::of(past);
        let overdispersion = dispersion.overdispersion();
        let open = Counts::default();
        Self { tolerated, dispersion, overdispersion, rest: 0, bets, doubts: bets, open, looks: 0 }
    }

    /// Takes in what happened since the last look.
    ///
    /// Where the two sides are scraped at different times, a look can see requests on one side
    /// only; it then waits for the other. That depends on requests alone, never on errors, so the
    /// bet stays fair.
    pub fn look(&mut self, more: Counts) {
        self.open.canary.add(more.canary);
        self.open.baseline.add(more.baseline);
        self.looks += 1;
        if self.open.canary.total <= 0.0 || self.open.baseline.total <= 0.0 {
            return;
        }
        let (counts, looks) = (std::mem::take(&mut self.open), std::mem::take(&mut self.looks));
        let (tolerated, overdispersion) = (self.tolerated, self.overdispersion.unwrap_or(1.0));
        let most = MOST_OF_A_LOOK * f64::from(looks.max(1));
        // Two looks are a reason to wait, where a proof takes three.
        bet(&mut self.doubts, tolerated, counts, (overdispersion, 2.0 * most));
        if self.overdispersion.is_some() {
            bet(&mut self.bets, tolerated, counts, (overdispersion, most));
        } else if self.rest > 0 {
            self.rest = self.rest.saturating_sub(looks);
        } else {
            let clusters = clusters(tolerated, counts);
            bet(&mut self.bets, tolerated, clusters, (1.0, f64::INFINITY));
            let some = counts.canary.errors + counts.baseline.errors > 0.0;
            self.rest = if some { REST } else { 0 };
        }
        self.dispersion.add(counts, looks);
        self.overdispersion = self.dispersion.overdispersion();
    }

    /// Natural logarithm of the evidence if each error came by itself. Where the dispersion is not
    /// known that proves nothing, and it is a reason not to call the canary good yet.
    pub(crate) fn log_doubt(&self) -> f64 {
        mean_log(&self.doubts)
    }

    /// Natural logarithm of the evidence; 0 is none, 3.0 is 20 to 1.
    pub fn log_e(&self) -> f64 {
        mean_log(&self.bets)
    }

    /// Size of the bursts that errors come in, where it is known by now.
    pub(crate) fn dispersion(&self) -> Option<f64> {
        self.dispersion.index()
    }

    /// What the next look's evidence is divided by; 1 where single clusters are counted instead.
    pub(crate) fn overdispersion(&self) -> f64 {
        self.overdispersion.unwrap_or(1.0)
    }

    /// Whether clusters are counted in place of errors, because the dispersion is not known yet.
    pub(crate) fn counts_clusters(&self) -> bool {
        self.overdispersion.is_none()
    }
}

impl Process for Ratio {
    fn log_e(&self) -> f64 {
        mean_log(&self.bets)
    }

    fn anew(&self) -> Self {
        let bets = self.bets.map(Bet::anew);
        Self { bets, doubts: bets, ..self.clone() }
    }

    fn part(&mut self) {
        (self.open, self.looks) = (Counts::default(), 0);
        self.dispersion.part();
    }
}

/// One cluster in place of the errors of the only side that had some.
pub(super) fn clusters(tolerated: f64, counts: Counts) -> Counts {
    let Counts { mut canary, mut baseline } = counts;
    let mostly_canary = tolerated * canary.total > baseline.total;
    (canary.errors, baseline.errors) = match (canary.errors > 0.0, baseline.errors > 0.0) {
        (true, false) => (1.0, 0.0),
        (false, true) => (0.0, 1.0),
        (true, true) if mostly_canary => (0.0, 1.0),
        _ => (0.0, 0.0),
    };
    Counts { canary, baseline }
}

/// Follows what a look counted. The evidence is divided by `overdispersion`, and no bet wins more than `most`.
pub(super) fn bet(
    bets: &mut [Bet],
    tolerated: f64,
    counts: Counts,
    (overdispersion, most): (f64, f64),
) {
    let Counts { canary, baseline } = counts;
    let errors = canary.errors + baseline.errors;
    if errors <= 0.0 {
        return;
    }
    let weight = |ratio: f64| ratio * canary.total + baseline.total;
    let fair = weight(tolerated);
    for bet in bets {
        // x ln(π/π₀) + y ln((1-π)/(1-π₀)), where π = rn/(rn+m).
        let won = canary.errors * (bet.on / tolerated).ln() - errors * (weight(bet.on) / fair).ln();
        bet.log += (won / overdispersion).min(most);
    }
}

/// Is a share of errors above a limit, or proven to be below it?
///
/// Exact for errors that come by themselves. An objective is also asked where there is no baseline
/// and no past: bursts count against it only where the past shows them.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    limit: f64,
    dispersion: Option<f64>,
    overdispersion: f64,
    /// What one look adds to the logarithm of a bet, at most.
    most: f64,
    bets: Vec<Bet>,
}

impl Share {
    /// Collects evidence that the true share is above `limit`, between 0 and 0.8.
    pub(crate) fn above(limit: f64, past: &[Side]) -> Self {
        let bets = bets_on::<ALTERNATIVES>(1.1 * limit, 0.9_f64.max(1.1 * limit)).to_vec();
        Self::new(limit, past, bets)
    }

    /// The same, and no look alone can show it: a burst of a moment is not how a canary is.
    pub(crate) fn lastingly_above(limit: f64, past: &[Side]) -> Self {
        Self { most: MOST_OF_A_LOOK, ..Self::above(limit, past) }
    }

    /// Collects evidence that the true share is below `limit`, above 0: that there were requests
    /// enough to trust.
    pub(crate) fn below(limit: f64, past: &[Side]) -> Self {
        let bets = bets_on::<16>(0.0009 * limit, 0.9 * limit).to_vec();
        Self::new(limit, past, bets)
    }

    fn new(limit: f64, past: &[Side], bets: Vec<Bet>) -> Self {
        let dispersion = Dispersion::of(past);
        let overdispersion = dispersion.overdispersion().unwrap_or(1.0);
        Self { limit, dispersion: dispersion.index(), overdispersion, most: f64::INFINITY, bets }
    }

    /// Takes in what happened since the last look.
    pub(crate) fn look(&mut self, more: Side) {
        self.look_over(more, 1);
    }

    /// The same where it took so many looks of the usual length.
    pub(crate) fn look_over(&mut self, more: Side, looks: u32) {
        let most = self.most * f64::from(looks.max(1));
        for bet in &mut self.bets {
            let won = more.errors * (bet.on / self.limit).ln()
                + (more.total - more.errors) * ((1.0 - bet.on) / (1.0 - self.limit)).ln();
            bet.log += (won / self.overdispersion).min(most);
        }
    }

    /// Natural logarithm of the evidence; 0 is none, 3.0 is 20 to 1.
    pub(crate) fn log_e(&self) -> f64 {
        mean_log(&self.bets)
    }

    /// Size of the bursts that errors come in, where the past shows it.
    pub(crate) fn dispersion(&self) -> Option<f64> {
        self.dispersion
    }

    /// What the evidence is divided by.
    pub(crate) fn overdispersion(&self) -> f64 {
        self.overdispersion
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

impl Process for Share {
    fn log_e(&self) -> f64 {
        mean_log(&self.bets)
    }

    fn anew(&self) -> Self {
        Self { bets: self.bets.iter().copied().map(Bet::anew).collect(), ..self.clone() }
    }
}

/// The evidence of several tests at once: their weighted mean, valid whatever ties them together.
/// Weights add up to 1.
pub(crate) fn joined(parts: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    log_sum(parts.map(|(weight, log)| weight.ln() + log))
}

/// From `low` to `high`, equally far apart as ratios.
pub(super) fn spread<const N: usize>(low: f64, high: f64) -> [f64; N] {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let part = |at: usize| at as f64 / (N - 1) as f64;
    std::array::from_fn(|at| low * (high / low).powf(part(at)))
}

pub(super) fn bets_on<const N: usize>(low: f64, high: f64) -> [Bet; N] {
    spread(low, high).map(|on| Bet { on, log: 0.0 })
}

pub(super) fn mean_log(bets: &[Bet]) -> f64 {
    mean(bets.iter().map(|bet| bet.log))
}

/// The logarithm of the mean of what bets came to.
pub(super) fn mean(logs: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let count = logs.len() as f64;
    log_sum(logs) - count.ln()
}

/// ln Σ exp(x), without leaving the range of numbers on the way.
pub(super) fn log_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if top.is_finite() { top + logs.map(|log| (log - top).exp()).sum::<f64>().ln() } else { top }
}

#[cfg(test)]
mod tests;
