//! What the server has answered so far: the samples of all criteria, and the material that one rests on.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::judge::{cadence::Cadence, counters::Counters, decided::Decided};
use crate::series::{Labels, Series, SeriesRole};
use crate::spec::resolved::{Criterion, HISTORY_STEP, Timing};
use crate::time::{Grid, from_seconds};

/// All samples that a verdict rests on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// In the order of the criteria.
    pub(crate) criteria: Vec<Material>,
    /// Since when every question has gone without a usable answer.
    pub(crate) failing_since: Option<Timestamp>,
    /// What people had decided, and when.
    pub(crate) decided: Decided,
}

/// The material of one criterion: all answers to its queries.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    /// The values of a query of one's own.
    pub(crate) points: Answers,
    /// Answers to its presence query.
    pub(crate) presence: Answers,
    /// The counters of a comparison.
    pub(crate) counters: Counters,
    /// The baseline's counters in the hour before the canary.
    pub(crate) history: Counters,
}

impl Material {
    /// Of a release that began at `t0`, with its first rung.
    pub(crate) fn new(criterion: &Criterion, t0: Timestamp) -> Self {
        Self {
            points: Answers::default(),
            presence: Answers::default(),
            counters: Counters::new(t0, criterion.max_gap),
            // No process of the past is younger than its canary.
            history: Counters::new(Timestamp::MAX, criterion.max_gap.max(HISTORY_STEP * 4)),
        }
    }

    /// Whether all is known that a criterion needs at a point.
    pub(crate) fn covers(
        &self,
        point: Timestamp,
        criterion: &Criterion,
        t0: Timestamp,
        timing: &Timing,
    ) -> bool {
        if criterion.is_counted() {
            let to = timing.history(t0).to;
            let past = criterion.past.is_none() || self.history.at(to).is_some();
            return past && self.counters.at(point).is_some();
        }
        self.points.has(point) && (criterion.presence.is_none() || self.presence.has(point))
    }

    /// The first point from `from` on that no answer to the criterion's query has covered.
    pub(crate) fn next(
        &self,
        criterion: &Criterion,
        from: Timestamp,
        step: SignedDuration,
    ) -> Timestamp {
        if criterion.is_counted() {
            self.counters.next(from, step)
        } else {
            self.points.next(from, step)
        }
    }

    /// Forgets what nobody asks for any more once all points before `next` were judged.
    pub(crate) fn forget(&mut self, next: Timestamp) {
        self.points.forget(next);
        self.presence.forget(next);
        self.counters.forget(next);
        self.history.forget(Timestamp::MAX);
    }

    pub(crate) const fn has_forgotten(&self) -> bool {
        self.points.forgotten.is_some()
    }

    /// Whether the server has ever given a sample.
    pub(crate) fn has_samples(&self) -> bool {
        self.points.has_samples() || self.counters.has_samples()
    }

    pub(crate) fn digest(&self, hash: &mut Sha256) {
        for answers in [&self.points, &self.presence] {
            hash.update([b'/']);
            answers.digest(hash);
        }
        for counters in [&self.counters, &self.history] {
            hash.update([b'/']);
            counters.digest(hash);
        }
    }
}

/// The answers to one criterion's query. A point that was answered never changes: only final
/// points are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    series: Vec<Labels>,
    index: BTreeMap<Labels, usize>,
    points: BTreeMap<Timestamp, Vec<(usize, f64)>>,
    /// The newest scrape that the server had made of anything.
    scraped: BTreeMap<Timestamp, Timestamp>,
    /// What was before this was answered, and is forgotten.
    forgotten: Option<Timestamp>,
    /// How many series the last answer had.
    pub(crate) breadth: usize,
}

impl Answers {
    /// Takes in an answer about the points of a grid. Every one of them counts as answered, with or
    /// without samples.
    pub(crate) fn add(&mut self, grid: Grid, answer: &[Series]) {
        self.breadth = answer.len();
        let mut points: BTreeMap<Timestamp, Vec<(usize, f64)>> = BTreeMap::new();
        for point in grid.points().filter(|point| !self.points.contains_key(point)) {
            points.insert(point, Vec::new());
        }
        for Series { labels, values } in answer {
            if SeriesRole::of(labels) == SeriesRole::Scraped {
                let known = values.iter().filter(|(at, _)| points.contains_key(at));
                let scraped = known.filter_map(|(at, value)| Some((*at, from_seconds(*value)?)));
                self.scraped.extend(scraped);
                continue;
            }
            let id = self.id(labels);
            for (moment, value) in values {
                if let Some(found) = points.get_mut(moment) {
                    found.push((id, *value));
                }
            }
        }
        self.points.append(&mut points);
    }

    /// The first point from `from` on that no answer has covered.
    pub(crate) fn next(&self, from: Timestamp, step: SignedDuration) -> Timestamp {
        let from = from.max(self.forgotten.unwrap_or(from));
        let mut next = from;
        for point in self.points.range(from..).map(|(point, _)| *point) {
            if point != next {
                break;
            }
            next += step;
        }
        next
    }

    /// Forgets the points before one, but for the scrapes that tell how far apart they are.
    fn forget(&mut self, next: Timestamp) {
        self.points = self.points.split_off(&next);
        self.forgotten = Some(next);
        let kept = self.scraped.range(..next).rev().nth(2 * Cadence::KEPT).map(|(at, _)| *at);
        if let Some(kept) = kept {
            self.scraped = self.scraped.split_off(&kept);
        }
    }

    /// Whether the server has answered for a point.
    pub(crate) fn has(&self, point: Timestamp) -> bool {
        self.points.contains_key(&point)
    }

    /// The values at a point.
    pub(crate) fn at(&self, point: Timestamp) -> Vec<f64> {
        self.found(point).iter().map(|(_, value)| *value).collect()
    }

    /// Whether nothing had been scraped for so long that a value is one of before: a server that
    /// was away repeats its last samples for minutes.
    pub(crate) fn is_stale(
        &self,
        point: Timestamp,
        step: SignedDuration,
        max_gap: SignedDuration,
    ) -> bool {
        if self.scraped.is_empty() {
            return false; // it does not tell
        }
        let Some(newest) = self.scraped.get(&point) else { return true };
        let mut cadence = Cadence::default();
        let before: Vec<Timestamp> = self
            .scraped
            .range(..=point)
            .rev()
            .take(2 * Cadence::KEPT)
            .map(|(_, scraped)| *scraped)
            .collect();
        before.iter().rev().for_each(|scraped| cadence.see(*scraped));
        point.duration_since(*newest) > cadence.good_for(step, max_gap)
    }

    /// Feeds every sample to a hash, in an order that does not depend on how they came in.
    fn digest(&self, hash: &mut Sha256) {
        for (point, values) in &self.points {
            hash.update(format!("{point}\n"));
            let mut lines: Vec<String> = values
                .iter()
                .map(|(id, value)| format!("{:?} {value}\n", self.series[*id]))
                .collect();
            lines.extend(self.scraped.get(point).map(|scraped| format!("{scraped}\n")));
            lines.sort_unstable();
            for line in lines {
                hash.update(line);
            }
        }
    }

    fn found(&self, point: Timestamp) -> &[(usize, f64)] {
        self.points.get(&point).map_or(&[], Vec::as_slice)
    }

    /// The labels of the series at the first point that has more than one.
    pub(crate) fn duplicate_series(&self) -> Option<Vec<&Labels>> {
        let duplicate_series = self.points.values().find(|values| values.len() > 1)?;
        Some(duplicate_series.iter().map(|(id, _)| &self.series[*id]).collect())
    }

    /// Whether the server has ever given a sample.
    pub(crate) fn has_samples(&self) -> bool {
        !self.series.is_empty()
    }

    fn id(&mut self, labels: &Labels) -> usize {
        if let Some(id) = self.index.get(labels) {
            return *id;
        }
        self.series.push(labels.clone());
        self.index.insert(labels.clone(), self.series.len() - 1);
        self.series.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::ROLE;
    use crate::time::{after, to_seconds};

    fn grid(from: i64, to: i64) -> Grid {
        Grid { from: after(from), to: after(to), step: SignedDuration::from_millis(1) }
    }

    fn series(labels: &[(&str, &str)], values: &[(i64, f64)]) -> Series {
        let labels =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Series { labels, values: values.iter().map(|(at, value)| (after(*at), *value)).collect() }
    }

    #[test]
    fn an_answered_point_stays_as_it_was() {
        let mut answers = Answers::default();
        answers.add(grid(0, 1), &[series(&[], &[(0, 1.0)])]);
        answers.add(grid(0, 2), &[series(&[], &[(0, 9.0), (1, 9.0), (2, 9.0), (7, 9.0)])]);
        assert_eq!(
            [0, 1, 2, 7].map(|point| answers.at(after(point))),
            [vec![1.0], vec![], vec![9.0], vec![]]
        );
        assert_eq!([0, 1, 2, 7].map(|point| answers.has(after(point))), [true, true, true, false]);
        assert_eq!(answers.next(after(0), SignedDuration::from_millis(1)), after(3));
    }

    #[test]
    fn values_that_a_server_repeats_while_it_scrapes_nothing_are_stale() {
        const STEP: i64 = 5000;
        let scraped: Vec<(i64, f64)> =
            (0..30).map(|at| (at * STEP, to_seconds(after(at.min(9) * STEP)))).collect();
        let mut answers = Answers::default();
        let values: Vec<(i64, f64)> = (0..30).map(|at| (at * STEP, 0.0)).collect();
        answers.add(
            Grid { step: SignedDuration::from_millis(STEP), ..grid(0, 29 * STEP) },
            &[series(&[], &values), series(&[(ROLE, "scraped")], &scraped)],
        );
        let step = SignedDuration::from_millis(STEP);
        let stale = |at: i64| answers.is_stale(after(at * STEP), step, step * 9);
        assert_eq!([9, 12, 13, 29].map(stale), [false, false, true, true]);
        assert_eq!(answers.at(after(0)), [0.0], "the server's own sign is no value");
    }

    #[test]
    fn a_server_that_does_not_tell_is_believed() {
        let mut answers = Answers::default();
        answers.add(grid(0, 0), &[series(&[], &[(0, 1.0)])]);
        assert!(!answers.is_stale(
            after(0),
            SignedDuration::from_millis(1),
            SignedDuration::from_millis(1)
        ));
    }
}
