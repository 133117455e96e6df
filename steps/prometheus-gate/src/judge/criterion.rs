//! One criterion on its way over the points: their classes, and the run of good ones.

use jiff::{SignedDuration, Timestamp};

use crate::judge::counts::part;
use crate::judge::summary::{Points, Sample};
use crate::judge::trail::{Class, Trail, TrailPoint};
use crate::judge::{
    comparison::Comparison, rung_times::RungTimes, samples::Material, verdict::Reason,
};
use crate::spec::expression::Truth;
use crate::spec::resolved::{Criterion, ExpectedSeries, Inf, Missing, Nan, Spec, Test, ValueTest};
use crate::time::{Grid, floor, length};

mod describe;

/// Why a criterion fails the gate.
pub(crate) struct Failed {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

pub(crate) struct CriterionState {
    pub(crate) criterion: Criterion,
    /// Whether the server has ever given a sample.
    has_samples: bool,
    hold: SignedDuration,
    step: SignedDuration,
    /// When the rungs of the release began, and from when on each is judged.
    times: RungTimes,
    /// A canary that has all traffic bakes until then.
    baked_at: Option<Timestamp>,
    /// The newest point.
    at: Timestamp,
    /// All judged points, each with how many were good up to it.
    judged: Vec<(Timestamp, usize)>,
    /// Where the run that may still hold began, and its newest good point.
    run: Option<(usize, usize)>,
    /// What ended the run before, or kept the first from beginning.
    pub(crate) broken_by: Option<Class>,
    /// The first and the newest point so bad that the gate fails fast.
    terrible: Option<(Timestamp, Timestamp)>,
    points: Points,
    bad_in_a_row: usize,
    last: Option<Sample>,
    worst: Option<Sample>,
    class: Class,
    comparison: Option<Comparison>,
    /// A criterion that has failed stays so.
    pub(crate) failed: Option<Failed>,
    trail: Trail,
}

/// What the value of another criterion is at the same point.
pub(crate) type Other<'a> = &'a dyn Fn(&str) -> Option<f64>;

impl CriterionState {
    /// Before the first point; `t0` is the start of the rung that is judged.
    pub(crate) fn new(
        spec: &Spec,
        criterion: &Criterion,
        material: &Material,
        t0: Timestamp,
    ) -> Self {
        let times = RungTimes::new(spec, t0, criterion.window);
        Self {
            comparison: Comparison::new(&criterion.test, material, &spec.rungs, &times),
            times,
            baked_at: spec.rungs.bake.map(|bake| t0 + bake),
            at: Timestamp::MIN,
            criterion: criterion.clone(),
            has_samples: material.has_samples(),
            hold: spec.timing.hold,
            step: spec.timing.step,
            judged: Vec::new(),
            run: None,
            broken_by: None,
            terrible: None,
            points: Points::default(),
            bad_in_a_row: 0,
            last: None,
            worst: None,
            class: Class::Warmup,
            failed: None,
            trail: Trail::default(),
        }
    }

    /// Takes note of what is known of its series by now, apart from any point.
    pub(crate) fn meet(&mut self, material: &Material) {
        self.has_samples = material.has_samples();
        self.points.unknown = 0;
        if let Some(comparison) = &mut self.comparison {
            comparison.meet(&material.counters);
        }
    }

    pub(crate) fn step(&mut self, point: Timestamp, material: &Material, other: Other) {
        self.at = point;
        let warm = point >= self.times.judged_from();
        if let Some(comparison) = &mut self.comparison {
            comparison.step(point, &material.counters);
        }
        let (class, value) = self.classify(point, material, other);
        // On a later rung a bad point counts at any time, and a good one after the warm-up.
        let is_early = !warm || class == Class::Good && self.times.warms_up(point);
        self.class = if is_early { Class::Warmup } else { class };
        *(match self.class {
            Class::Warmup => &mut self.points.warmup,
            Class::Good => &mut self.points.good,
            Class::Bad => &mut self.points.bad,
            Class::Missing => &mut self.points.missing,
        }) += 1;
        if warm {
            let good =
                self.judged.last().map_or(0, |(_, good)| *good) + usize::from(class == Class::Good);
            self.judged.push((point, good));
            self.follow(point, class);
            if class != Class::Missing {
                self.remember(point, value);
            }
            if self.failed.is_none() {
                self.failed = self
                    .terribly_bad(point, value, other)
                    .or_else(|| self.over_limit())
                    .or_else(|| self.proven_worse());
            }
        }
        let (log_e, log_good) = self
            .comparison
            .as_ref()
            .map_or((None, None), |comparison| (comparison.log_e(), comparison.log_good()));
        let value = value
            .or_else(|| self.comparison.as_ref().and_then(Comparison::share))
            .filter(|value| !value.is_nan());
        let baseline_rate = self.comparison.as_ref().and_then(Comparison::baseline_rate);
        self.trail.push(TrailPoint {
            at: point,
            count: 1,
            class: self.class,
            value,
            baseline_rate,
            log_e,
            log_good,
            held: self.held(),
        });
    }

    /// Counts the final points from `from` to `to` that the server has not answered for.
    pub(crate) fn miss(&mut self, material: &Material, from: Timestamp, to: Timestamp) {
        let from = material.next(&self.criterion, from, self.step);
        self.points.unknown = Grid { from, to, step: self.step }.points().count();
    }

    fn classify(
        &self,
        point: Timestamp,
        material: &Material,
        other: Other,
    ) -> (Class, Option<f64>) {
        let has_all_traffic = self.baked_at.is_some();
        match (&self.criterion.test, &self.comparison) {
            (Test::Value(test), _) => self.classify_value(test, point, material, other),
            (_, Some(comparison))
                if comparison.sees(&material.counters, point, has_all_traffic) =>
            {
                (Class::Good, None)
            }
            _ => (Class::Missing, None),
        }
    }

    fn classify_value(
        &self,
        test: &ValueTest,
        point: Timestamp,
        material: &Material,
        other: Other,
    ) -> (Class, Option<f64>) {
        let one = |value: f64| match test.when.holds(value, other) {
            _ if value.is_nan() && test.nan == Nan::Missing => Class::Missing,
            _ if value.is_nan() => Class::Bad,
            _ if value.is_infinite() && test.inf == Inf::Bad => Class::Bad,
            Some(true) => Class::Good,
            Some(false) => Class::Bad,
            None => Class::Missing,
        };
        let answers = &material.points;
        if answers.is_stale(point, self.step, self.criterion.max_gap) {
            return (Class::Missing, None);
        }
        let values = answers.at(point);
        if values.is_empty() {
            return match test.missing {
                Missing::Pending => (Class::Missing, None),
                Missing::Bad => (Class::Bad, None),
                Missing::Zero => {
                    let present = material.presence.at(point).iter().any(|value| !value.is_nan());
                    if present { (one(0.0), Some(0.0)) } else { (Class::Missing, None) }
                }
            };
        }
        let classes: Vec<(Class, f64)> = values.iter().map(|value| (one(*value), *value)).collect();
        let wanted: &[Class] = match test.series {
            // A query with several series never gets here under `one`: that is a mistake.
            ExpectedSeries::One | ExpectedSeries::All => &[Class::Bad, Class::Missing, Class::Good],
            ExpectedSeries::Any => &[Class::Good, Class::Bad, Class::Missing],
        };
        let found =
            wanted.iter().find_map(|wanted| classes.iter().find(|(class, _)| class == wanted));
        found.map_or((Class::Missing, None), |(class, value)| (*class, Some(*value)))
    }

    /// Extends the run, or ends it. It is one of this rung; bad points in a row may go back to others.
    fn follow(&mut self, point: Timestamp, class: Class) {
        match class {
            Class::Good => self.bad_in_a_row = 0,
            Class::Bad => self.bad_in_a_row += 1,
            Class::Missing | Class::Warmup => {}
        }
        if point < self.times.run_from() {
            return;
        }
        let at = self.judged.len() - 1;
        let torn = self.run.is_some_and(|(_, newest)| {
            point.duration_since(self.judged[newest].0) > self.criterion.max_gap
        });
        if torn {
            // "Not observed" is not "held".
            self.run = None;
            self.broken_by = Some(Class::Missing);
        }
        match class {
            Class::Good => {
                self.run = Some((self.run.map_or(at, |(first, _)| first), at));
            }
            Class::Bad => {
                self.run = None;
                self.broken_by = Some(Class::Bad);
            }
            Class::Missing | Class::Warmup => {}
        }
    }

    fn remember(&mut self, point: Timestamp, value: Option<f64>) {
        let (Test::Value(test), Some(v)) = (&self.criterion.test, value) else { return };
        let sample = Sample { t: point, v };
        self.last = Some(sample);
        let badness = |v: f64| test.when.badness(v);
        if self.worst.is_none_or(|worst| badness(v) > badness(worst.v)) && badness(v).is_some() {
            self.worst = Some(sample);
        }
    }

    /// The longest run up to the newest good point in which enough of the points are good, and what
    /// part of them is.
    fn longest(&self) -> (SignedDuration, f64) {
        let Some((first, newest)) = self.run else { return (SignedDuration::ZERO, 0.0) };
        let good_before = |at: usize| at.checked_sub(1).map_or(0, |before| self.judged[before].1);
        let (end, good) = self.judged[newest];
        for start in first..=newest {
            let is_good = self.judged[start].1 > good_before(start);
            let covered = part(good - good_before(start), newest - start + 1);
            if is_good && covered >= self.criterion.coverage {
                return (end.duration_since(self.judged[start].0), covered);
            }
        }
        (SignedDuration::ZERO, 0.0)
    }

    pub(crate) fn held(&self) -> SignedDuration {
        self.longest().0
    }

    pub(crate) fn holds(&self) -> bool {
        self.failed.is_none()
            && self.baked_at.is_none_or(|baked_at| self.at >= baked_at)
            && (self.is_unopposed()
                || self.comparison.as_ref().is_none_or(Comparison::is_enough)
                    && self.run.is_some()
                    && self.held() >= self.hold)
    }

    /// Whether it compares where no baseline is left: it can fail, and is not waited for.
    const fn is_unopposed(&self) -> bool {
        self.baked_at.is_some() && self.comparison.is_some()
    }

    pub(crate) fn truth(&self) -> Truth {
        match (&self.failed, self.holds()) {
            (Some(_), _) => Truth::False,
            (None, true) => Truth::True,
            (None, false) => Truth::Unknown,
        }
    }

    /// The earliest point at which it could hold, should every point from here on be good.
    pub(crate) fn earliest_pass(&self, point: Timestamp) -> Timestamp {
        let next = point + self.step;
        let start = match self.run {
            Some((first, _)) => self.judged[first].0,
            None => next.max(floor(self.times.run_from(), self.step)),
        };
        let held = if self.is_unopposed() { next } else { start + self.hold };
        let possible = held.max(self.baked_at.unwrap_or(held));
        possible.max(if self.holds() { point } else { next })
    }

    /// Whether it has been judged for so long without one request to the canary.
    pub(crate) fn idle(&self, point: Timestamp) -> bool {
        let none = self
            .comparison
            .as_ref()
            .is_some_and(|comparison| comparison.has_looked() && comparison.requests() <= 0.0);
        none && self.baked_at.is_none() && point >= self.times.run_from() + self.hold
    }

    fn terribly_bad(
        &mut self,
        point: Timestamp,
        value: Option<f64>,
        other: Other,
    ) -> Option<Failed> {
        let Test::Value(ValueTest { fast_fail: Some(fast_fail), .. }) = &self.criterion.test else {
            return None;
        };
        match value
            .filter(|value| !value.is_nan())
            .and_then(|value| fast_fail.when.holds(value, other))
        {
            Some(false) => self.terrible = None,
            Some(true) => {
                let known = self
                    .terrible
                    .filter(|(_, newest)| point.duration_since(*newest) <= self.criterion.max_gap);
                self.terrible = Some((known.map_or(point, |(first, _)| first), point));
            }
            None => {}
        }
        let (first, newest) = self.terrible?;
        (newest.duration_since(first) >= fast_fail.lasting).then(|| Failed {
            reason: Reason::FastFail,
            message: format!(
                "{}, `{}` for {}",
                self.describe(),
                fast_fail.when,
                length(newest.duration_since(first))
            ),
        })
    }

    fn over_limit(&self) -> Option<Failed> {
        let Test::Value(ValueTest { fail_limit, consecutive_fail, .. }) = &self.criterion.test
        else {
            return None;
        };
        let failed = |message| Some(Failed { reason: Reason::Limit, message });
        if consecutive_fail.is_some_and(|limit| self.bad_in_a_row >= limit) && self.bad_in_a_row > 0
        {
            return failed(format!("{}, {} points in a row", self.describe(), self.bad_in_a_row));
        }
        match fail_limit {
            Some(0) if self.points.bad > 0 => failed(self.describe()),
            Some(limit) if self.points.bad > *limit => {
                failed(format!("{}, {} bad points in all", self.describe(), self.points.bad))
            }
            _ => None,
        }
    }

    fn proven_worse(&self) -> Option<Failed> {
        let comparison = self.comparison.as_ref().filter(|comparison| comparison.is_worse())?;
        let message = format!("{}; {}", self.describe(), comparison.describe_verdict());
        Some(Failed { reason: Reason::Evidence, message })
    }
}
