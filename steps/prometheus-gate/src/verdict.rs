//! The verdict: a pure function of the question, the start, the samples and the time.
//!
//! It walks over the final points in time order, as if it had stood at each of them, and the first
//! decision counts. So a gate that was killed and started again, and a replay, agree with one that
//! ran through. Nothing measured is never a pass.

use std::fmt;

use serde::Serialize;

use crate::{
    evidence::{Counts, Ratio},
    samples::{Answers, Part, Samples, Tally, seconds},
    spec::{CompareTest, Criterion, Ms, Spec, Test, ValueTest},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Inconclusive,
    Pending,
}

/// Which rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    /// Every criterion held for as long as asked.
    Hold,
    /// The canary does worse, and chance does not explain it.
    Evidence,
    /// Too many bad points.
    Limit,
    /// Bad points leave no time to hold before the deadline.
    Infeasible,
    /// Too few samples or requests to tell.
    NoData,
    /// The server gave no usable answer for too long.
    Outage,
    /// The time is over, and bad points are why.
    Deadline,
    /// A signal came before a verdict.
    Aborted,
    Pending,
}

/// What the gate says, and on what grounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    /// A sentence for a person, without a final period.
    pub(crate) message: String,
    /// When it was decided, by the server's clock.
    #[serde(skip)]
    pub(crate) decided_at: Ms,
    pub(crate) criteria: Vec<State>,
}

/// Where one criterion stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) query: String,
    #[serde(rename = "state")]
    pub(crate) standing: Standing,
    pub(crate) points: Points,
    pub(crate) held_seconds: f64,
    #[serde(skip)]
    pub(crate) held: Ms,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<Evidence>,
    /// The same for a person.
    pub(crate) told: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    Warmup,
    Missing,
    Bad,
    Holding,
    Held,
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

/// What a test against the baseline has found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    pub(crate) canary_errors: f64,
    pub(crate) canary_total: f64,
    pub(crate) baseline_errors: f64,
    pub(crate) baseline_total: f64,
    /// Natural logarithm of the evidence now.
    pub(crate) log_e: f64,
    /// Where it fails the gate.
    pub(crate) threshold: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The value may still reach back to before the canary, or to its cold start.
    Warmup,
    Good,
    Bad,
    /// The server answered, and there was no number.
    Missing,
}

/// Judges all that is final at `now`.
pub(crate) fn verdict(spec: &Spec, t0: Ms, samples: &Samples, now: Ms) -> Judgement {
    let timing = spec.timing;
    let end = t0 + timing.deadline;
    let mut tracks: Vec<Track> = spec
        .criteria
        .iter()
        .zip(&samples.answers)
        .map(|(criterion, answers)| Track::new(spec, criterion, answers, t0))
        .collect();
    let mut point = timing.first_from(t0);
    // Nothing is decided beyond a point that has not been answered: the next answer fills it in.
    let answered = |point: Ms| samples.answers.iter().all(|answers| answers.has(point));
    while point <= timing.last_final(now).min(end - timing.settle) && answered(point) {
        for track in &mut tracks {
            track.step(point);
        }
        if let Some((verdict, reason, message)) = decide(spec, &tracks, point, end) {
            return judgement(&tracks, (verdict, reason, message), point + timing.settle);
        }
        point += timing.step;
    }
    for track in &mut tracks {
        track.miss(point, timing.last_final(now));
    }
    let (decision, at) = at_last(spec, &tracks, samples.failing_since, now, end);
    judgement(&tracks, decision, at)
}

type Decision = (Verdict, Reason, String);

/// What is decided at one point. Unhealthy beats inconclusive beats healthy.
fn decide(spec: &Spec, tracks: &[Track], point: Ms, end: Ms) -> Option<Decision> {
    if let Some(message) = tracks.iter().find_map(Track::over_limit) {
        return Some((Verdict::Fail, Reason::Limit, message));
    }
    if let Some(message) = tracks.iter().find_map(Track::proven_worse) {
        return Some((Verdict::Fail, Reason::Evidence, message));
    }
    if !tracks.is_empty() && tracks.iter().all(Track::holds) {
        let held = tracks.iter().map(Track::told).collect::<Vec<_>>().join("; ");
        return Some((
            Verdict::Pass,
            Reason::Hold,
            format!("held for {}: {held}", length(spec.timing.hold)),
        ));
    }
    let late = |track: &&Track| track.earliest_pass(point) + spec.timing.settle > end;
    let blocked: Vec<&Track> = tracks.iter().filter(late).collect();
    let hold = length(spec.timing.hold);
    let why = |track: &Track| format!("{}; {}", track.told(), track.lacks(&hold));
    if let Some(track) = blocked.iter().find(|track| track.broken_by == Some(Class::Bad)) {
        return Some((Verdict::Fail, Reason::Infeasible, why(track)));
    }
    blocked.first().map(|track| (Verdict::Inconclusive, Reason::NoData, why(track)))
}

/// What is decided when no point decided: an outage, the deadline, or nothing yet.
fn at_last(
    spec: &Spec,
    tracks: &[Track],
    failing_since: Option<Ms>,
    now: Ms,
    end: Ms,
) -> (Decision, Ms) {
    if let Some(since) = failing_since.filter(|since| now - since >= spec.timing.max_outage) {
        let message = format!("Prometheus gave no usable answer for {}", length(now - since));
        return ((Verdict::Inconclusive, Reason::Outage, message), now);
    }
    let told = |tracks: &mut dyn Iterator<Item = &Track>| {
        tracks.map(Track::told).collect::<Vec<_>>().join("; ")
    };
    if now >= end {
        let over = format!("not held for {} by the deadline", length(spec.timing.hold));
        let bad = |track: &&Track| !track.holds() && track.broken_by == Some(Class::Bad);
        if tracks.iter().any(|track| bad(&track)) {
            let message = format!("{over}: {}", told(&mut tracks.iter().filter(bad)));
            return ((Verdict::Fail, Reason::Deadline, message), now);
        }
        let message =
            format!("{over}: {}", told(&mut tracks.iter().filter(|track| !track.holds())));
        return ((Verdict::Inconclusive, Reason::NoData, message), now);
    }
    ((Verdict::Pending, Reason::Pending, told(&mut tracks.iter())), now)
}

fn judgement(tracks: &[Track], (verdict, reason, message): Decision, decided_at: Ms) -> Judgement {
    Judgement {
        verdict,
        reason,
        message,
        decided_at,
        criteria: tracks.iter().map(Track::state).collect(),
    }
}

/// One criterion on its way over the points.
struct Track<'a> {
    criterion: &'a Criterion,
    answers: &'a Answers,
    hold: Ms,
    step: Ms,
    /// When the first window begins that reaches back to nothing but a warm canary.
    judged_from: Ms,
    /// All judged points, and which of them were good.
    judged: Vec<(Ms, bool)>,
    /// Where the run that may still hold began, and its newest good point.
    run: Option<(usize, usize)>,
    /// What ended the run before, or kept the first from beginning.
    broken_by: Option<Class>,
    points: Points,
    bad_in_a_row: usize,
    last: Option<f64>,
    last_class: Class,
    comparison: Option<Comparison<'a>>,
}

struct Comparison<'a> {
    test: CompareTest,
    tally: Tally<'a>,
    ratio: Ratio,
    sum: Counts,
}

impl<'a> Track<'a> {
    fn new(spec: &Spec, criterion: &'a Criterion, answers: &'a Answers, t0: Ms) -> Self {
        let comparison = match criterion.test {
            Test::Value(_) => None,
            Test::Compare(test) => Some(Comparison {
                test,
                tally: Tally::new(answers, t0),
                ratio: Ratio::new(test.max_ratio, 1.0),
                sum: Counts::default(),
            }),
        };
        Self {
            criterion,
            answers,
            hold: spec.timing.hold,
            step: spec.timing.step,
            judged_from: t0 + spec.timing.skew + spec.timing.warmup + criterion.window,
            judged: Vec::new(),
            run: None,
            broken_by: None,
            points: Points::default(),
            bad_in_a_row: 0,
            last: None,
            last_class: Class::Warmup,
            comparison,
        }
    }

    fn step(&mut self, point: Ms) {
        let warm = point >= self.judged_from;
        if let Some(comparison) = &mut self.comparison {
            comparison.step(point, point - self.step >= self.judged_from);
        }
        let class = if warm { self.classify(point) } else { Class::Warmup };
        self.last_class = class;
        *(match class {
            Class::Warmup => &mut self.points.warmup,
            Class::Good => &mut self.points.good,
            Class::Bad => &mut self.points.bad,
            Class::Missing => &mut self.points.missing,
        }) += 1;
        if warm {
            self.judged.push((point, class == Class::Good));
            self.follow(point, class);
        }
    }

    /// Counts the final points from `from` to `to` that the server has not answered for.
    fn miss(&mut self, from: Ms, to: Ms) {
        let mut point = self.answers.next(from, self.step);
        while point <= to {
            self.points.unknown += 1;
            point += self.step;
        }
    }

    fn classify(&mut self, point: Ms) -> Class {
        match &self.criterion.test {
            Test::Value(test) => {
                let values = self.answers.at(point);
                // A query with several series never gets here: that is a mistake in the question.
                let Some(value) = values.first().filter(|value| !value.is_nan()) else {
                    return Class::Missing;
                };
                self.last = Some(*value);
                match test.when.holds(*value, &|_| None) {
                    Some(true) => Class::Good,
                    Some(false) => Class::Bad,
                    None => Class::Missing,
                }
            }
            Test::Compare(_) => {
                let (canary, baseline) =
                    self.answers.parts(point).fold((false, false), |(canary, baseline), part| {
                        (
                            canary || part == Part::CanaryTotal,
                            baseline || part == Part::BaselineTotal,
                        )
                    });
                if canary && baseline { Class::Good } else { Class::Missing }
            }
        }
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

    /// The longest run up to the newest good point in which enough of the points are good.
    fn held(&self) -> Ms {
        let Some((first, newest)) = self.run else { return 0 };
        let run = &self.judged[first..=newest];
        let mut good = run.iter().filter(|(_, good)| *good).count();
        for (at, (start, is_good)) in run.iter().enumerate() {
            if *is_good && part(good, run.len() - at) >= self.criterion.coverage {
                return self.judged[newest].0 - start;
            }
            good -= usize::from(*is_good);
        }
        0
    }

    fn holds(&self) -> bool {
        let seen_enough = self.comparison.as_ref().is_none_or(Comparison::has_traffic);
        seen_enough && self.run.is_some() && self.held() >= self.hold
    }

    /// The earliest point at which it could hold, should every point from here on be good.
    fn earliest_pass(&self, point: Ms) -> Ms {
        let next = point + self.step;
        let start = match self.run {
            Some((first, _)) => self.judged[first].0,
            None => next.max(self.judged_from.div_euclid(self.step) * self.step),
        };
        (start + self.hold).max(if self.holds() { point } else { next })
    }

    /// What kept it from holding, as the end of a sentence.
    fn lacks(&self, hold: &str) -> String {
        match &self.comparison {
            Some(comparison) if !comparison.has_traffic() => {
                format!("{} requests to the canary are wanted", comparison.test.min_requests)
            }
            _ => format!("too late to hold for {hold} before the deadline"),
        }
    }

    fn over_limit(&self) -> Option<String> {
        let Test::Value(test) = &self.criterion.test else { return None };
        let ValueTest { fail_limit, consecutive_fail, .. } = test;
        if consecutive_fail.is_some_and(|limit| self.bad_in_a_row >= limit) && self.bad_in_a_row > 0
        {
            return Some(match self.bad_in_a_row {
                1 => self.told(),
                many => format!("{}, {many} times in a row", self.told()),
            });
        }
        (fail_limit.is_some_and(|limit| self.points.bad > limit))
            .then(|| format!("{}, {} bad points in all", self.told(), self.points.bad))
    }

    fn proven_worse(&self) -> Option<String> {
        let comparison = self.comparison.as_ref()?;
        let found = comparison.ratio.log_e() >= comparison.threshold();
        found.then(|| {
            format!(
                "{}; more than {} times the baseline's share, and chance would say so at most once in {:.0} releases",
                self.told(),
                comparison.test.max_ratio,
                1.0 / comparison.test.alpha
            )
        })
    }

    fn standing(&self) -> Standing {
        match self.last_class {
            Class::Warmup => Standing::Warmup,
            Class::Bad => Standing::Bad,
            _ if self.holds() => Standing::Held,
            _ if self.run.is_some() => Standing::Holding,
            _ => Standing::Missing,
        }
    }

    /// What it shows, in a few words with numbers and units.
    fn told(&self) -> String {
        let name = &self.criterion.name;
        match (&self.criterion.test, &self.comparison) {
            (Test::Value(test), _) => match (self.last, self.last_class) {
                (Some(value), Class::Good) => format!("{name}: {}", self.amount(value)),
                (Some(value), Class::Bad) => {
                    format!("{name}: {}, wanted `{}`", self.amount(value), test.when)
                }
                (Some(value), _) => {
                    format!("{name}: no data any more (last was {})", self.amount(value))
                }
                (None, _) if self.points.unknown > 0 => {
                    format!("{name}: no answer from Prometheus")
                }
                (None, Class::Warmup) => format!("{name}: warming up"),
                (None, _) => format!("{name}: no data"),
            },
            (Test::Compare(_), None) => unreachable!("a comparison is made with its track"),
            (Test::Compare(_), Some(_))
                if self.last_class != Class::Warmup && !self.answers.has_samples() =>
            {
                format!("{name}: none of the series it can rest on is there")
            }
            (Test::Compare(_), Some(comparison)) => {
                format!("{name}: {}", comparison.told(self.last_class))
            }
        }
    }

    fn amount(&self, value: f64) -> String {
        let unit = &self.criterion.unit;
        if unit.is_empty() { format!("{value}") } else { format!("{value} {unit}") }
    }

    fn state(&self) -> State {
        State {
            name: self.criterion.name.clone(),
            query: self.criterion.query.clone(),
            standing: self.standing(),
            points: self.points,
            held_seconds: seconds(self.held()),
            held: self.held(),
            last: self.last,
            evidence: self.comparison.as_ref().map(Comparison::evidence),
            told: self.told(),
        }
    }
}

impl Comparison<'_> {
    fn step(&mut self, point: Ms, judged: bool) {
        // The counters are followed through the warm-up too: that is where the series are met.
        let more = self.tally.step(point);
        if judged {
            self.sum.canary.add(more.canary);
            self.sum.baseline.add(more.baseline);
            self.ratio.look(more);
        }
    }

    fn threshold(&self) -> f64 {
        -self.test.alpha.ln()
    }

    fn has_traffic(&self) -> bool {
        self.sum.canary.total >= self.test.min_requests
    }

    fn told(&self, class: Class) -> String {
        let Counts { canary, baseline } = self.sum;
        let (Some(bad), Some(usual)) = (canary.share(), baseline.share()) else {
            return match class {
                Class::Warmup => "warming up".to_owned(),

                _ if canary.total > 0.0 => "no requests to the baseline to compare with".to_owned(),
                _ => "no requests to the canary".to_owned(),
            };
        };

        format!(
            "{} of {} requests to the canary failed ({}), {} of {} to the baseline ({})",
            canary.errors,
            canary.total,
            percent(bad),
            baseline.errors,
            baseline.total,
            percent(usual)
        )
    }

    fn evidence(&self) -> Evidence {
        Evidence {
            canary_errors: self.sum.canary.errors,
            canary_total: self.sum.canary.total,
            baseline_errors: self.sum.baseline.errors,
            baseline_total: self.sum.baseline.total,
            log_e: self.ratio.log_e(),
            threshold: self.threshold(),
        }
    }
}

impl Judgement {
    /// The same as the last word of a gate that has to stop.
    pub(crate) fn aborted(self) -> Self {
        let message = format!("stopped by a signal before a verdict; {}", self.message);
        Self { verdict: Verdict::Inconclusive, reason: Reason::Aborted, message, ..self }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Pending => "pending",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hold => "hold",
            Self::Evidence => "evidence",
            Self::Limit => "limit",
            Self::Infeasible => "infeasible",
            Self::NoData => "nodata",
            Self::Outage => "outage",
            Self::Deadline => "deadline",
            Self::Aborted => "aborted",
            Self::Pending => "pending",
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of points")]
fn part(some: usize, all: usize) -> f64 {
    some as f64 / all as f64
}

/// `0.0134` as `1.34 %`.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent == 0.0 || percent >= 99.95 {
        0
    } else if percent >= 10.0 {
        1
    } else {
        2
    };
    format!("{percent:.digits$} %")
}

/// A length of time for people, such as `1m 30s`.
pub(crate) fn length(length: Ms) -> String {
    humantime::format_duration(std::time::Duration::from_millis(length.unsigned_abs())).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        samples::{Labels, PART, Series},
        spec::{SECOND, Timing},
    };

    const T0: Ms = 1_000_000 * SECOND;
    const STEP: Ms = 5 * SECOND;

    /// Points are 5 s apart; judged from 20 s after the start; 30 s of hold.
    const TIMING: Timing = Timing {
        step: STEP,
        hold: 30 * SECOND,
        warmup: 18 * SECOND,
        skew: 2 * SECOND,
        settle: 10 * SECOND,
        deadline: 300 * SECOND,
        max_outage: 60 * SECOND,
    };

    fn zero_errors() -> Criterion {
        Criterion {
            name: "errors".into(),
            query: "errors".into(),
            window: 0,
            coverage: 0.9,
            max_gap: 15 * SECOND,
            unit: String::new(),
            test: Test::Value(ValueTest {
                when: "value == 0".parse().unwrap(),
                fail_limit: None,
                consecutive_fail: Some(5),
            }),
        }
    }

    fn spec(criterion: Criterion) -> Spec {
        Spec { timing: TIMING, criteria: vec![criterion] }
    }

    /// One mark per point from the start: `.` good, `x` bad, `_` no sample, `n` NaN, `?` no answer.
    fn answers(marks: &str) -> Answers {
        let mut answers = Answers::default();
        let mut point = T0;
        for mark in marks.chars() {
            let value = match mark {
                '.' => Some(0.0),
                'x' => Some(1.0),
                'n' => Some(f64::NAN),
                '_' => None,
                '?' => {
                    point += STEP;
                    continue;
                }
                other => panic!("no such mark: {other}"),
            };
            let values = value.map(|value| (point, value)).into_iter().collect();
            answers.add((point, point, STEP), &[Series { labels: Labels::new(), values }]);
            point += STEP;
        }
        answers
    }

    /// What the gate says when the last mark has just become final.
    fn judged(marks: &str) -> (Verdict, Reason) {
        let now = T0 + STEP * (Ms::try_from(marks.len()).unwrap() - 1) + TIMING.settle;
        let samples = Samples { answers: vec![answers(marks)], failing_since: None };
        let judgement = verdict(&spec(zero_errors()), T0, &samples, now);
        (judgement.verdict, judgement.reason)
    }

    /// A minute of warm-up marks, then others.
    const WARM: &str = "....";
    const PENDING: (Verdict, Reason) = (Verdict::Pending, Reason::Pending);
    const PASS: (Verdict, Reason) = (Verdict::Pass, Reason::Hold);

    #[test]
    fn what_holds_long_enough_passes_and_not_a_point_earlier() {
        assert_eq!(judged(&format!("{WARM}......")), PENDING);
        assert_eq!(judged(&format!("{WARM}.......")), PASS);
    }

    #[test]
    fn nothing_measured_is_inconclusive_at_the_end() {
        assert_eq!(judged(&"_".repeat(40)), PENDING);
        assert_eq!(judged(&"_".repeat(61)), (Verdict::Inconclusive, Reason::NoData));
        assert_eq!(judged(&"n".repeat(61)), (Verdict::Inconclusive, Reason::NoData));
    }

    #[test]
    fn a_warm_up_has_no_say_whatever_its_values() {
        assert_eq!(judged("xxxx......."), PASS);
        assert_eq!(judged("xxxx......"), PENDING);
    }

    #[test]
    fn a_bad_point_starts_the_hold_anew() {
        assert_eq!(judged(&format!("{WARM}..x......")), PENDING);
        assert_eq!(judged(&format!("{WARM}..x.......")), PASS);
    }

    #[test]
    fn a_missed_scrape_does_not_interrupt_but_a_long_gap_does() {
        assert_eq!(judged(&format!("{WARM}..........._...")), PASS);
        assert_eq!(
            judged(&format!("{WARM}..._....")),
            PENDING,
            "one of eight points is more than a tenth"
        );
        assert_eq!(judged(&format!("{WARM}.....____...")), PENDING, "not observed is not held");
    }

    #[test]
    fn bad_points_in_a_row_fail_and_missing_ones_between_do_not_help() {
        assert_eq!(judged(&format!("{WARM}xxxx")), PENDING);
        assert_eq!(judged(&format!("{WARM}xxxxx")), (Verdict::Fail, Reason::Limit));
        assert_eq!(judged(&format!("{WARM}xx_x_xx")), (Verdict::Fail, Reason::Limit));
        assert_eq!(judged(&format!("{WARM}xxxx.xxxx")), PENDING);
    }

    #[test]
    fn bad_points_that_leave_no_time_to_hold_fail() {
        // The deadline is 300 s after the start: a hold that begins after 260 s cannot settle before.
        let flapping = "x.".repeat(30);
        assert_eq!(judged(&flapping[..52]), PENDING);
        assert_eq!(judged(&flapping[..53]), (Verdict::Fail, Reason::Infeasible));
    }

    #[test]
    fn the_last_hold_that_fits_before_the_deadline_passes() {
        let bad = "xxxx.".repeat(20);
        assert_eq!(judged(&format!("{}x.......", &bad[..51])), PASS);
    }

    #[test]
    fn an_outage_is_inconclusive_once_it_is_too_long() {
        let samples = Samples {
            answers: vec![answers(&format!("{WARM}..????"))],
            failing_since: Some(T0 + 30 * SECOND),
        };
        let at =
            |seconds| verdict(&spec(zero_errors()), T0, &samples, T0 + seconds * SECOND).reason;
        assert_eq!((at(89), at(90)), (Reason::Pending, Reason::Outage));
    }

    #[test]
    fn a_window_that_reaches_back_before_the_canary_delays_the_first_judged_point() {
        let windowed = Criterion { window: 60 * SECOND, ..zero_errors() };
        let judged = |bad: usize, good: usize| {
            let marks = format!("{}{}", "x".repeat(bad), ".".repeat(good));
            let now = T0 + STEP * (Ms::try_from(marks.len()).unwrap() - 1) + TIMING.settle;
            verdict(
                &spec(windowed.clone()),
                T0,
                &Samples { answers: vec![answers(&marks)], failing_since: None },
                now,
            )
        };
        assert_eq!(judged(16, 7).verdict, Verdict::Pass);
        assert_eq!(
            judged(17, 7).points(),
            Points { good: 7, bad: 1, warmup: 16, ..Points::default() }
        );
    }

    impl Judgement {
        fn points(&self) -> Points {
            self.criteria[0].points
        }
    }

    fn compare() -> Criterion {
        Criterion {
            max_gap: 90 * SECOND,
            test: Test::Compare(CompareTest { max_ratio: 1.25, alpha: 0.05, min_requests: 50.0 }),
            ..zero_errors()
        }
    }

    /// Counters that grow by so much per step on each side: canary errors and total, baseline's.
    fn counting(per_step: [f64; 4], steps: usize) -> Answers {
        let parts = ["canary_errors", "canary_total", "baseline_errors", "baseline_total"];
        let mut answers = Answers::default();
        let series: Vec<Series> = parts
            .iter()
            .zip(per_step)
            .map(|(part, growth)| Series {
                labels: [(PART.to_owned(), (*part).to_owned())].into(),
                values: (0..steps)
                    .map(|k| (T0 + STEP * as_ms(k), growth * f64::from(u32::try_from(k).unwrap())))
                    .collect(),
            })
            .collect();
        answers.add((T0, T0 + STEP * as_ms(steps - 1), STEP), &series);
        answers
    }

    fn as_ms(count: usize) -> Ms {
        Ms::try_from(count).unwrap()
    }

    fn compared(per_step: [f64; 4], steps: usize) -> Judgement {
        let samples = Samples { answers: vec![counting(per_step, steps)], failing_since: None };
        verdict(&spec(compare()), T0, &samples, T0 + STEP * as_ms(steps - 1) + TIMING.settle)
    }

    #[test]
    fn a_canary_that_always_fails_is_refused_at_the_first_look() {
        // 20 requests a second, a tenth of them to the canary.
        let judgement = compared([10.0, 10.0, 0.0, 90.0], 6);
        assert_eq!((judgement.verdict, judgement.reason), (Verdict::Fail, Reason::Evidence));
        assert_eq!(
            judgement.message,
            "errors: 10 of 10 requests to the canary failed (100 %), 0 of 90 to the baseline (0 %); \
             more than 1.25 times the baseline's share, and chance would say so at most once in 20 releases"
        );
    }

    #[test]
    fn a_canary_like_its_baseline_passes_after_the_hold() {
        let judgement = compared([0.0, 10.0, 0.0, 90.0], 11);
        assert_eq!((judgement.verdict, judgement.reason), (Verdict::Pass, Reason::Hold));
        assert_eq!(compared([0.0, 10.0, 0.0, 90.0], 10).verdict, Verdict::Pending);
    }

    #[test]
    fn too_few_requests_are_inconclusive_and_the_missing_ones_are_told() {
        let judgement = compared([0.0, 0.5, 0.0, 90.0], 61);
        assert_eq!((judgement.verdict, judgement.reason), (Verdict::Inconclusive, Reason::NoData));
        assert_eq!(
            judgement.message,
            "errors: 0 of 27 requests to the canary failed (0 %), 0 of 4860 to the baseline (0 %); \
             50 requests to the canary are wanted"
        );
    }

    #[test]
    fn a_canary_without_traffic_never_passes() {
        let judgement = compared([0.0, 0.0, 0.0, 90.0], 61);
        assert_eq!((judgement.verdict, judgement.reason), (Verdict::Inconclusive, Reason::NoData));
        assert!(judgement.message.contains("no requests to the canary"), "{}", judgement.message);
    }

    fn marks() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![4 => Just('.'), 1 => Just('x'), 1 => Just('_'), 1 => Just('n')],
            1..64,
        )
        .prop_map(|marks| marks.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_order_and_size_of_answers_does_not_matter(marks in marks(), cuts in proptest::collection::vec(0..64_usize, 0..6), from_the_end: bool) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < marks.len()).collect();
            cuts.extend([0, marks.len()]);
            cuts.sort_unstable();
            let mut parts: Vec<(usize, usize)> = cuts.windows(2).map(|cut| (cut[0], cut[1])).filter(|(a, b)| a < b).collect();
            if from_the_end {
                parts.reverse();
            }
            let mut split = Answers::default();
            for (from, to) in parts {
                let values = marks.chars().enumerate().filter(|(at, _)| (from..to).contains(at)).filter_map(|(at, mark)| {
                    let value = match mark { '.' => 0.0, 'x' => 1.0, 'n' => f64::NAN, _ => return None };
                    Some((T0 + STEP * as_ms(at), value))
                });
                let series = Series { labels: Labels::new(), values: values.collect() };
                split.add((T0 + STEP * as_ms(from), T0 + STEP * as_ms(to - 1), STEP), &[series]);
            }
            let now = T0 + STEP * as_ms(marks.len() - 1) + TIMING.settle;
            let judge = |answers| verdict(&spec(zero_errors()), T0, &Samples { answers: vec![answers], failing_since: None }, now);
            prop_assert_eq!(judge(split), judge(answers(&marks)));
        }

        #[test]
        fn a_gate_that_looked_at_every_step_agrees_with_one_that_looks_once(marks in marks()) {
            let first = (1..=marks.len()).map(|seen| judged(&marks[..seen])).find(|judged| judged.0 != Verdict::Pending);
            prop_assert_eq!(first.unwrap_or(PENDING), judged(&marks));
        }

        #[test]
        fn an_outage_that_is_filled_in_later_changes_nothing(marks in marks(), from in 0..64_usize, length in 1..64_usize) {
            let marks = &marks[..marks.len().min(57)]; // at the deadline an outage is the end
            let from = from % marks.len();
            let outage: String = marks.chars().enumerate().map(|(at, mark)| if (from..from + length).contains(&at) { '?' } else { mark }).collect();
            let during = judged(&outage);
            prop_assert!(during == PENDING || during == judged(marks), "{during:?}");
        }

        #[test]
        fn turning_a_point_bad_or_taking_a_good_one_away_never_makes_a_pass(marks in marks(), at in 0..64_usize, bad: bool) {
            let at = at % marks.len();
            let mut worse = marks.clone();
            worse.replace_range(at..=at, if bad { "x" } else { "_" });
            if !bad && &marks[at..=at] == "x" {
                return Ok(()); // to take a bad point away may help
            }
            if judged(&worse) == PASS {
                // It may come earlier or later by nothing: the run it rests on was there before.
                prop_assert_eq!(judged(&marks), PASS);
            }
        }

        #[test]
        fn every_run_ends_by_its_deadline(marks in marks()) {
            let samples = Samples { answers: vec![answers(&marks)], failing_since: None };
            let judgement = verdict(&spec(zero_errors()), T0, &samples, T0 + TIMING.deadline);
            prop_assert_ne!(judgement.verdict, Verdict::Pending);
        }

        #[test]
        fn without_a_good_judged_point_there_is_no_pass(marks in "[x_n]{1,64}") {
            prop_assert_ne!(judged(&marks).0, Verdict::Pass);
        }

        #[test]
        fn infeasible_is_never_said_while_a_pass_is_possible(marks in marks()) {
            if let (_, Reason::Infeasible | Reason::NoData) = judged(&marks) {
                let best = format!("{marks}{}", ".".repeat(64));
                let hopeful = (1..=marks.len()).find(|seen| judged(&marks[..*seen]).0 != Verdict::Pending).unwrap();
                let best = format!("{}{}", &marks[..hopeful - 1], &best[hopeful - 1..hopeful]);
                let mut generous = spec(zero_errors());
                generous.timing.deadline = TIMING.deadline;
                let answers = answers(&format!("{best}{}", ".".repeat(64)));
                let held = Track::best_case(&generous, &answers, T0, best.len());
                prop_assert!(!held, "a pass was possible after {best}");
            }
        }
    }

    impl Track<'_> {
        /// Whether any point up to the deadline would hold, deciding nothing on the way.
        fn best_case(spec: &Spec, answers: &Answers, t0: Ms, from: usize) -> bool {
            let mut track = Track::new(spec, &spec.criteria[0], answers, t0);
            let last = (spec.timing.deadline - spec.timing.settle) / spec.timing.step;
            (0..=last).any(|k| {
                track.step(t0 + k * spec.timing.step);
                k + 1 >= as_ms(from) && track.holds()
            })
        }
    }
}
