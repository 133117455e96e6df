//! Has the canary's share of one answer changed, to more or to less?
//!
//! Counted are the answers of one class among all answers of a field, on both sides, and tested is in both directions:
//! is the canary's share more than `tolerated` times the baseline's, or the baseline's more than `tolerated` times the
//! canary's? The mean of the two is the evidence of a change.
//!
//! Errors are rare, and [`Ratio`](crate::judge::e_process::Ratio) treats them as if each came by itself. An answer may be
//! what a model gives half of the time, and treating it so would take three times as many. So what a look wins is a
//! likelihood ratio of two binomials. Let it have n answers of the canary and m of the baseline, of which x and y are of
//! the class, and let the bet be on the shares a and b, where a > νb, with ν for what is tolerated. Of all shares that are
//! tolerated let νq and q be the closest: those that make n·KL(a‖νq) + m·KL(b‖q) least. The look wins
//! (a/νq)ˣ((1-a)/(1-νq))ⁿ⁻ˣ(b/q)ʸ((1-b)/(1-q))ᵐ⁻ʸ. Where the shares are truly p and r, that is on average
//! (1+A(p-νq))ⁿ(1+B(r-q))ᵐ with A = (a-νq)/(νq(1-νq)) and B = (b-q)/(q(1-q)), at most exp(nA(p-νq) + mB(r-q)). The
//! exponent is the slope of what was made least, turned round, towards (p, r): at most 0 for all shares that are
//! tolerated, as these are a convex set (Turner, Ly, Grünwald, arXiv 2106.02693). Shares that differ from answer to answer,
//! for all inputs are not alike, come to the same with their means over the look, so that inputs may drift on both sides
//! alike. What is bet on and what evidence is divided by depend on the looks before.

use crate::judge::counts::{Counts, Side};
use crate::judge::dispersion::Dispersion;
use crate::judge::e_process::{
    Bet, MOST_OF_A_LOOK, Process, REST, bet, bets_on, clusters, joined, mean_log,
};

/// What is to be found has this part of the stake. The others have the rest, up to five times what is tolerated: beyond
/// that these win as well.
const ON_WHAT_IS_TO_BE_FOUND: f64 = 0.8;
const OTHERS: usize = 4;
const ALTERNATIVES: usize = 1 + OTHERS;

/// Where fewer of the other side's answers than this are expected of a class in a look, most looks that have some
/// have them on one side alone, and clusters tell something.
const FEW: f64 = 0.5;

/// A test of one class of answers.
#[derive(Clone, Debug)]
pub struct Change {
    tolerated: f64,
    least_share: f64,
    dispersion: Dispersion,
    /// What the next look's evidence is divided by; none where clusters are counted.
    overdispersion: Option<f64>,
    /// Looks to come in which no cluster counts.
    rest: u32,
    more: Bets,
    fewer: Bets,
    /// What was counted before, of the canary on this rung.
    before: Counts,
    /// What has been counted since the last look that had answers on both sides, and its looks.
    open: Counts,
    looks: u32,
}

/// The bets on one direction.
#[derive(Clone, Copy, Debug)]
struct Bets {
    proof: [Bet; ALTERNATIVES],
    /// The same also while clusters are counted.
    doubt: [Bet; ALTERNATIVES],
}

impl Bets {
    fn new(tolerated: f64) -> Self {
        let others = bets_on::<OTHERS>(1.1 * tolerated, 5.0 * tolerated);
        let mut bets = [Bet { on: tolerated * tolerated, log: 0.0 }; ALTERNATIVES];
        bets[1..].copy_from_slice(&others);
        Self { proof: bets, doubt: bets }
    }

    fn anew(self) -> Self {
        let bets = self.proof.map(Bet::anew);
        Self { proof: bets, doubt: bets }
    }
}

impl Change {
    /// `tolerated` is a ratio of shares, above 1; its square is what is to be found. A look is bet on where one side's share was at least
    /// `least_share` before it. `past` is the baseline's steps of 15 s before the canary, which may be none.
    pub fn new(tolerated: f64, least_share: f64, past: &[Side]) -> Self {
        let bets = Bets::new(tolerated);
        let dispersion = Dispersion::of_either_side(past);
        let overdispersion = dispersion.overdispersion();
        let mut before = Counts::default();
        for step in past {
            before.baseline.add(*step);
        }
        Self {
            tolerated,
            least_share,
            dispersion,
            overdispersion,
            rest: 0,
            more: bets,
            fewer: bets,
            before,
            open: Counts::default(),
            looks: 0,
        }
    }

    /// Takes in what was answered since the last look: of the class, and in all.
    pub fn look(&mut self, more: Counts) {
        self.open.add(more);
        self.looks += 1;
        if self.open.canary.total <= 0.0 || self.open.baseline.total <= 0.0 {
            return;
        }
        let (counts, looks) = (std::mem::take(&mut self.open), std::mem::take(&mut self.looks));
        let rests = self.rest > 0;
        self.rest = self.rest.saturating_sub(looks);
        if self.matters() {
            self.bet(counts, looks, rests);
        }
        if !rests && counts.canary.errors + counts.baseline.errors > 0.0 {
            self.rest = REST;
        }
        self.dispersion.add(counts, looks);
        self.overdispersion = self.dispersion.overdispersion();
        self.before.add(counts);
    }

    /// Whether one side had enough answers of the class so far: what is rarer matters to nobody.
    pub(crate) fn matters(&self) -> bool {
        let shares = [self.before.canary.share(), self.before.baseline.share()];
        shares.into_iter().flatten().any(|share| share >= self.least_share)
    }

    fn bet(&mut self, counts: Counts, looks: u32, rests: bool) {
        let swapped = Counts { canary: counts.baseline, baseline: counts.canary };
        let Counts { canary, baseline } = self.before;
        let (tolerated, most) = (self.tolerated, MOST_OF_A_LOOK * f64::from(looks.max(1)));
        // The baseline has many more answers to know its share by.
        let usual = (baseline.errors + 0.5) / (baseline.total + 1.0);
        let more = |ratio: f64| (usual * ratio).min(1.0 - 0.1 * (1.0 - usual));
        let overdispersion = self.overdispersion.unwrap_or(1.0);
        let directions =
            [(&mut self.more, counts, baseline, true), (&mut self.fewer, swapped, canary, false)];
        for (bets, counts, other, is_more) in directions {
            for (proof, doubt) in bets.proof.iter_mut().zip(&mut bets.doubt) {
                let ratio = doubt.on;
                let on = if is_more { [more(ratio), usual] } else { [usual, usual / ratio] };
                let won = won(on, tolerated, counts) / overdispersion;
                // Two looks are a reason to wait, where a proof takes three.
                doubt.log += won.min(2.0 * most);
                if self.overdispersion.is_some() {
                    proof.log += won.min(most);
                }
            }
            // A look with clusters on both sides counts for the other where that has fewer answers: of a common
            // class each look would.
            let tells = tolerated * counts.canary.total <= counts.baseline.total
                || other.share().is_some_and(|share| share * counts.baseline.total < FEW);
            if self.overdispersion.is_none() && !rests && tells {
                let clusters = clusters(tolerated, counts);
                bet(&mut bets.proof, tolerated, clusters, (1.0, f64::INFINITY));
            }
        }
    }

    /// Natural logarithm of the evidence of a change; 0 is none, 3.0 is 20 to 1.
    pub fn log_e(&self) -> f64 {
        self.joined(|bets| log(&bets.proof))
    }

    /// The same if answers of a class came by themselves.
    pub(crate) fn log_doubt(&self) -> f64 {
        self.joined(|bets| log(&bets.doubt))
    }

    /// The logarithm of the likelihood of the best bet, against that of what is tolerated at the most.
    pub(crate) fn log_likelihood(&self) -> f64 {
        let all = self.more.doubt.iter().chain(&self.fewer.doubt);
        all.map(|bet| bet.log).fold(0.0, f64::max)
    }

    fn joined(&self, of: impl Fn(&Bets) -> f64) -> f64 {
        joined([(0.5, of(&self.more)), (0.5, of(&self.fewer))].into_iter())
    }

    /// Whether it is more often the canary's answer, if it changed at all.
    pub(crate) fn is_more(&self) -> bool {
        let against = |bets: &Bets| log(&bets.proof).max(log(&bets.doubt));
        against(&self.more) >= against(&self.fewer)
    }

    /// Size of the bursts that answers of the class come in, where it is known by now.
    pub(crate) fn dispersion(&self) -> Option<f64> {
        self.dispersion.index()
    }

    /// What the next look's evidence is divided by.
    pub(crate) fn overdispersion(&self) -> f64 {
        self.overdispersion.unwrap_or(1.0)
    }

    /// Whether clusters are counted in place of answers, because the dispersion is not known yet.
    pub(crate) const fn counts_clusters(&self) -> bool {
        self.overdispersion.is_none()
    }
}

/// The logarithm of what bets came to.
fn log(bets: &[Bet; ALTERNATIVES]) -> f64 {
    let [found, others @ ..] = bets;
    let of_others = 1.0 - ON_WHAT_IS_TO_BE_FOUND;
    joined([(ON_WHAT_IS_TO_BE_FOUND, found.log), (of_others, mean_log(others))].into_iter())
}

/// What a look wins that is bet on two shares, the canary's and the baseline's; 0 where these are tolerated.
fn won([of_canary, of_baseline]: [f64; 2], tolerated: f64, counts: Counts) -> f64 {
    if of_canary <= tolerated * of_baseline {
        return 0.0;
    }
    let (canary, baseline) = (counts.canary.total, counts.baseline.total);
    // Where the slope is 0: ν(n+m)q² - (na+nν+mνb+m)q + (na+mb) = 0, of whose roots one is below 1/ν.
    let (square, rest) =
        (tolerated * (canary + baseline), canary * of_canary + baseline * of_baseline);
    let linear = canary * (of_canary + tolerated) + baseline * (tolerated * of_baseline + 1.0);
    let root = (linear * linear - 4.0 * square * rest).max(0.0).sqrt();
    let closest = 2.0 * rest / (linear + root);
    let side = |side: Side, on: f64, null: f64| {
        let others = (side.total - side.errors).max(0.0);
        side.errors * (on / null).ln() + others * ((1.0 - on) / (1.0 - null)).ln()
    };
    side(counts.canary, of_canary, tolerated * closest)
        + side(counts.baseline, of_baseline, closest)
}

impl Process for Change {
    fn log_e(&self) -> f64 {
        Self::log_e(self)
    }

    fn anew(&self) -> Self {
        let before = Counts { canary: Side::default(), ..self.before };
        Self { more: self.more.anew(), fewer: self.fewer.anew(), before, ..self.clone() }
    }

    fn part(&mut self) {
        (self.open, self.looks) = (Counts::default(), 0);
        self.dispersion.part();
    }
}

#[cfg(test)]
mod tests;
