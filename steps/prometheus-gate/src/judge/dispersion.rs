//! How large the bursts are that errors come in.

use crate::judge::counts::{Counts, Side};

/// Looks in 15 s of the default step. Shorter stretches would cut many a burst in two, which then
/// seems half as large; a step of the past is as long.
const SHORT: u32 = 3;
/// Looks in a minute, for bursts that are longer: within one, neighbouring short stretches are alike.
const LONG: u32 = 12;
/// Below these an estimate is noise. A minute and a half of errors in every look is enough freedom.
const LEAST_FREEDOM: f64 = 5.0;
const LEAST_BURSTS: f64 = 10.0;
/// Standard errors by which an estimate may be too low without harm.
const MARGIN: f64 = 2.5;
/// An upper bound below this is taken for single errors, of which it is seldom 1 or less. Dispersions
/// of 1.2 to 1.5, which it hides in part, gave at most 1.7 % false alarms in simulations.
const LIKE_SINGLE_ERRORS: f64 = 1.72;

/// The index of dispersion of counts of errors, variance over mean: 1 where each error comes by
/// itself; where they come in bursts, the size of the burst that a typical error is part of.
///
/// It is estimated from the differences of neighbouring stretches at every offset (overlapping Allan
/// variance, NIST SP 1065, section 5.2.4), so that a rate that drifts is not taken for bursts.
#[derive(Clone, Debug)]
pub(crate) struct Dispersion {
    short: Scale,
    long: Scale,
    /// Errors on both sides.
    errors: f64,
    /// What the long scale has not taken in yet: it moves in steps of 15 s.
    open: (Counts, u32),
    /// Whether the canary's counts show by themselves how large bursts are.
    by_canary: bool,
}

struct Estimate {
    index: f64,
    /// The largest value that is still likely.
    most: f64,
}

impl Dispersion {
    /// From the baseline's steps of 15 s before the canary.
    pub(crate) fn of(past: &[Side]) -> Self {
        let mut dispersion = Self {
            short: Scale::new(SHORT),
            long: Scale::new(LONG),
            errors: 0.0,
            open: (Counts::default(), 0),
            by_canary: false,
        };
        for step in past.iter().filter(|step| step.total > 0.0) {
            dispersion.add(Counts { baseline: *step, canary: Side::default() }, SHORT);
        }
        // The watch need not begin where the past ends.
        dispersion.part();
        dispersion
    }

    /// The same for what the baseline may never have, as it is with answers: then the canary's show it.
    pub(crate) fn of_either_side(past: &[Side]) -> Self {
        Self { by_canary: true, ..Self::of(past) }
    }

    /// What comes next is no neighbour of what was.
    pub(crate) fn part(&mut self) {
        self.short.part();
        self.long.part();
        self.open = (Counts::default(), 0);
    }

    /// Takes in what so many looks counted.
    ///
    /// The canary's counts too: one that is no worse has the baseline's bursts, and one whose bursts
    /// alone are large is cautioned against in proportion to its errors.
    pub(crate) fn add(&mut self, more: Counts, looks: u32) {
        self.errors += more.baseline.errors + more.canary.errors;
        self.short.add(more, looks, self.by_canary);
        let (open, since) = &mut self.open;
        open.baseline.add(more.baseline);
        open.canary.add(more.canary);
        *since += looks;
        if *since >= SHORT {
            self.long.add(*open, *since, self.by_canary);
            self.open = (Counts::default(), 0);
        }
    }

    /// The estimate, once there were enough pairs of stretches with errors and enough bursts. An hour
    /// without errors shows nothing.
    pub(crate) fn index(&self) -> Option<f64> {
        self.estimate().map(|estimate| estimate.index)
    }

    /// What to divide evidence by, 1 or more, where the dispersion is known.
    pub(crate) fn overdispersion(&self) -> Option<f64> {
        let most = self.estimate()?.most;
        Some(if most < LIKE_SINGLE_ERRORS { 1.0 } else { most })
    }

    fn estimate(&self) -> Option<Estimate> {
        let short = self.short.index()?;
        if self.short.freedom < LEAST_FREEDOM || self.errors < LEAST_BURSTS * short.max(1.0) {
            return None;
        }
        let most = |index: f64, error: f64| index * (1.0 + MARGIN * error);
        if let Some(long) = self.long.index() {
            let error = self.long.relative_error(long, self.errors);
            // It rests on fewer pairs, so that only a clear difference counts.
            if long > most(short.max(1.0), error) {
                return Some(Estimate { index: long, most: most(long, error) });
            }
        }
        let error = self.short.relative_error(short, self.errors);
        Some(Estimate { index: short, most: most(short, error) })
    }
}

/// What stretches of one length have shown.
#[derive(Clone, Debug)]
struct Scale {
    /// Looks in a stretch, at least.
    length: u32,
    baseline: Recent,
    canary: Recent,
    /// Sum of squared differences between neighbours.
    squares: f64,
    /// What that would be on average if each error came by itself.
    expected: f64,
    freedom: f64,
}

impl Scale {
    fn new(length: u32) -> Self {
        let none = Recent::default();
        Self { length, baseline: none, canary: none, squares: 0.0, expected: 0.0, freedom: 0.0 }
    }

    fn add(&mut self, more: Counts, looks: u32, by_canary: bool) {
        self.baseline.add(more.baseline, looks);
        self.canary.add(more.canary, looks);
        let freedom = self.compare(self.baseline);
        // Degrees of freedom are the baseline's only: the canary has few requests, often no error.
        let of_canary = self.compare(self.canary);
        self.freedom += if by_canary { freedom.max(of_canary) } else { freedom };
    }

    /// Compares the newest stretch with the one before; returns the degrees of freedom that adds:
    /// 6m/(4m²+5) for stretches of m parts (NIST SP 1065, table 5, white FM).
    fn compare(&mut self, recent: Recent) -> f64 {
        let Some((a, b, parts)) = recent.neighbours(self.length) else { return 0.0 };
        let total = a.total + b.total;
        let rate = (a.errors + b.errors) / total;
        if rate <= 0.0 {
            return 0.0;
        }
        self.squares += (a.errors - b.errors - rate * (a.total - b.total)).powi(2);
        self.expected += rate * 4.0 * a.total * b.total / total;
        6.0 * parts / (4.0 * parts * parts + 5.0)
    }

    fn index(&self) -> Option<f64> {
        (self.expected > 0.0).then(|| self.squares / self.expected)
    }

    /// Standard error of the estimate over the estimate: where there are many errors, pairs of
    /// stretches limit it, where there are few, the number of bursts.
    fn relative_error(&self, index: f64, errors: f64) -> f64 {
        (2.0 / self.freedom + 2.0 * index / errors).sqrt()
    }

    /// What comes next is no neighbour of what was.
    fn part(&mut self) {
        (self.baseline, self.canary) = (Recent::default(), Recent::default());
    }
}

/// The newest counts of one side and the looks that each took, newest first. Two stretches are six
/// looks of 5 s, or eight steps of 15 s.
#[derive(Clone, Copy, Debug, Default)]
struct Recent([(Side, u32); 8]);

impl Recent {
    fn add(&mut self, side: Side, looks: u32) {
        self.0.rotate_right(1);
        self.0[0] = (side, looks);
    }

    /// The newest stretch of a length, the one before, and of how many parts the newest is made.
    fn neighbours(&self, length: u32) -> Option<(Side, Side, f64)> {
        let mut parts = self.0.iter();
        let mut stretch = || {
            let (mut sum, mut looks, mut count) = (Side::default(), 0, 0.0);
            while looks < length {
                let (side, more) = parts.next().filter(|(side, _)| side.total > 0.0)?;
                sum.add(*side);
                looks += more;
                count += 1.0;
            }
            Some((sum, count))
        };
        let (newest, count) = stretch()?;
        let (before, _) = stretch()?;
        Some((newest, before, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour of steps, with so many errors in the step of this number.
    fn hour(errors: impl Fn(u32) -> u32) -> Vec<Side> {
        (0..240).map(|at| Side { errors: errors(at).into(), total: 1000.0 }).collect()
    }

    /// 0, 1 or 2 in no order, two thirds of the variance of independent errors.
    fn single(at: u32) -> u32 {
        (at * 7 + at / 3) % 3
    }

    fn known(past: &[Side]) -> (f64, f64) {
        let dispersion = Dispersion::of(past);
        (dispersion.index().unwrap(), dispersion.overdispersion().unwrap())
    }

    #[test]
    fn single_errors_need_no_division() {
        let (index, overdispersion) = known(&hour(single));
        assert!(index < 1.0, "{index}");
        assert!((overdispersion - 1.0).abs() < 1e-12);
    }

    #[test]
    fn bursts_are_as_large_as_they_seem_and_the_bound_on_them_is_larger() {
        let (index, overdispersion) = known(&hour(|at| if at % 9 == 0 { 9 } else { 0 }));
        assert!((8.9..9.1).contains(&index), "{index}");
        // 53 of the 239 pairs have errors, 35 degrees of freedom, and there are 27 bursts.
        assert!((1.5..2.1).contains(&(overdispersion / index)), "{overdispersion}");
    }

    #[test]
    fn bursts_longer_than_a_step_are_seen_over_a_minute() {
        // Neighbouring steps differ at the two ends of a burst only.
        let (index, overdispersion) = known(&hour(|at| if at % 40 < 4 { 100 } else { 0 }));
        assert!((150.0..400.0).contains(&index), "{index}, where neighbouring steps alone show 50");
        assert!(overdispersion > index);
    }

    #[test]
    fn a_drifting_rate_is_not_taken_for_bursts() {
        let (index, overdispersion) = known(&hour(|at| at / 4 + single(at)));
        assert!(index < 1.0, "{index}");
        assert!((overdispersion - 1.0).abs() < 1e-12);
    }

    #[test]
    fn weights_that_change_are_not_taken_for_bursts() {
        let steps: Vec<Side> = (0..240)
            .map(|at| if at % 2 == 0 { (400.0, 4000.0) } else { (100.0, 1000.0) })
            .map(|(errors, total)| Side { errors, total })
            .collect();
        assert!(known(&steps).0 < 0.1);
    }

    #[test]
    fn too_little_shows_nothing() {
        for past in [vec![], hour(|_| 0), hour(|at| u32::from(at % 30 == 0))] {
            assert!(Dispersion::of(&past).index().is_none());
        }
        let one_burst = hour(|at| if at == 100 { 50 } else { 0 });
        assert_eq!(Dispersion::of(&one_burst).overdispersion(), None, "a burst is not many errors");
    }

    #[test]
    fn the_watch_shows_what_the_past_did_not() {
        let mut dispersion = Dispersion::of(&hour(|_| 0));
        let mut looks = 0_u32;
        while dispersion.index().is_none() && looks < 720 {
            let errors = f64::from(single(looks));
            let baseline = Side { errors, total: 900.0 };
            dispersion.add(Counts { baseline, canary: Side { errors: 0.0, total: 100.0 } }, 1);
            looks += 1;
        }
        assert!((15..40).contains(&looks), "known after {looks} looks");
    }
}
