//! Made-up releases, to see how often the tests are wrong and how soon they are right.

use prometheus_gate::{Counts, Ratio, Side};

/// A look every 5 s, for an hour.
const LOOKS: usize = 720;
pub(crate) const SECONDS: f64 = 5.0;
/// A step of the past takes 15 s.
const LOOKS_OF_A_STEP: usize = 3;

/// What a release is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// To both sides together, a second.
    pub(crate) requests: f64,
    /// The canary's part of them.
    pub(crate) weight: f64,
    /// Share of the baseline's requests that fail.
    pub(crate) share: f64,
    /// The canary's share over the baseline's.
    pub(crate) ratio: f64,
    pub(crate) errors: Errors,
    /// The same of the canary, where it differs.
    pub(crate) canary: Option<Errors>,
    /// The canary's part grows from 5 to 50 % in steps.
    pub(crate) ramp: bool,
    /// The common rate of errors goes up and down.
    pub(crate) drift: bool,
}

/// How errors come, on each side apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Errors {
    /// Each by itself.
    Single,
    /// In bursts of this mean size, geometrically distributed, each within a moment.
    Bursts(f64),
    /// In bursts of this mean size, a few of them very large (Pareto, exponent 1.5).
    HeavyBursts(f64),
    /// Each by itself; and each of ten pods fails this part of its requests for so many seconds, on
    /// average once in so many minutes. The canary has as many of the pods as it has requests.
    BadPods { part: f64, seconds: f64, minutes: f64 },
}

impl Default for Release {
    fn default() -> Self {
        Self {
            requests: 20.0,
            weight: 0.1,
            share: 0.01,
            ratio: 1.0,
            errors: Errors::Single,
            canary: None,
            ramp: false,
            drift: false,
        }
    }
}

impl Release {
    /// Requests to the canary that any test with this level needs on average, at least, where each
    /// error comes by itself.
    pub(crate) fn bound(&self, tolerated: f64, alpha: f64) -> f64 {
        let (n, m) = (self.weight, 1.0 - self.weight);
        let part = |ratio: f64| ratio * n / (ratio * n + m);
        let (truth, null) = (part(self.ratio), part(tolerated));
        let divergence =
            truth * (truth / null).ln() + (1.0 - truth) * ((1.0 - truth) / (1.0 - null)).ln();
        (1.0 / alpha).ln() / ((self.ratio * self.share + self.share * m / n) * divergence)
    }
}

/// What is known of the baseline's hour before the canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Past {
    Seen,
    None,
    WithoutErrors,
}

/// How the test is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test {
    pub(crate) tolerated: f64,
    pub(crate) past: Past,
}

/// What came of many releases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Power {
    /// Part of them in which the canary was refused.
    pub(crate) found: f64,
    /// Median time to that.
    pub(crate) minutes: f64,
    /// Median requests to the canary until then.
    pub(crate) requests: f64,
}

/// Runs so many releases, each from a seed of its own.
pub(crate) fn power(release: Release, test: Test, runs: u32) -> Power {
    let found: Vec<(f64, f64)> = (0..runs).filter_map(|run| refused(release, test, run)).collect();
    Power {
        found: as_float(found.len()) / f64::from(runs),
        minutes: median(found.iter().map(|(minutes, _)| *minutes)),
        requests: median(found.iter().map(|(_, requests)| *requests)),
    }
}

pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// After how many minutes and requests the canary was refused, if it was.
fn refused(release: Release, test: Test, run: u32) -> Option<(f64, f64)> {
    let mut chance = Chance::new(run);
    let mut ratio = Ratio::new(test.tolerated, &before(release, test.past, &mut chance));
    let bad = Release {
        share: release.share * release.ratio,
        errors: release.canary.unwrap_or(release.errors),
        ..release
    };
    let (mut canary, mut baseline) = (Source::default(), Source::default());
    let (mut requests, mut news) = (0.0, false);
    for look in 0..LOOKS {
        let weight =
            if release.ramp { [0.05, 0.1, 0.25, 0.5][look * 4 / LOOKS] } else { release.weight };
        let counts = Counts {
            canary: canary.look(bad, weight, look, &mut chance),
            baseline: baseline.look(release, 1.0 - weight, look, &mut chance),
        };
        requests += counts.canary.total;
        ratio.look(counts);
        // Only errors of the canary raise the evidence, once they are compared.
        news |= counts.canary.errors > 0.0;
        if news && counts.canary.total > 0.0 && counts.baseline.total > 0.0 {
            news = false;
            if ratio.log_e() >= 20_f64.ln() {
                return Some((as_float(look + 1) * SECONDS / 60.0, requests));
            }
        }
    }
    None
}

/// The baseline's steps of the hour before, when it has all requests.
pub(crate) fn before(release: Release, past: Past, chance: &mut Chance) -> Vec<Side> {
    let mut baseline = Source::default();
    let mut step = |first: usize| {
        let mut sum = Side::default();
        for look in first..first + LOOKS_OF_A_STEP {
            sum.add(baseline.look(release, 1.0, look, chance));
        }
        sum
    };
    let steps = (0..LOOKS).step_by(LOOKS_OF_A_STEP).map(&mut step);
    match past {
        Past::Seen => steps.collect(),
        Past::None => Vec::new(),
        Past::WithoutErrors => steps.map(|side| Side { errors: 0.0, ..side }).collect(),
    }
}

/// One side's requests and errors.
#[derive(Default)]
pub(crate) struct Source {
    /// Seconds from the beginning of the next look to the end of each pod's bad time.
    bad: Vec<f64>,
}

impl Source {
    pub(crate) fn look(
        &mut self,
        release: Release,
        weight: f64,
        look: usize,
        chance: &mut Chance,
    ) -> Side {
        let part = as_float(look) / as_float(LOOKS);
        let share = if release.drift {
            0.002 * 25_f64.powf((part * 6.0).sin().abs())
        } else {
            release.share
        };
        let total = chance.poisson(release.requests * weight * SECONDS);
        let errors = match release.errors {
            Errors::Single => chance.binomial(total, share),
            Errors::Bursts(mean) => (0..whole(chance.poisson(total * share / mean)))
                .map(|_| chance.geometric(mean))
                .sum(),
            Errors::HeavyBursts(mean) => {
                (0..whole(chance.poisson(total * share / mean))).map(|_| chance.pareto(mean)).sum()
            }
            Errors::BadPods { part, seconds, minutes } => {
                let begin = chance.poisson(PODS * weight * SECONDS / 60.0 / minutes);
                let bad = self.bad_seconds(whole(begin), seconds, chance);
                let failed = chance.poisson(part * bad * release.requests / PODS);
                chance.binomial(total, share) + failed
            }
        };
        Side { errors: errors.min(total), total }
    }

    /// Seconds of this look in which pods are bad, summed over pods; so many turn bad within it.
    fn bad_seconds(&mut self, begin: u32, seconds: f64, chance: &mut Chance) -> f64 {
        let mut sum: f64 = self.bad.iter().map(|left| left.min(SECONDS)).sum();
        for _ in 0..begin {
            let at = SECONDS * chance.uniform();
            sum += seconds.min(SECONDS - at);
            self.bad.push(at + seconds);
        }
        self.bad.iter_mut().for_each(|left| *left -= SECONDS);
        self.bad.retain(|left| *left > 0.0);
        sum
    }
}

const PODS: f64 = 10.0;

/// `SplitMix64`. Seeds are hashed first: neighbouring ones would give one stream shifted by a step.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(run: u32) -> Self {
        let mut seed = Self(u64::from(run) ^ 0x5DEE_CE66_D1CE_4E5B);
        let first = seed.next();
        Self(first ^ seed.next().rotate_left(32))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, at most 1.
    fn uniform(&mut self) -> f64 {
        (f64::from(u32::try_from(self.next() >> 32).unwrap_or(u32::MAX)) + 1.0) / 4_294_967_296.0
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 60.0 {
            // Near enough for numbers of requests, of which tests take no notice.
            let (a, b) = (self.uniform(), self.uniform());
            let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
            return (mean + mean.sqrt() * normal).round().max(0.0);
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }

    /// By the distances between failures, which takes as long as there are failures.
    pub(crate) fn binomial(&mut self, total: f64, share: f64) -> f64 {
        if share <= 0.0 {
            return 0.0;
        }
        if share >= 1.0 {
            return total;
        }
        let (mut at, mut count) = (0.0, 0.0);
        loop {
            at += (self.uniform().ln() / (1.0 - share).ln()).floor() + 1.0;
            if at > total {
                return count;
            }
            count += 1.0;
        }
    }

    /// Exponent 1.5, with about this mean.
    fn pareto(&mut self, mean: f64) -> f64 {
        (mean / 3.0 * self.uniform().powf(-1.0 / 1.5)).round().max(1.0)
    }

    /// At least 1, with this mean.
    fn geometric(&mut self, mean: f64) -> f64 {
        (self.uniform().ln() / (1.0 - 1.0 / mean).ln()).floor() + 1.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of looks")]
pub(crate) fn as_float(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of bursts")]
fn whole(count: f64) -> u32 {
    count as u32
}
