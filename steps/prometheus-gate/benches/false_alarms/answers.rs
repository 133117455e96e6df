//! Made-up releases whose answers are compared, class by class.

use prometheus_gate::{Change, Counts, Side, answer_weights};

use super::simulation::{Chance, Power, SECONDS, as_float, median};

const LOOKS: usize = 720;
const STEPS: usize = 240;

/// What is tolerated by the default, of which the square is a change.
pub(crate) const TOLERATED: f64 = std::f64::consts::SQRT_2;
const LEAST_SHARE: f64 = 0.02;

/// Answers of the baseline by which a gate settles what it bets on.
const ENOUGH: f64 = 100.0;

/// What the answers of a release are like.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    /// To both sides together, a second.
    pub(crate) requests: f64,
    /// The canary's part of them.
    pub(crate) weight: f64,
    /// The baseline's share of each class.
    pub(crate) shares: Vec<f64>,
    /// The canary's share of the first class over the baseline's; the others make room in proportion.
    pub(crate) ratio: f64,
    /// Inputs change on both sides alike: each class swings between a third and three times its share.
    pub(crate) drift: bool,
    /// The part of the events that is lost.
    pub(crate) lost: f64,
    pub(crate) has_past: bool,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            requests: 20.0,
            weight: 0.1,
            shares: equal(3),
            ratio: 1.0,
            drift: false,
            lost: 0.0,
            has_past: true,
        }
    }
}

pub(crate) fn equal(classes: usize) -> Vec<f64> {
    vec![1.0 / as_float(classes); classes]
}

/// Each class is as frequent as the one before it, divided by its number.
pub(crate) fn skewed(classes: usize) -> Vec<f64> {
    let all: f64 = (1..=classes).map(|at| 1.0 / as_float(at)).sum();
    (1..=classes).map(|at| 1.0 / as_float(at) / all).collect()
}

/// A first class of this share, and others that are equally frequent.
pub(crate) fn first(share: f64, classes: usize) -> Vec<f64> {
    let other = (1.0 - share) / as_float(classes - 1);
    (0..classes).map(|at| if at == 0 { share } else { other }).collect()
}

impl Answers {
    /// Answers of the canary that any test of its first class needs on average, at least.
    pub(crate) fn bound(&self, alpha: f64) -> f64 {
        let [baseline, canary] = [self.shares[0], self.shares[0] * self.ratio];
        let (n, m) = (self.weight, 1.0 - self.weight);
        let divergence =
            |p: f64, q: f64| p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        // Where it is less frequent, the baseline's share is the one that is too large.
        let (above, below) = if self.ratio > 1.0 {
            ((n, canary), (m, baseline))
        } else {
            ((m, baseline), (n, canary))
        };
        let closest = (1..100_000)
            .map(|at| f64::from(at) / 100_000.0 / TOLERATED)
            .map(|q| {
                above.0 * divergence(above.1, TOLERATED * q) + below.0 * divergence(below.1, q)
            })
            .fold(f64::INFINITY, f64::min);
        (1.0 / alpha).ln() * n / closest
    }

    pub(crate) fn power(&self, runs: u32) -> Power {
        let found: Vec<(f64, f64)> = (0..runs).filter_map(|run| self.refused(run)).collect();
        Power {
            found: as_float(found.len()) / f64::from(runs),
            minutes: median(found.iter().map(|(minutes, _)| *minutes)),
            requests: median(found.iter().map(|(_, requests)| *requests)),
        }
    }

    fn refused(&self, run: u32) -> Option<(f64, f64)> {
        let mut chance = Chance::new(run);
        let mut past: Vec<Vec<Side>> = vec![Vec::new(); self.shares.len()];
        if self.has_past {
            for _ in 0..STEPS {
                let look = self.look(1.0, 1.0, (0, 3.0), &mut chance);
                past.iter_mut().zip(look).for_each(|(past, side)| past.push(side));
            }
        }
        let mut before = vec![0.0; self.shares.len()];
        for (counted, past) in before.iter_mut().zip(&past) {
            *counted = past.iter().map(|step| step.errors).sum();
        }
        let mut weights = of_classes(&before);
        let new = |past: &Vec<Side>| Change::new(TOLERATED, LEAST_SHARE, past);
        let mut tests: Vec<Change> = past.iter().map(new).collect();
        let mut answers = 0.0;
        for at in 0..LOOKS {
            let canary = self.look(self.weight, self.ratio, (at, 1.0), &mut chance);
            let baseline = self.look(1.0 - self.weight, 1.0, (at, 1.0), &mut chance);
            answers += canary[0].total;
            if before.iter().sum::<f64>() < ENOUGH {
                let counted = baseline.iter().map(|side| side.errors);
                before.iter_mut().zip(counted).for_each(|(before, counted)| *before += counted);
                weights = of_classes(&before);
                continue;
            }
            let mut mean = 1.0 - weights.iter().sum::<f64>();
            let sides = canary.into_iter().zip(baseline);
            for ((test, weight), (canary, baseline)) in tests.iter_mut().zip(&weights).zip(sides) {
                test.look(Counts { canary, baseline });
                mean += test.log_e().exp() * weight;
            }
            if mean >= 20.0 {
                return Some((as_float(at + 1) * SECONDS / 60.0, answers));
            }
        }
        None
    }

    /// The counts of each class in so many looks.
    fn look(
        &self,
        weight: f64,
        ratio: f64,
        (at, looks): (usize, f64),
        chance: &mut Chance,
    ) -> Vec<Side> {
        let mut shares = self.shares.clone();
        if self.drift {
            let part = as_float(at) / as_float(LOOKS);
            for (class, share) in shares.iter_mut().enumerate() {
                *share *= 3_f64.powf((part * 12.0 + as_float(class)).sin());
            }
            let all: f64 = shares.iter().sum();
            shares = shares.into_iter().map(|share| share / all).collect();
        }
        let room = (1.0 - shares[0] * ratio) / (1.0 - shares[0]);
        shares[0] *= ratio;
        shares[1..].iter_mut().for_each(|share| *share *= room);
        let total = chance.poisson(self.requests * weight * SECONDS * looks * (1.0 - self.lost));
        let (mut left, mut rest) = (total, 1.0);
        let mut count = |share: &f64| {
            let errors = chance.binomial(left, (share / rest).min(1.0));
            (left, rest) = (left - errors, rest - share);
            Side { errors, total }
        };
        shares.iter().map(&mut count).collect()
    }
}

/// The weights of the classes of one field. One that the baseline has not shown is none.
fn of_classes(before: &[f64]) -> Vec<f64> {
    let all: f64 = before.iter().sum();
    let shares: Vec<f64> =
        before.iter().filter(|counted| **counted > 0.0).map(|counted| counted / all).collect();
    let common = TOLERATED * TOLERATED * LEAST_SHARE;
    let mut known = answer_weights::of_answers(&shares, common).into_iter();
    let of = |counted: &f64| if *counted > 0.0 { known.next().unwrap_or_default() } else { 0.0 };
    before.iter().map(of).map(|weight| weight * answer_weights::of_a_field(1)).collect()
}
