//! Made-up releases, to see how often the tests are wrong and how soon they are right.

use super::evidence::{Counts, Ratio, Side, caution, dispersion};

/// A look every 15 s, for an hour; and as long a past.
const LOOKS: usize = 240;
const SECONDS: f64 = 15.0;

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
    /// Mean size of the bursts that errors come in.
    pub(crate) burst: f64,
    /// The canary's part grows from 5 to 50 % in steps.
    pub(crate) ramp: bool,
    /// The common rate of errors goes up and down.
    pub(crate) drift: bool,
}

impl Default for Release {
    fn default() -> Self {
        Self {
            requests: 20.0,
            weight: 0.1,
            share: 0.01,
            ratio: 1.0,
            burst: 1.0,
            ramp: false,
            drift: false,
        }
    }
}

impl Release {
    /// Requests to the canary that any test with this level needs on average, at least.
    pub(crate) fn bound(&self, tolerated: f64, alpha: f64) -> f64 {
        let (n, m) = (self.weight, 1.0 - self.weight);
        let part = |ratio: f64| ratio * n / (ratio * n + m);
        let (truth, null) = (part(self.ratio), part(tolerated));
        let divergence =
            truth * (truth / null).ln() + (1.0 - truth) * ((1.0 - truth) / (1.0 - null)).ln();
        (1.0 / alpha).ln() / ((self.ratio * self.share + self.share * m / n) * divergence)
    }
}

/// How the test is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test {
    pub(crate) tolerated: f64,
    /// Whether the past is looked at for bursts; else none are assumed.
    pub(crate) history: bool,
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
    let mut found: Vec<(f64, f64)> =
        (0..runs).filter_map(|run| refused(release, test, run)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (minutes, _) = found.get(found.len() / 2).copied().unwrap_or((f64::NAN, f64::NAN));
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (_, requests) = found.get(found.len() / 2).copied().unwrap_or((f64::NAN, f64::NAN));
    Power {
        found: f64::from(u32::try_from(found.len()).unwrap_or(u32::MAX)) / f64::from(runs),
        minutes,
        requests,
    }
}

/// After how many minutes and requests the canary was refused, if it was.
fn refused(release: Release, test: Test, run: u32) -> Option<(f64, f64)> {
    let mut chance = Chance::new(run);
    let caution = if test.history {
        let past = Release { ratio: 1.0, ramp: false, ..release };
        let steps: Vec<Side> =
            (0..LOOKS).map(|look| looked(past, look, &mut chance).baseline).collect();
        caution(dispersion(&steps))
    } else {
        1.0
    };
    let mut ratio = Ratio::new(test.tolerated, caution);
    let mut requests = 0.0;
    for look in 0..LOOKS {
        let counts = looked(release, look, &mut chance);
        requests += counts.canary.total;
        ratio.look(counts);
        if ratio.log_e() >= 20_f64.ln() {
            return Some((as_float(look + 1) * SECONDS / 60.0, requests));
        }
    }
    None
}

fn looked(release: Release, look: usize, chance: &mut Chance) -> Counts {
    let part = as_float(look) / as_float(LOOKS);
    let weight =
        if release.ramp { [0.05, 0.1, 0.25, 0.5][look * 4 / LOOKS] } else { release.weight };
    let share =
        if release.drift { 0.002 * 25_f64.powf((part * 6.0).sin().abs()) } else { release.share };
    let mut side = |weight: f64, share: f64| {
        let total = chance.poisson(release.requests * weight * SECONDS);
        let mut errors = 0.0;
        if release.burst > 1.0 {
            for _ in 0..whole(chance.poisson(total * share / release.burst)) {
                errors += chance.geometric(release.burst);
            }
        } else {
            errors = chance.binomial(total, share);
        }
        Side { errors: errors.min(total), total }
    };
    Counts { canary: side(weight, share * release.ratio), baseline: side(1.0 - weight, share) }
}

/// `SplitMix64`. Seeds are hashed first: neighbouring ones would give one stream shifted by a step.
struct Chance(u64);

impl Chance {
    fn new(run: u32) -> Self {
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

    fn poisson(&mut self, mean: f64) -> f64 {
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
    fn binomial(&mut self, total: f64, share: f64) -> f64 {
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

    /// At least 1, with this mean.
    fn geometric(&mut self, mean: f64) -> f64 {
        (self.uniform().ln() / (1.0 - 1.0 / mean).ln()).floor() + 1.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of looks")]
fn as_float(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of bursts")]
fn whole(count: f64) -> u32 {
    count as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The level is 5 %. With 400 releases, 8 % are three standard errors above it.
    const RUNS: u32 = 400;
    const MOST: f64 = 0.08;

    fn false_alarms(release: Release) -> f64 {
        power(release, Test { tolerated: 1.0, history: true }, RUNS).found
    }

    #[test]
    fn a_canary_that_is_no_worse_is_seldom_refused() {
        let quiet = Release::default();
        for release in [
            quiet,
            Release { share: 0.001, ..quiet },
            Release { share: 0.2, ..quiet },
            Release { ramp: true, ..quiet },
            Release { requests: 2.0, ..quiet },
            Release { drift: true, ..quiet },
            Release { ratio: 0.5, ..quiet },
        ] {
            let found = false_alarms(release);
            assert!(found <= MOST, "{found} of {release:?}");
        }
    }

    #[test]
    fn bursts_are_no_alarm_when_the_past_shows_them() {
        let bursts = Release { burst: 5.0, ..Release::default() };
        assert!(false_alarms(bursts) <= MOST);
        let careless = power(bursts, Test { tolerated: 1.0, history: false }, RUNS).found;
        assert!(careless > 0.2, "without a look at the past they are one: {careless}");
    }

    #[test]
    fn what_is_worse_is_found_with_few_requests_more_than_any_test_needs() {
        for (ratio, least) in [(2.0, 0.95), (3.0, 0.99), (5.0, 0.99)] {
            let release = Release { ratio, ..Release::default() };
            let power = power(release, Test { tolerated: 1.0, history: true }, RUNS);
            assert!(power.found >= least, "{ratio}: {power:?}");
            let bound = release.bound(1.0, 0.05);
            assert!(
                ratio > 3.0 || power.requests <= 1.5 * bound,
                "{ratio}: {power:?}, bound {bound}"
            );
        }
    }

    #[test]
    fn three_times_the_errors_are_found_within_minutes() {
        let release = Release { ratio: 3.0, ..Release::default() };
        let minutes = |tolerated| power(release, Test { tolerated, history: true }, RUNS).minutes;
        assert!(minutes(1.0) <= 4.0, "{}", minutes(1.0));
        assert!(minutes(1.25) <= 6.0, "{}", minutes(1.25));
    }
}
