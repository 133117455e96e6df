//! One criterion on its way over the points: their classes, and the run of good ones.

use serde::Serialize;

use crate::{
    comparison::{Comparison, Evidence},
    expression::Say,
    lane,
    samples::{Material, seconds},
    spec::{Criterion, Inf, Missing, Ms, Nan, Role, Several, Spec, Test, ValueTest},
    verdict::{Reason, length},
};

/// What one point shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The value may still reach back to before the canary, or to its cold start.
    Warmup,
    Good,
    Bad,
    /// The server answered, and there was no number.
    Missing,
}

/// Where one criterion stands, as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) query: String,
    /// What its numbers count.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) unit: String,
    pub(crate) role: Role,
    #[serde(rename = "state")]
    pub(crate) standing: Standing,
    pub(crate) points: Points,
    /// Part of the points of the run that are good, 0 to 1.
    pub(crate) coverage: f64,
    pub(crate) held_seconds: f64,
    #[serde(skip)]
    pub(crate) held: Ms,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Sample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worst: Option<Sample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<Evidence>,
    /// Requests to the canary that a pass still needs at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_requests: Option<f64>,
    /// Requests to the canary that were judged.
    #[serde(skip)]
    pub(crate) requests: f64,
    /// Whether any were looked at yet.
    #[serde(skip)]
    pub(crate) has_looked: bool,
    /// What a reader has to know about the series that it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// The same for a person.
    pub(crate) told: String,
    /// What a good point shows, for a person.
    #[serde(skip)]
    pub(crate) good_means: String,
    /// What each point showed, for a picture.
    #[serde(skip)]
    pub(crate) trail: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    Warmup,
    Missing,
    Bad,
    Holding,
    Held,
    Failed,
}

/// How many points of each class there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Points {
    pub(crate) good: usize,
    pub(crate) bad: usize,
    pub(crate) missing: usize,
    pub(crate) unknown: usize,
    pub(crate) warmup: usize,
}

/// A value and when it was; NaN and infinities are text, as JSON has no such numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    #[serde(serialize_with = "moment")]
    pub(crate) t: Ms,
    #[serde(serialize_with = "number")]
    pub(crate) v: f64,
}

/// What one point showed, and what was known then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) at: Ms,
    pub(crate) class: Class,
    /// The value, or the canary's share of errors so far.
    pub(crate) value: Option<f64>,
    /// The baseline's share of errors so far.
    pub(crate) usual: Option<f64>,
    pub(crate) log_e: Option<f64>,
    pub(crate) log_good: Option<f64>,
    pub(crate) held: Ms,
}

/// Why a criterion fails the gate.
pub(crate) struct Failed {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

pub(crate) struct Track<'a> {
    pub(crate) criterion: &'a Criterion,
    material: &'a Material,
    hold: Ms,
    step: Ms,
    /// From here on no window reaches back to anything but a warm canary.
    judged_from: Ms,
    /// All judged points, each with how many were good up to it.
    judged: Vec<(Ms, usize)>,
    /// Where the run that may still hold began, and its newest good point.
    run: Option<(usize, usize)>,
    /// What ended the run before, or kept the first from beginning.
    pub(crate) broken_by: Option<Class>,
    /// The first and the newest point so bad that the gate fails fast.
    terrible: Option<(Ms, Ms)>,
    points: Points,
    bad_in_a_row: usize,
    last: Option<Sample>,
    worst: Option<Sample>,
    class: Class,
    comparison: Option<Comparison<'a>>,
    /// A criterion that has failed stays so.
    pub(crate) failed: Option<Failed>,
    trail: Vec<Step>,
}

/// What the value of another criterion is at the same point.
pub(crate) type Other<'a> = &'a dyn Fn(&str) -> Option<f64>;

impl<'a> Track<'a> {
    pub(crate) fn new(
        spec: &Spec,
        criterion: &'a Criterion,
        material: &'a Material,
        t0: Ms,
    ) -> Self {
        Self {
            criterion,
            material,
            hold: spec.timing.hold,
            step: spec.timing.step,
            judged_from: t0 + spec.timing.skew + spec.timing.warmup + criterion.window,
            judged: Vec::new(),
            run: None,
            broken_by: None,
            terrible: None,
            points: Points::default(),
            bad_in_a_row: 0,
            last: None,
            worst: None,
            class: Class::Warmup,
            comparison: Comparison::new(&criterion.test, &material.counters, &material.history),
            failed: None,
            trail: Vec::new(),
        }
    }

    pub(crate) fn step(&mut self, point: Ms, other: Other) {
        let warm = point >= self.judged_from;
        if let Some(comparison) = &mut self.comparison {
            comparison.step(point, self.judged_from);
        }
        let (class, value) = self.classify(point, other);
        self.class = if warm { class } else { Class::Warmup };
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
        let usual = self.comparison.as_ref().and_then(Comparison::usual);
        self.trail.push(Step {
            at: point,
            class: self.class,
            value,
            usual,
            log_e,
            log_good,
            held: self.held(),
        });
    }

    /// Counts the final points from `from` to `to` that the server has not answered for.
    pub(crate) fn miss(&mut self, from: Ms, to: Ms) {
        let mut point = self.material.next(self.criterion, from, self.step);
        while point <= to {
            self.points.unknown += 1;
            point += self.step;
        }
    }

    fn classify(&self, point: Ms, other: Other) -> (Class, Option<f64>) {
        match (&self.criterion.test, &self.comparison) {
            (Test::Value(test), _) => self.classify_value(test, point, other),
            (_, Some(comparison)) if comparison.sees(point) => (Class::Good, None),
            _ => (Class::Missing, None),
        }
    }

    fn classify_value(&self, test: &ValueTest, point: Ms, other: Other) -> (Class, Option<f64>) {
        let one = |value: f64| match test.when.holds(value, other) {
            _ if value.is_nan() && test.nan == Nan::Missing => Class::Missing,
            _ if value.is_nan() => Class::Bad,
            _ if value.is_infinite() && test.inf == Inf::Bad => Class::Bad,
            Some(true) => Class::Good,
            Some(false) => Class::Bad,
            None => Class::Missing,
        };
        let answers = &self.material.points;
        if answers.is_stale(point, self.step, self.criterion.max_gap) {
            return (Class::Missing, None);
        }
        let values = answers.at(point);
        if values.is_empty() {
            return match test.missing {
                Missing::Pending => (Class::Missing, None),
                Missing::Bad => (Class::Bad, None),
                Missing::Zero => {
                    let present =
                        self.material.presence.at(point).iter().any(|value| !value.is_nan());
                    if present { (one(0.0), Some(0.0)) } else { (Class::Missing, None) }
                }
            };
        }
        let classes: Vec<(Class, f64)> = values.iter().map(|value| (one(*value), *value)).collect();
        let wanted: &[Class] = match test.series {
            // A query with several series never gets here under `one`: that is a mistake.
            Several::One | Several::All => &[Class::Bad, Class::Missing, Class::Good],
            Several::Any => &[Class::Good, Class::Bad, Class::Missing],
        };
        let found =
            wanted.iter().find_map(|wanted| classes.iter().find(|(class, _)| class == wanted));
        found.map_or((Class::Missing, None), |(class, value)| (*class, Some(*value)))
    }

    /// Extends the run, or ends it.
    fn follow(&mut self, point: Ms, class: Class) {
        let at = self.judged.len() - 1;
        let torn = self
            .run
            .is_some_and(|(_, newest)| point - self.judged[newest].0 > self.criterion.max_gap);
        if torn {
            // "Not observed" is not "held".
            self.run = None;
            self.broken_by = Some(Class::Missing);
        }
        match class {
            Class::Good => {
                self.run = Some((self.run.map_or(at, |(first, _)| first), at));
                self.bad_in_a_row = 0;
            }
            Class::Bad => {
                self.run = None;
                self.broken_by = Some(Class::Bad);
                self.bad_in_a_row += 1;
            }
            Class::Missing | Class::Warmup => {}
        }
    }

    fn remember(&mut self, point: Ms, value: Option<f64>) {
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
    fn longest(&self) -> (Ms, f64) {
        let Some((first, newest)) = self.run else { return (0, 0.0) };
        let good_before = |at: usize| at.checked_sub(1).map_or(0, |before| self.judged[before].1);
        let (end, good) = self.judged[newest];
        for start in first..=newest {
            let is_good = self.judged[start].1 > good_before(start);
            let covered = part(good - good_before(start), newest - start + 1);
            if is_good && covered >= self.criterion.coverage {
                return (end - self.judged[start].0, covered);
            }
        }
        (0, 0.0)
    }

    pub(crate) fn held(&self) -> Ms {
        self.longest().0
    }

    pub(crate) fn holds(&self) -> bool {
        self.failed.is_none()
            && self.comparison.as_ref().is_none_or(Comparison::is_enough)
            && self.run.is_some()
            && self.held() >= self.hold
    }

    pub(crate) fn say(&self) -> Say {
        match (&self.failed, self.holds()) {
            (Some(_), _) => Say::No,
            (None, true) => Say::Yes,
            (None, false) => Say::Open,
        }
    }

    /// The earliest point at which it could hold, should every point from here on be good.
    pub(crate) fn earliest_pass(&self, point: Ms) -> Ms {
        let next = point + self.step;
        let start = match self.run {
            Some((first, _)) => self.judged[first].0,
            None => next.max(self.judged_from.div_euclid(self.step) * self.step),
        };
        (start + self.hold).max(if self.holds() { point } else { next })
    }

    /// Whether it has been judged for so long without one request to the canary.
    pub(crate) fn idle(&self, point: Ms) -> bool {
        let none = self
            .comparison
            .as_ref()
            .is_some_and(|comparison| comparison.has_looked() && comparison.requests() <= 0.0);
        none && point >= self.judged_from + self.hold
    }

    fn terribly_bad(&mut self, point: Ms, value: Option<f64>, other: Other) -> Option<Failed> {
        let Test::Value(ValueTest { fast_fail: Some(fast_fail), .. }) = &self.criterion.test else {
            return None;
        };
        match value
            .filter(|value| !value.is_nan())
            .and_then(|value| fast_fail.when.holds(value, other))
        {
            Some(false) => self.terrible = None,
            Some(true) => {
                let known =
                    self.terrible.filter(|(_, newest)| point - newest <= self.criterion.max_gap);
                self.terrible = Some((known.map_or(point, |(first, _)| first), point));
            }
            None => {}
        }
        let (first, newest) = self.terrible?;
        (newest - first >= fast_fail.lasting).then(|| Failed {
            reason: Reason::FastFail,
            message: format!(
                "{}, `{}` for {}",
                self.told(),
                fast_fail.when,
                length(newest - first)
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
            return failed(format!("{}, {} points in a row", self.told(), self.bad_in_a_row));
        }
        match fail_limit {
            Some(0) if self.points.bad > 0 => failed(self.told()),
            Some(limit) if self.points.bad > *limit => {
                failed(format!("{}, {} bad points in all", self.told(), self.points.bad))
            }
            _ => None,
        }
    }

    fn proven_worse(&self) -> Option<Failed> {
        let comparison = self.comparison.as_ref().filter(|comparison| comparison.is_worse())?;
        let message = format!("{}; {}", self.told(), comparison.verdict_told());
        Some(Failed { reason: Reason::Evidence, message })
    }

    fn standing(&self) -> Standing {
        match self.class {
            _ if self.failed.is_some() => Standing::Failed,
            Class::Warmup => Standing::Warmup,
            Class::Bad => Standing::Bad,
            _ if self.holds() => Standing::Held,
            _ if self.run.is_some() => Standing::Holding,
            _ => Standing::Missing,
        }
    }

    /// What it shows, in a few words with numbers and units.
    pub(crate) fn told(&self) -> String {
        let name = &self.criterion.name;
        let seen = self.material.has_samples();
        let told = match (&self.criterion.test, &self.comparison, self.last) {
            _ if !seen && self.points.unknown > 0 => "no answer from Prometheus".to_owned(),
            (_, Some(_), _) if !seen && self.class != Class::Warmup => {
                "none of the series that it can rest on exists".to_owned()
            }
            (_, Some(comparison), _)
                if comparison.requests() > 0.0 || self.class != Class::Warmup =>
            {
                comparison.told(&self.criterion.unit)
            }
            (Test::Value(test), _, Some(Sample { v, .. })) => match self.class {
                Class::Bad => format!("{}, wanted `{}`", self.amount(v), test.when),
                Class::Missing => format!("no data any more (last was {})", self.amount(v)),
                Class::Good | Class::Warmup => self.amount(v),
            },
            _ if self.class == Class::Warmup => "warming up".to_owned(),
            _ => "no data".to_owned(),
        };
        format!("{name}: {told}")
    }

    /// What kept it from holding, as the end of a sentence.
    pub(crate) fn lacks(&self) -> String {
        self.comparison.as_ref().and_then(Comparison::lacks).unwrap_or_else(|| {
            format!("too late to hold for {} before the deadline", length(self.hold))
        })
    }

    fn amount(&self, value: f64) -> String {
        #[expect(clippy::float_cmp, reason = "just one")]
        let one = value == 1.0 && self.criterion.unit.len() > 2;
        let unit =
            if one { self.criterion.unit.trim_end_matches('s') } else { &self.criterion.unit };
        if unit.is_empty() { format!("{value}") } else { format!("{value} {unit}") }
    }

    pub(crate) fn state(&self) -> State {
        let (held, coverage) = self.longest();
        State {
            name: self.criterion.name.clone(),
            query: self.criterion.query.clone(),
            unit: self.criterion.unit.clone(),
            role: self.criterion.role,
            standing: self.standing(),
            points: self.points,
            coverage,
            held_seconds: seconds(held),
            held,
            last: self.last,
            worst: self.worst,
            evidence: self.comparison.as_ref().map(Comparison::evidence),
            missing_requests: self.comparison.as_ref().map(Comparison::missing_requests),
            requests: self.comparison.as_ref().map_or(0.0, Comparison::requests),
            has_looked: self.comparison.as_ref().is_some_and(Comparison::has_looked),
            notes: self.criterion.notes.clone(),
            told: self.told(),
            good_means: lane::good_means(self.criterion),
            trail: self.trail.clone(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of points")]
fn part(some: usize, all: usize) -> f64 {
    some as f64 / all as f64
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn number<S: serde::Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { to.serialize_f64(*value) } else { to.collect_str(value) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn moment<S: serde::Serializer>(at: &Ms, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&crate::ledger::rfc3339(*at))
}
