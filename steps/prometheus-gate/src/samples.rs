//! What the server has answered so far, and how raw counters grew.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::spec::{Criterion, Ms, SECOND};

/// The label by which one query tells its parts apart.
pub(crate) const PART: &str = "gate_part";

pub(crate) type Labels = BTreeMap<String, String>;

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// Moment and value, in any order.
    pub(crate) values: Vec<(Ms, f64)>,
}

/// All samples that a verdict rests on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// In the order of the criteria.
    pub(crate) criteria: Vec<Material>,
    /// Since when every question has gone without a usable answer.
    pub(crate) failing_since: Option<Ms>,
}

/// What is known for one criterion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Material {
    pub(crate) points: Answers,
    /// Answers to its presence query.
    pub(crate) presence: Answers,
    /// The same counters in the hour before the canary; nothing until that was answered.
    pub(crate) history: Option<Answers>,
}

impl Material {
    /// Whether all is known that a criterion needs at a point.
    pub(crate) fn covers(&self, point: Ms, criterion: &Criterion) -> bool {
        self.points.has(point)
            && (criterion.presence.is_none() || self.presence.has(point))
            && (!criterion.wants_history() || self.history.is_some())
    }
}

impl Material {
    pub(crate) fn digest(&self, hash: &mut Sha256) {
        for answers in
            [Some(&self.points), Some(&self.presence), self.history.as_ref()].into_iter().flatten()
        {
            hash.update([b'/']);
            answers.digest(hash);
        }
    }
}

/// The answers to one criterion's query. A point that was answered never changes: only final
/// points are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    series: Vec<Known>,
    index: BTreeMap<Labels, usize>,
    points: BTreeMap<Ms, Vec<(usize, f64)>>,
}

#[derive(Clone, Debug)]
struct Known {
    part: Part,
    /// The process that it counts in: its job and instance.
    process: String,
    /// The upper bound of a bucket.
    bound: f64,
}

/// What a series of counters stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    CanaryTotal,
    CanaryErrors,
    BaselineTotal,
    BaselineErrors,
    /// A histogram's buckets.
    CanaryBucket,
    BaselineBucket,
    /// `up`: that a process was scraped.
    Up,
    /// `process_start_time_seconds`.
    Started,
    Value,
}

impl Part {
    const NAMED: [Self; 8] = [
        Self::CanaryTotal,
        Self::CanaryErrors,
        Self::BaselineTotal,
        Self::BaselineErrors,
        Self::CanaryBucket,
        Self::BaselineBucket,
        Self::Up,
        Self::Started,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::CanaryTotal => "canary_total",
            Self::CanaryErrors => "canary_errors",
            Self::BaselineTotal => "baseline_total",
            Self::BaselineErrors => "baseline_errors",
            Self::CanaryBucket => "canary_bucket",
            Self::BaselineBucket => "baseline_bucket",
            Self::Up => "up",
            Self::Started => "started",
            Self::Value => "",
        }
    }

    fn of(labels: &Labels) -> Self {
        let label = labels.get(PART).map_or("", String::as_str);
        Self::NAMED.into_iter().find(|part| part.label() == label).unwrap_or(Self::Value)
    }
}

impl Answers {
    /// Takes in an answer about the points `from`, `from + step`, … `to`. Every one of them counts
    /// as answered, with or without samples.
    pub(crate) fn add(&mut self, (from, to, step): (Ms, Ms, Ms), answer: &[Series]) {
        let mut points: BTreeMap<Ms, Vec<(usize, f64)>> = BTreeMap::new();
        let mut point = from;
        while point <= to {
            if !self.points.contains_key(&point) {
                points.insert(point, Vec::new());
            }
            point += step;
        }
        for series in answer {
            let id = self.id(&series.labels);
            for (moment, value) in &series.values {
                if let Some(found) = points.get_mut(moment) {
                    found.push((id, *value));
                }
            }
        }
        self.points.append(&mut points);
    }

    /// The first point from `from` on that no answer has covered.
    pub(crate) fn next(&self, from: Ms, step: Ms) -> Ms {
        let mut next = from;
        for point in self.points.range(from..).map(|(point, _)| *point) {
            if point != next {
                break;
            }
            next += step;
        }
        next
    }

    /// Whether the server has answered for a point.
    pub(crate) fn has(&self, point: Ms) -> bool {
        self.points.contains_key(&point)
    }

    /// The values at a point.
    pub(crate) fn at(&self, point: Ms) -> Vec<f64> {
        self.found(point).iter().map(|(_, value)| *value).collect()
    }

    /// Feeds every sample to a hash, in an order that does not depend on how they came in.
    fn digest(&self, hash: &mut Sha256) {
        let labels: BTreeMap<usize, &Labels> =
            self.index.iter().map(|(labels, id)| (*id, labels)).collect();
        for (point, values) in &self.points {
            hash.update(point.to_be_bytes());
            let mut lines: Vec<String> =
                values.iter().map(|(id, value)| format!("{:?} {value}\n", labels[id])).collect();
            lines.sort_unstable();
            for line in lines {
                hash.update(line);
            }
        }
    }

    /// The points that have been answered, in time order.
    pub(crate) fn moments(&self) -> impl Iterator<Item = Ms> {
        self.points.keys().copied()
    }

    fn found(&self, point: Ms) -> &[(usize, f64)] {
        self.points.get(&point).map_or(&[], Vec::as_slice)
    }

    /// The labels of the series at the first point that has more than one.
    pub(crate) fn crowd(&self) -> Option<Vec<&Labels>> {
        let crowd = self.points.values().find(|values| values.len() > 1)?;
        let named =
            |id| self.index.iter().find(|(_, known)| **known == id).map(|(labels, _)| labels);
        Some(crowd.iter().filter_map(|(id, _)| named(*id)).collect())
    }

    /// Whether the server has ever given a sample.
    pub(crate) fn has_samples(&self) -> bool {
        !self.series.is_empty()
    }

    /// The parts that have a sample at a point.
    pub(crate) fn parts(&self, point: Ms) -> impl Iterator<Item = Part> {
        self.found(point).iter().map(|(id, _)| self.series[*id].part)
    }

    fn id(&mut self, labels: &Labels) -> usize {
        if let Some(id) = self.index.get(labels) {
            return *id;
        }
        let label = |name| labels.get(name).map_or("", String::as_str);
        self.series.push(Known {
            part: Part::of(labels),
            process: format!("{} {}", label("job"), label("instance")),
            bound: label("le").parse().ok().filter(|bound| *bound >= 0.0).unwrap_or_default(),
        });
        self.index.insert(labels.clone(), self.series.len() - 1);
        self.series.len() - 1
    }
}

/// Follows raw counters from point to point and says by how much they grew.
///
/// `increase()` would extrapolate to fractions and lose the first increment of a new series, so
/// that one error can look like none.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    answers: &'a Answers,
    t0: Ms,
    last: BTreeMap<usize, f64>,
    /// Processes that were scraped at the point before; nothing before the first point.
    scraped: Option<BTreeSet<&'a str>>,
    /// New series whose first value had to be left out, because it may be older than the canary.
    pub(crate) left_out: usize,
}

/// By how much each part grew, over all its series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Growth(BTreeMap<(Part, u64), f64>);

impl Growth {
    pub(crate) fn of(&self, part: Part) -> f64 {
        self.0.range((part, 0)..=(part, u64::MAX)).map(|(_, growth)| growth).sum()
    }

    /// The bounds of a histogram's buckets, in rising order, with how many values were at most that.
    pub(crate) fn buckets(&self, part: Part) -> Vec<(f64, f64)> {
        let found = self.0.range((part, 0)..=(part, u64::MAX));
        found.map(|((_, bits), growth)| (f64::from_bits(*bits), *growth)).collect()
    }
}

impl<'a> Tally<'a> {
    pub(crate) fn new(answers: &'a Answers, t0: Ms) -> Self {
        Self { answers, t0, last: BTreeMap::new(), scraped: None, left_out: 0 }
    }

    pub(crate) const fn answers(&self) -> &'a Answers {
        self.answers
    }

    /// What was counted since the point before.
    pub(crate) fn step(&mut self, point: Ms) -> Growth {
        let answers = self.answers;
        let values = answers.found(point);
        let series = |id: usize| &answers.series[id];
        let young: BTreeSet<&str> = values
            .iter()
            .filter(|(id, started)| {
                series(*id).part == Part::Started && *started * 1000.0 >= as_float(self.t0)
            })
            .map(|(id, _)| series(*id).process.as_str())
            .collect();
        let mut growth = Growth::default();
        for (id, value) in values {
            let Known { part, process, bound } = series(*id);
            if matches!(part, Part::Up | Part::Started | Part::Value) || value.is_nan() {
                continue;
            }
            // Bounds are not negative, so their bits are in their own order.
            *growth.0.entry((*part, bound.to_bits())).or_default() +=
                match self.last.insert(*id, *value) {
                    Some(last) if *value >= last => value - last,
                    Some(_) => *value, // the process began to count anew
                    None => match &self.scraped {
                        None => 0.0, // the first look: that is where counting begins
                        Some(scraped) if scraped.contains(process.as_str()) => *value,
                        Some(_) if young.contains(process.as_str()) => *value,
                        Some(_) => {
                            self.left_out += 1;
                            0.0
                        }
                    },
                };
        }
        let alive = |(id, value): &&(usize, f64)| series(*id).part != Part::Up || *value > 0.0;
        self.scraped =
            Some(values.iter().filter(alive).map(|(id, _)| series(*id).process.as_str()).collect());
        growth
    }
}

#[expect(clippy::cast_precision_loss, reason = "a moment in milliseconds has 41 bits")]
pub(crate) fn as_float(moment: Ms) -> f64 {
    moment as f64
}

/// Milliseconds as seconds, for people and for the server.
pub(crate) fn seconds(length: Ms) -> f64 {
    as_float(length) / as_float(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(part: &str, instance: &str, code: &str, values: &[(Ms, f64)]) -> Series {
        let labels = [(PART, part), ("job", "pods"), ("instance", instance), ("code", code)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Series { labels, values: values.to_vec() }
    }

    fn canary_errors(answer: &[Series]) -> (Vec<f64>, usize) {
        let mut answers = Answers::default();
        answers.add((0, 3, 1), answer);
        let mut tally = Tally::new(&answers, 0);
        ((0..=3).map(|point| tally.step(point).of(Part::CanaryErrors)).collect(), tally.left_out)
    }

    fn total(instance: &str) -> Series {
        let many = [(0, 1000.0), (1, 2000.0), (2, 3000.0), (3, 4000.0)];
        series("canary_total", instance, "200", &many)
    }

    #[test]
    fn what_was_counted_before_the_first_look_is_not_ours() {
        let old = series("canary_errors", "a", "500", &[(0, 7.0), (1, 7.0), (2, 9.0), (3, 9.0)]);
        assert_eq!(canary_errors(&[total("a"), old]), (vec![0.0, 0.0, 2.0, 0.0], 0));
    }

    #[test]
    fn the_first_error_of_a_known_process_counts() {
        let new = series("canary_errors", "a", "500", &[(2, 3.0), (3, 4.0)]);
        assert_eq!(canary_errors(&[total("a"), new]), (vec![0.0, 0.0, 3.0, 1.0], 0));
    }

    #[test]
    fn a_process_known_by_its_scrapes_alone_is_known() {
        let up = series("up", "b", "", &[(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)]);
        let first = [(2, 3.0), (3, 4.0)];
        let new = [
            series("canary_errors", "b", "500", &first),
            series("canary_total", "b", "500", &first),
        ];
        assert_eq!(
            canary_errors(&[up, new[0].clone(), new[1].clone()]),
            (vec![0.0, 0.0, 3.0, 1.0], 0)
        );
    }

    #[test]
    fn a_process_nobody_knew_begins_at_its_first_value() {
        let new = series("canary_errors", "b", "500", &[(2, 30.0), (3, 31.0)]);
        assert_eq!(canary_errors(&[total("a"), new]), (vec![0.0, 0.0, 0.0, 1.0], 1));
    }

    #[test]
    fn a_process_that_started_after_the_canary_counts_from_zero() {
        let started = series("started", "b", "", &[(2, 0.001), (3, 0.001)]);
        let new = series("canary_errors", "b", "500", &[(2, 3.0), (3, 4.0)]);
        assert_eq!(canary_errors(&[total("a"), started, new]), (vec![0.0, 0.0, 3.0, 1.0], 0));
    }

    #[test]
    fn a_reset_loses_only_what_came_after_the_last_look() {
        let reset =
            series("canary_errors", "a", "500", &[(0, 90.0), (1, 95.0), (2, 2.0), (3, 3.0)]);
        assert_eq!(canary_errors(&[total("a"), reset]), (vec![0.0, 5.0, 2.0, 1.0], 0));
    }

    #[test]
    fn a_gap_is_bridged() {
        let gap = series("canary_errors", "a", "500", &[(0, 5.0), (3, 9.0)]);
        assert_eq!(canary_errors(&[total("a"), gap]), (vec![0.0, 0.0, 0.0, 4.0], 0));
    }

    #[test]
    fn an_answered_point_stays_as_it_was() {
        let mut answers = Answers::default();
        answers.add((0, 1, 1), &[series("", "a", "", &[(0, 1.0)])]);
        answers.add((0, 2, 1), &[series("", "a", "", &[(0, 9.0), (1, 9.0), (2, 9.0), (7, 9.0)])]);
        assert_eq!(
            [0, 1, 2, 7].map(|point| answers.at(point)),
            [vec![1.0], vec![], vec![9.0], vec![]]
        );
        assert_eq!([0, 1, 2, 7].map(|point| answers.has(point)), [true, true, true, false]);
        assert_eq!(answers.next(0, 1), 3);
    }
}
