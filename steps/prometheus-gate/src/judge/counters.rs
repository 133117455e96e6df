//! By how much raw counters grew from point to point, on both sides of a comparison.
//!
//! `increase()` would extrapolate to fractions and lose the first increment of a new series, so
//! that one error can look like none. What was sampled long after the sample before it is taken for
//! neither side: the two would cover different stretches of time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::{
    samples::{Labels, Series, as_float},
    spec::{Ms, SECOND},
};

/// The label by which one query tells apart what its series stand for.
pub(crate) const ROLE: &str = "gate_part";

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Revision {
    Canary,
    Baseline,
}

/// What is measured of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// Requests that have ended.
    Total,
    /// Those of them that count against the revision.
    Errors,
    /// The same, counted one step further inside, where the outer count takes some for answered.
    Inner,
    /// A histogram's buckets.
    Bucket,
    /// Requests that have begun.
    Starts,
    /// Requests that are under way: a gauge.
    Active,
    /// When the counters were sampled, in seconds since 1970.
    Sampled,
}

/// What a series stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SeriesRole {
    Of(Revision, Measure),
    /// `up`: that a process was scraped.
    Up,
    /// `process_start_time_seconds`.
    Started,
    /// The newest scrape of anything, in seconds since 1970.
    Scraped,
    /// What a query of one's own returns.
    Value,
}

impl SeriesRole {
    const NAMED: [Self; 17] = {
        use Measure::{Active, Bucket, Errors, Inner, Sampled, Starts, Total};
        use Revision::{Baseline, Canary};
        [
            Self::Of(Canary, Total),
            Self::Of(Canary, Errors),
            Self::Of(Canary, Inner),
            Self::Of(Canary, Bucket),
            Self::Of(Canary, Starts),
            Self::Of(Canary, Active),
            Self::Of(Canary, Sampled),
            Self::Of(Baseline, Total),
            Self::Of(Baseline, Errors),
            Self::Of(Baseline, Inner),
            Self::Of(Baseline, Bucket),
            Self::Of(Baseline, Starts),
            Self::Of(Baseline, Active),
            Self::Of(Baseline, Sampled),
            Self::Up,
            Self::Started,
            Self::Scraped,
        ]
    };

    pub(crate) fn label(self) -> String {
        let Self::Of(revision, measure) = self else {
            return match self {
                Self::Up => "up",
                Self::Started => "started",
                Self::Scraped => "scraped",
                _ => "",
            }
            .to_owned();
        };
        let revision = match revision {
            Revision::Canary => "canary",
            Revision::Baseline => "baseline",
        };
        let measure = match measure {
            Measure::Total => "total",
            Measure::Errors => "errors",
            Measure::Inner => "inner",
            Measure::Bucket => "bucket",
            Measure::Starts => "starts",
            Measure::Active => "active",
            Measure::Sampled => "sampled",
        };
        format!("{revision}_{measure}")
    }

    pub(crate) fn of(labels: &Labels) -> Self {
        let Some(label) = labels.get(ROLE) else { return Self::Value };
        Self::NAMED.into_iter().find(|role| role.label() == *label).unwrap_or(Self::Value)
    }
}

/// What is counted over all processes: of which side, what it measures, a bucket's bound as bits.
type Key = (Revision, Measure, u64);

/// The same of one process.
type Counter = (Revision, Measure, u32, u64);

/// What the server has answered about a comparison's counters, reduced to their growth.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    t0: Ms,
    /// Growth between two samples that are further apart is left out.
    max_gap: Ms,
    processes: BTreeMap<String, u32>,
    last: BTreeMap<Counter, f64>,
    sampled: BTreeMap<(Revision, u32), Sampled>,
    cadence: [Cadence; 2],
    /// Processes that were scraped at the point before; nothing before the first point.
    scraped: Option<BTreeSet<u32>>,
    /// What has grown since all processes were last sampled together.
    open: BTreeMap<Key, f64>,
    points: BTreeMap<Ms, Growth>,
    /// New series whose first value had to be left out, because it may be older than the canary.
    pub(crate) left_out: usize,
    /// How many series the last answer had.
    pub(crate) breadth: usize,
}

/// When a process was sampled: last, and when growth was last handed on.
#[derive(Clone, Copy, Debug, Default)]
struct Sampled {
    last: Ms,
    /// 0 before the first time.
    handed_on: Ms,
}

/// How far apart the samples of one side are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cadence {
    newest: Option<Ms>,
    apart: VecDeque<Ms>,
}

impl Cadence {
    pub(crate) const KEPT: usize = 8;

    pub(crate) fn see(&mut self, sampled: Ms) {
        if let Some(newest) = self.newest.filter(|newest| sampled > *newest) {
            self.apart.push_back(sampled - newest);
            if self.apart.len() > Self::KEPT {
                self.apart.pop_front();
            }
        }
        self.newest = self.newest.max(Some(sampled));
    }

    /// The age at which a sample no longer shows how things are: one scrape may fail, two may not.
    pub(crate) fn good_for(&self, step: Ms, max_gap: Ms) -> Ms {
        let mut apart: Vec<Ms> = self.apart.iter().copied().collect();
        apart.sort_unstable();
        // The upper quartile, so that the gap just seen is not taken for the usual distance.
        let usual = apart.get((apart.len() * 3 / 4).min(apart.len().saturating_sub(1)));
        usual.map_or(max_gap, |usual| (2 * usual + step).min(max_gap))
    }
}

/// What one point shows of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Growth {
    counts: Box<[(Key, f64)]>,
    /// Requests under way: the canary's, the baseline's.
    active: [Option<f64>; 2],
    /// Whether each side has been sampled recently.
    fresh: [bool; 2],
    /// One side was not sampled for so long that what the other one did meanwhile has nothing to be
    /// compared with.
    pub(crate) gap: bool,
    /// When the oldest of the counters that this is the growth of was sampled before; nothing while
    /// not all processes have been sampled again.
    pub(crate) since: Option<Ms>,
}

impl Growth {
    pub(crate) fn of(&self, revision: Revision, measure: Measure) -> f64 {
        self.counted(revision, measure).fold(0.0, |sum, (_, growth)| sum + growth)
    }

    /// The bounds of a histogram's buckets, in rising order, with how many values were at most that.
    pub(crate) fn buckets(&self, revision: Revision) -> Vec<(f64, f64)> {
        self.counted(revision, Measure::Bucket)
            .map(|(bits, growth)| (f64::from_bits(bits), growth))
            .collect()
    }

    fn counted(&self, revision: Revision, measure: Measure) -> impl Iterator<Item = (u64, f64)> {
        self.counts
            .iter()
            .filter(move |((whose, what, _), _)| (*whose, *what) == (revision, measure))
            .map(|((_, _, bits), growth)| (*bits, *growth))
    }

    pub(crate) const fn active(&self, revision: Revision) -> Option<f64> {
        self.active[revision as usize]
    }

    pub(crate) const fn is_fresh(&self, revision: Revision) -> bool {
        self.fresh[revision as usize]
    }
}

/// One sample of an answer.
#[derive(Clone, Copy)]
struct Sample {
    role: SeriesRole,
    process: u32,
    bits: u64,
    value: f64,
}

impl Counters {
    pub(crate) fn new(t0: Ms, max_gap: Ms) -> Self {
        Self {
            t0,
            max_gap,
            processes: BTreeMap::new(),
            last: BTreeMap::new(),
            sampled: BTreeMap::new(),
            cadence: <[Cadence; 2]>::default(),
            scraped: None,
            open: BTreeMap::new(),
            points: BTreeMap::new(),
            left_out: 0,
            breadth: 0,
        }
    }

    /// Takes in an answer about the points `from`, `from + step`, … `to`, which follow those that
    /// were answered before. Every one of them counts as answered, with or without samples.
    pub(crate) fn add(&mut self, (from, to, step): (Ms, Ms, Ms), answer: &[Series]) {
        self.breadth = answer.len();
        let mut samples: Vec<(Ms, Sample)> = Vec::new();
        for series in answer {
            let role = SeriesRole::of(&series.labels);
            let process = self.process(&series.labels);
            let bound = series.labels.get("le").and_then(|bound| bound.parse::<f64>().ok());
            // Bounds are not negative, so their bits are in their own order.
            let bits = bound.filter(|bound| *bound >= 0.0).unwrap_or_default().to_bits();
            let sample = |(at, value): &(Ms, f64)| {
                (!value.is_nan()).then_some((*at, Sample { role, process, bits, value: *value }))
            };
            samples.extend(series.values.iter().filter_map(sample));
        }
        samples.sort_by_key(|(at, _)| *at);
        let mut rest = samples.as_slice();
        let mut point = from;
        while point <= to {
            rest = &rest[rest.partition_point(|(at, _)| *at < point)..];
            let (now, later) = rest.split_at(rest.partition_point(|(at, _)| *at == point));
            rest = later;
            if self.points.last_key_value().is_none_or(|(newest, _)| point > *newest) {
                let now: Vec<Sample> = now.iter().map(|(_, sample)| *sample).collect();
                let growth = self.step(point, step, &now);
                self.points.insert(point, growth);
            }
            point += step;
        }
    }

    /// The first point from `from` on that no answer has covered.
    pub(crate) fn next(&self, from: Ms, step: Ms) -> Ms {
        self.points.last_key_value().map_or(from, |(newest, _)| (newest + step).max(from))
    }

    pub(crate) fn at(&self, point: Ms) -> Option<&Growth> {
        self.points.get(&point)
    }

    /// What each point showed, in time order.
    pub(crate) fn growths(&self) -> impl Iterator<Item = &Growth> {
        self.points.values()
    }

    /// Whether the server has ever given a sample.
    pub(crate) fn has_samples(&self) -> bool {
        !self.last.is_empty()
    }

    /// Feeds all that a verdict can rest on to a hash.
    pub(crate) fn digest(&self, hash: &mut Sha256) {
        for (point, growth) in &self.points {
            hash.update(format!("{point} {growth:?}\n"));
        }
    }

    /// The number of the process that a series belongs to: all its labels but our own and the bound.
    fn process(&mut self, labels: &Labels) -> u32 {
        let named: Vec<String> = labels
            .iter()
            .filter(|(name, _)| *name != ROLE && *name != "le")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let next = u32::try_from(self.processes.len()).unwrap_or(u32::MAX);
        *self.processes.entry(named.join(",")).or_insert(next)
    }

    /// What was counted since the point before.
    fn step(&mut self, point: Ms, step: Ms, samples: &[Sample]) -> Growth {
        let present = self.sampled_at(point, samples);
        self.grow(samples, &present);
        let mut growth = Growth::default();
        for revision in [Revision::Canary, Revision::Baseline] {
            let newest = present
                .iter()
                .filter(|((whose, _), _)| *whose == revision)
                .map(|(_, (at, _))| *at)
                .max();
            let cadence = &mut self.cadence[revision as usize];
            if let Some(newest) = newest {
                cadence.see(newest);
            }
            let good_for = cadence.good_for(step, self.max_gap);
            growth.fresh[revision as usize] =
                newest.is_some_and(|newest| point - newest <= good_for);
            growth.gap |= cadence.newest.is_some_and(|newest| point - newest > self.max_gap);
            growth.active[revision as usize] = active(samples, revision);
        }
        growth.since = self.all_sampled_again(point, &present);
        if growth.since.is_some() || growth.gap {
            growth.counts = std::mem::take(&mut self.open).into_iter().collect();
        }
        let scraped = |sample: &&Sample| match sample.role {
            SeriesRole::Up => sample.value > 0.0,
            SeriesRole::Started => false,
            _ => true,
        };
        self.scraped = Some(samples.iter().filter(scraped).map(|sample| sample.process).collect());
        growth
    }

    /// When each process that shows counters at a point was sampled, and whether that is so long
    /// after the time before that its growth is left out.
    fn sampled_at(
        &mut self,
        point: Ms,
        samples: &[Sample],
    ) -> BTreeMap<(Revision, u32), (Ms, bool)> {
        let mut present: BTreeMap<(Revision, u32), Ms> = BTreeMap::new();
        for Sample { role, process, value, .. } in samples {
            let SeriesRole::Of(revision, measure) = role else { continue };
            let known = present.entry((*revision, *process)).or_insert(point);
            if *measure == Measure::Sampled {
                *known = crate::spec::millis(value * as_float(SECOND)).unwrap_or(point).min(point);
            }
        }
        let follow = |(whose, at): ((Revision, u32), Ms)| {
            let known = self.sampled.get(&whose).copied();
            // Two servers behind one address may answer in turn: what the slower one has is no reset.
            if known.is_some_and(|known| at < known.last) {
                return None;
            }
            let torn = known.is_some_and(|known| at - known.last > self.max_gap);
            self.sampled.entry(whose).or_default().last = at;
            Some((whose, (at, torn)))
        };
        present.into_iter().filter_map(follow).collect()
    }

    fn grow(&mut self, samples: &[Sample], present: &BTreeMap<(Revision, u32), (Ms, bool)>) {
        let young: BTreeSet<u32> = samples
            .iter()
            .filter(|sample| {
                sample.role == SeriesRole::Started
                    && sample.value * as_float(SECOND) >= as_float(self.t0)
            })
            .map(|sample| sample.process)
            .collect();
        for ((revision, measure, process, bits), value) in counters_of(samples) {
            let Some((_, torn)) = present.get(&(revision, process)) else { continue };
            let grown = match self.last.insert((revision, measure, process, bits), value) {
                _ if *torn => 0.0,
                Some(last) if value >= last => value - last,
                Some(_) => value, // the process began to count anew
                None => match &self.scraped {
                    None => 0.0, // the first look: that is where counting begins
                    Some(scraped) if scraped.contains(&process) => value,
                    Some(_) if young.contains(&process) => value,
                    Some(_) => {
                        self.left_out += 1;
                        0.0
                    }
                },
            };
            *self.open.entry((revision, measure, bits)).or_default() += grown;
        }
    }

    /// Since when every process was sampled again, if all were since growth was last handed on. What
    /// only some of them have told would be compared with nothing of the others.
    fn all_sampled_again(
        &mut self,
        point: Ms,
        present: &BTreeMap<(Revision, u32), (Ms, bool)>,
    ) -> Option<Ms> {
        let handed_on = |whose| self.sampled.get(whose).map_or(0, |sampled| sampled.handed_on);
        let waited_for = present
            .iter()
            .any(|(whose, (at, _))| *at <= handed_on(whose) && point - at <= self.max_gap);
        if waited_for || present.is_empty() {
            return None;
        }
        // What a process that is new has counted is as young as the process.
        let anew = present.iter().filter(|(whose, (at, _))| *at > handed_on(whose));
        let known = anew.map(|(whose, _)| handed_on(whose)).filter(|at| *at > 0);
        let since = known.min().unwrap_or(self.t0);
        for (whose, (at, _)) in present {
            self.sampled.entry(*whose).or_default().handed_on = *at;
        }
        Some(since)
    }
}

/// The counters of a point. Of two names of one bucket, such as `1` and `1.0`, the greater counts.
fn counters_of(samples: &[Sample]) -> BTreeMap<Counter, f64> {
    let mut counters = BTreeMap::new();
    for Sample { role, process, bits, value } in samples {
        let SeriesRole::Of(revision, measure) = *role else { continue };
        if !matches!(measure, Measure::Sampled | Measure::Active) {
            let greatest = counters.entry((revision, measure, *process, *bits)).or_insert(*value);
            *greatest = value.max(*greatest);
        }
    }
    counters
}

fn active(samples: &[Sample], revision: Revision) -> Option<f64> {
    let wanted = SeriesRole::Of(revision, Measure::Active);
    let found = samples.iter().filter(|sample| sample.role == wanted).map(|sample| sample.value);
    found.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(role: &str, instance: &str, values: &[(Ms, f64)]) -> Series {
        let labels = [(ROLE, role), ("instance", instance)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Series { labels, values: values.to_vec() }
    }

    fn counters(last: Ms, answer: &[Series]) -> Counters {
        let mut counters = Counters::new(0, 20);
        counters.add((0, last, 1), answer);
        counters
    }

    fn canary_errors(answer: &[Series]) -> (Vec<f64>, usize) {
        let counters = counters(3, answer);
        let grown = counters.growths().map(|growth| growth.of(Revision::Canary, Measure::Errors));
        (grown.collect(), counters.left_out)
    }

    fn total(instance: &str) -> Series {
        series("canary_total", instance, &[(0, 1000.0), (1, 2000.0), (2, 3000.0), (3, 4000.0)])
    }

    #[test]
    fn what_was_counted_before_the_first_look_is_not_ours() {
        let old = series("canary_errors", "a", &[(0, 7.0), (1, 7.0), (2, 9.0), (3, 9.0)]);
        assert_eq!(canary_errors(&[total("a"), old]), (vec![0.0, 0.0, 2.0, 0.0], 0));
    }

    #[test]
    fn the_first_error_of_a_known_process_counts() {
        let new = series("canary_errors", "a", &[(2, 3.0), (3, 4.0)]);
        assert_eq!(canary_errors(&[total("a"), new]), (vec![0.0, 0.0, 3.0, 1.0], 0));
    }

    #[test]
    fn a_process_known_by_its_scrapes_alone_is_known() {
        let up = series("up", "b", &[(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)]);
        let first = [(2, 3.0), (3, 4.0)];
        let new = [series("canary_errors", "b", &first), series("canary_total", "b", &first)];
        assert_eq!(
            canary_errors(&[up, new[0].clone(), new[1].clone()]),
            (vec![0.0, 0.0, 3.0, 1.0], 0)
        );
    }

    #[test]
    fn a_process_nobody_knew_begins_at_its_first_value() {
        let new = series("canary_errors", "b", &[(2, 30.0), (3, 31.0)]);
        assert_eq!(canary_errors(&[total("a"), new]), (vec![0.0, 0.0, 0.0, 1.0], 1));
    }

    #[test]
    fn a_process_that_started_after_the_canary_counts_from_zero() {
        let started = series("started", "b", &[(2, 0.001), (3, 0.001)]);
        let new = series("canary_errors", "b", &[(2, 3.0), (3, 4.0)]);
        assert_eq!(canary_errors(&[total("a"), started, new]), (vec![0.0, 0.0, 3.0, 1.0], 0));
    }

    #[test]
    fn a_reset_loses_only_what_came_after_the_last_look() {
        let reset = series("canary_errors", "a", &[(0, 90.0), (1, 95.0), (2, 2.0), (3, 3.0)]);
        assert_eq!(canary_errors(&[total("a"), reset]), (vec![0.0, 5.0, 2.0, 1.0], 0));
    }

    #[test]
    fn a_missed_scrape_is_bridged() {
        let gap = series("canary_errors", "a", &[(0, 5.0), (3, 9.0)]);
        assert_eq!(canary_errors(&[total("a"), gap]), (vec![0.0, 0.0, 0.0, 4.0], 0));
    }

    /// A counter that grows by so much per point, sampled at the points that pass.
    fn scraped(role: &str, per_point: f64, last: Ms, sampled: impl Fn(Ms) -> bool) -> [Series; 2] {
        let newest = |point: Ms| (0..=point).rev().find(|at| sampled(*at));
        let at = |value: &dyn Fn(Ms) -> f64| -> Vec<(Ms, f64)> {
            (0..=last).filter_map(|point| Some((point, value(newest(point)?)))).collect()
        };
        let side = role.split('_').next().unwrap();
        [
            series(role, side, &at(&|at| per_point * as_float(at))),
            series(&format!("{side}_sampled"), side, &at(&|at| as_float(at) / as_float(SECOND))),
        ]
    }

    fn totals(counters: &Counters) -> Vec<(f64, f64)> {
        let of = |growth: &Growth, side| growth.of(side, Measure::Total);
        counters
            .growths()
            .map(|growth| (of(growth, Revision::Canary), of(growth, Revision::Baseline)))
            .collect()
    }

    #[test]
    fn sides_that_are_sampled_in_turn_grow_together() {
        let canary = scraped("canary_total", 1.0, 40, |at| at % 4 == 0);
        let baseline = scraped("baseline_total", 9.0, 40, |at| at % 4 == 2);
        let counters = counters(40, &[canary, baseline].concat());
        let grown = totals(&counters).into_iter().filter(|grown| *grown != (0.0, 0.0));
        let grown: Vec<(f64, f64)> = grown.skip(1).collect(); // at the first, the baseline is met
        assert!(grown.len() > 8, "{grown:?}");
        assert!(grown.iter().all(|grown| *grown == (4.0, 36.0)), "{grown:?}");
    }

    #[test]
    fn growth_over_a_gap_is_taken_for_neither_side() {
        // Nothing was sampled from 10 to 60; the canary is back a little earlier than its baseline.
        let canary = scraped("canary_total", 5.0, 90, |at| !(11..60).contains(&at));
        let baseline = scraped("baseline_total", 5.0, 90, |at| !(11..63).contains(&at));
        let counters = counters(90, &[canary, baseline].concat());
        let compared = counters.growths().filter(|growth| !growth.gap);
        let (mut canary, mut baseline) = (0.0, 0.0);
        for growth in compared {
            canary += growth.of(Revision::Canary, Measure::Total);
            baseline += growth.of(Revision::Baseline, Measure::Total);
        }
        assert!((canary - baseline).abs() <= 15.0, "{canary} against {baseline}");
        assert!(canary > 100.0 && canary < 250.0, "what was measured counts: {canary}");
        let fresh = |point: Ms| counters.at(point).unwrap().is_fresh(Revision::Canary);
        assert_eq!([9, 12, 40, 61].map(fresh), [true, true, false, true]);
    }

    #[test]
    fn a_side_that_is_no_longer_there_is_not_fresh() {
        let canary = scraped("canary_total", 1.0, 30, |_| true);
        let mut baseline = scraped("baseline_total", 9.0, 30, |_| true);
        for series in &mut baseline {
            series.values.truncate(5);
        }
        let counters = counters(30, &[canary, baseline].concat());
        let fresh = |point| counters.at(point).unwrap().is_fresh(Revision::Baseline);
        assert_eq!([4, 5, 30].map(fresh), [true, false, false]);
        assert!(counters.at(30).unwrap().gap);
    }

    #[test]
    fn servers_that_answer_in_turn_make_no_reset_and_no_request() {
        let mut all = scraped("canary_total", 10.0, 20, |_| true);
        for series in &mut all {
            let late = if series.labels[ROLE].ends_with("sampled") { 0.003 } else { 30.0 };
            for (at, value) in &mut series.values {
                *value -= if *at % 2 == 1 && *at > 4 { late } else { 0.0 };
            }
        }
        let counted: f64 = totals(&counters(20, &all)).iter().map(|(canary, _)| canary).sum();
        assert!((counted - 200.0).abs() < 1e-9, "{counted}");
    }

    #[test]
    fn a_bucket_of_two_names_counts_once() {
        let bucket = |le: &str| {
            let mut series = series("canary_bucket", "a", &[(0, 5.0), (1, 9.0), (2, 9.0)]);
            series.labels.insert("le".to_owned(), le.to_owned());
            series
        };
        let counters = counters(2, &[bucket("1"), bucket("1.0")]);
        assert_eq!(counters.at(1).unwrap().buckets(Revision::Canary), [(1.0, 4.0)]);
    }

    #[test]
    fn a_process_that_froze_before_the_watch_holds_up_nothing() {
        let canary = scraped("canary_total", 1.0, 60, |_| true);
        let baseline = scraped("baseline_total", 9.0, 60, |_| true);
        let mut frozen = scraped("baseline_total", 9.0, 60, |at| at < 5);
        for series in &mut frozen {
            series.labels.insert("instance".to_owned(), "frozen".to_owned());
        }
        let counters = counters(60, &[canary, baseline, frozen].concat());
        let since = counters.at(60).unwrap().since;
        assert!(since.is_some_and(|since| since > 50), "{since:?}");
    }

    #[test]
    fn what_is_under_way_is_shown_as_it_is() {
        let active = series("canary_active", "a", &[(0, 3.0), (1, 5.0)]);
        let counters = counters(1, &[total("a"), active]);
        assert_eq!(counters.at(1).unwrap().active(Revision::Canary), Some(5.0));
        assert_eq!(counters.at(1).unwrap().active(Revision::Baseline), None);
    }

    #[test]
    fn answers_in_pieces_and_in_one_piece_show_the_same() {
        let all = [
            scraped("canary_total", 1.0, 40, |at| at % 5 == 0),
            scraped("baseline_total", 9.0, 40, |at| at % 5 == 3),
        ]
        .concat();
        let whole = counters(40, &all);
        let mut pieces = Counters::new(0, 20);
        for from in (0..=40).step_by(7) {
            pieces.add((from, (from + 6).min(40), 1), &all);
        }
        assert_eq!(totals(&whole), totals(&pieces));
        assert_eq!(pieces.next(0, 1), 41);
    }
}
