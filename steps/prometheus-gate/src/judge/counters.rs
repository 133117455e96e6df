//! By how much raw counters grew from point to point, on both sides of a comparison.
//!
//! `increase()` would extrapolate to fractions and lose the first increment of a new series, so
//! that one error can look like none. What was sampled long after the sample before it is taken for
//! neither side: the two would cover different stretches of time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::judge::answer_names::{Name, Names};
use crate::judge::cadence::Cadence;
use crate::judge::counter_increase::{Growth, Key};
use crate::series::{Labels, Measure, ROLE, Revision, Series, SeriesRole};
use crate::time::{Grid, from_seconds, to_seconds};

/// The same of one process.
type Counter = (Revision, Measure, u32, u64);

/// What the server has answered about a comparison's counters, reduced to their growth.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    t0: Timestamp,
    /// Growth between two samples that are further apart is left out.
    max_gap: SignedDuration,
    processes: BTreeMap<String, u32>,
    last: BTreeMap<Counter, f64>,
    sampled: BTreeMap<(Revision, u32), Sampled>,
    cadence: [Cadence; 2],
    /// Processes that were scraped at the point before; nothing before the first point.
    scraped: Option<BTreeSet<u32>>,
    /// What has grown since all processes were last sampled together.
    open: BTreeMap<Key, f64>,
    points: BTreeMap<Timestamp, Growth>,
    /// New series whose first value had to be left out, because it may be older than the canary.
    pub(crate) left_out: usize,
    /// How many series the last answer had.
    pub(crate) breadth: usize,
    /// The names of answers.
    pub(crate) names: Names,
    /// When each process that counts answers said it started, in seconds since 1970.
    started: BTreeMap<u32, f64>,
}

/// When a process was sampled: last, and when growth was last handed on.
#[derive(Clone, Copy, Debug, Default)]
struct Sampled {
    last: Timestamp,
    /// Nothing before the first time.
    handed_on: Option<Timestamp>,
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
    pub(crate) fn new(t0: Timestamp, max_gap: SignedDuration) -> Self {
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
            names: Names::default(),
            started: BTreeMap::new(),
        }
    }

    /// Takes in an answer about the points of a grid, which follow those that were answered before.
    /// Every one of them counts as answered, with or without samples.
    pub(crate) fn add(&mut self, grid: Grid, answer: &[Series]) {
        self.breadth = answer.len();
        let mut samples: Vec<(Timestamp, Sample)> = Vec::new();
        let mut names: BTreeMap<u64, Name> = BTreeMap::new();
        for series in answer {
            let role = SeriesRole::of(&series.labels);
            let process = self.process(&series.labels);
            let bound = series.labels.get("le").and_then(|bound| bound.parse::<f64>().ok());
            // Bounds are not negative, so their bits are in their own order.
            let bits = bound.filter(|bound| *bound >= 0.0).unwrap_or_default().to_bits();
            let bits = match role {
                SeriesRole::Of(
                    _,
                    measure @ (Measure::Answer | Measure::Value | Measure::Filled),
                ) => {
                    let Some(name) = Name::of(measure, &series.labels) else { continue };
                    let key = name.key();
                    names.insert(key, name);
                    key
                }
                _ => bits,
            };
            let sample = |(at, value): &(Timestamp, f64)| {
                (!value.is_nan()).then_some((*at, Sample { role, process, bits, value: *value }))
            };
            samples.extend(series.values.iter().filter_map(sample));
        }
        samples.sort_by_key(|(at, _)| *at);
        let mut rest = samples.as_slice();
        for point in grid.points() {
            rest = &rest[rest.partition_point(|(at, _)| *at < point)..];
            let (now, later) = rest.split_at(rest.partition_point(|(at, _)| *at == point));
            rest = later;
            if self.points.last_key_value().is_none_or(|(newest, _)| point > *newest) {
                let mut now: Vec<Sample> = now.iter().map(|(_, sample)| *sample).collect();
                self.keep_named(&names, &mut now);
                let growth = self.step(point, grid.step, &now);
                self.points.insert(point, growth);
            }
        }
    }

    /// Takes note of the names that a point shows, and keeps what there is room for.
    fn keep_named(&mut self, names: &BTreeMap<u64, Name>, now: &mut Vec<Sample>) {
        if names.is_empty() {
            return;
        }
        let name_of = |sample: &Sample| match sample.role {
            SeriesRole::Of(revision, Measure::Answer | Measure::Value | Measure::Filled) => {
                Some((names.get(&sample.bits)?, revision))
            }
            _ => None,
        };
        let mut shown: BTreeMap<(&Name, Revision), f64> = BTreeMap::new();
        for sample in now.iter() {
            if let Some(name) = name_of(sample) {
                *shown.entry(name).or_default() += sample.value;
            }
        }
        self.names.meet(&shown);
        let known = &self.names;
        now.retain(|sample| name_of(sample).is_none() || known.get(sample.bits).is_some());
    }

    /// The first point from `from` on that no answer has covered.
    pub(crate) fn next(&self, from: Timestamp, step: SignedDuration) -> Timestamp {
        self.points.last_key_value().map_or(from, |(newest, _)| (*newest + step).max(from))
    }

    /// Forgets what the points before one showed, but for the newest of all.
    pub(crate) fn forget(&mut self, next: Timestamp) {
        if let Some((newest, _)) = self.points.last_key_value() {
            self.points = self.points.split_off(&next.min(*newest));
        }
    }

    pub(crate) fn at(&self, point: Timestamp) -> Option<&Growth> {
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

    /// The number of the process that a series belongs to: all its labels but our own, the bound and the answer.
    fn process(&mut self, labels: &Labels) -> u32 {
        let named: Vec<String> = labels
            .iter()
            .filter(|(name, _)| ![ROLE, "le", "field", "answer"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let next = u32::try_from(self.processes.len()).unwrap_or(u32::MAX);
        *self.processes.entry(named.join(",")).or_insert(next)
    }

    /// What was counted since the point before.
    fn step(&mut self, point: Timestamp, step: SignedDuration, samples: &[Sample]) -> Growth {
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
                newest.is_some_and(|newest| point.duration_since(newest) <= good_for);
            growth.gap |=
                cadence.newest.is_some_and(|newest| point.duration_since(newest) > self.max_gap);
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
        point: Timestamp,
        samples: &[Sample],
    ) -> BTreeMap<(Revision, u32), (Timestamp, bool)> {
        let mut present: BTreeMap<(Revision, u32), Timestamp> = BTreeMap::new();
        for Sample { role, process, value, .. } in samples {
            let SeriesRole::Of(revision, measure) = role else { continue };
            if *measure == Measure::Answered {
                continue; // another's count, which is not waited for
            }
            let known = present.entry((*revision, *process)).or_insert(point);
            if *measure == Measure::Sampled {
                *known = from_seconds(*value).unwrap_or(point).min(point);
            }
        }
        let follow = |(whose, at): ((Revision, u32), Timestamp)| {
            let known = self.sampled.get(&whose).copied();
            // Two servers behind one address may answer in turn: what the slower one has is no reset.
            if known.is_some_and(|known| at < known.last) {
                return None;
            }
            let torn = known.is_some_and(|known| at.duration_since(known.last) > self.max_gap);
            self.sampled.entry(whose).or_default().last = at;
            Some((whose, (at, torn)))
        };
        present.into_iter().filter_map(follow).collect()
    }

    fn grow(&mut self, samples: &[Sample], present: &BTreeMap<(Revision, u32), (Timestamp, bool)>) {
        let young: BTreeSet<u32> = samples
            .iter()
            .filter(|sample| {
                sample.role == SeriesRole::Started && sample.value >= to_seconds(self.t0)
            })
            .map(|sample| sample.process)
            .collect();
        let counters = counters_of(samples);
        let restarted = self.restarted(samples, &counters);
        // What such a process shows again later, such as a rare answer, begins at 0 then.
        self.last.retain(|(_, measure, process, _), _| {
            !(measure.is_of_answers() && restarted.contains(process))
        });
        for ((revision, measure, process, bits), value) in counters {
            let torn = match present.get(&(revision, process)) {
                Some((_, torn)) => *torn,
                None if measure == Measure::Answered => false,
                None => continue,
            };
            let of_answers = measure.is_of_answers();
            let grown = match self.last.insert((revision, measure, process, bits), value) {
                _ if torn => 0.0,
                None if of_answers && restarted.contains(&process) => value,
                Some(last) if value >= last => value - last,
                // A sum of versions from which an old one is gone.
                Some(_) if of_answers => 0.0,
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
            // There may be hundreds of answers, of which few grow from look to look.
            if grown > 0.0 || !of_answers {
                *self.open.entry((revision, measure, bits)).or_default() += grown;
            }
        }
    }

    /// The processes that count answers anew. All counters of one begin at 0 together, also those that are
    /// beyond what they were by now; and one that falls alone has not begun anew, where it is known when
    /// its process started.
    fn restarted(
        &mut self,
        samples: &[Sample],
        counters: &BTreeMap<Counter, f64>,
    ) -> BTreeSet<u32> {
        let started = samples.iter().filter(|sample| sample.role == SeriesRole::Started);
        let started: BTreeMap<u32, f64> =
            started.map(|sample| (sample.process, sample.value)).collect();
        let is_new = |(process, start): (&u32, &f64)| {
            // Some reckon it anew for each scrape, from the time since then.
            self.started.get(process).is_some_and(|known| start - known > 1.0).then_some(*process)
        };
        let mut restarted: BTreeSet<u32> = started.iter().filter_map(is_new).collect();
        let fell = |(key, value): (&Counter, &f64)| {
            let (_, measure, process, _) = key;
            let falls = self.last.get(key).is_some_and(|last| value < last);
            let is_told = started.contains_key(process);
            (measure.is_of_answers() && falls && !is_told).then_some(*process)
        };
        restarted.extend(counters.iter().filter_map(fell));
        self.started.extend(started);
        restarted
    }

    /// Since when every process was sampled again, if all were since growth was last handed on. What
    /// only some of them have told would be compared with nothing of the others.
    fn all_sampled_again(
        &mut self,
        point: Timestamp,
        present: &BTreeMap<(Revision, u32), (Timestamp, bool)>,
    ) -> Option<Timestamp> {
        let handed_on = |whose| self.sampled.get(whose).and_then(|sampled| sampled.handed_on);
        let waited_for = present.iter().any(|(whose, (at, _))| {
            Some(*at) <= handed_on(whose) && point.duration_since(*at) <= self.max_gap
        });
        if waited_for || present.is_empty() {
            return None;
        }
        // What a process that is new has counted is as young as the process.
        let anew = present.iter().filter(|(whose, (at, _))| Some(*at) > handed_on(whose));
        let known = anew.filter_map(|(whose, _)| handed_on(whose));
        let since = known.min().unwrap_or(self.t0);
        for (whose, (at, _)) in present {
            self.sampled.entry(*whose).or_default().handed_on = Some(*at);
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
mod tests;
