//! What is asked of the server, and what becomes of its answers and refusals.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use step::{Failure, Usage};

use crate::prometheus::answer::Answer;
use crate::prometheus::discovery::{existing, labels_there, several, shape};
use crate::prometheus::error::{PrometheusError, Remedy};
use crate::record::{line::QueryKind, run::Record};
use crate::series::SeriesRole;
use crate::spec::resolved::{Criterion, ExpectedSeries, Test, Timing};
use crate::spec::{candidates::Question, queries::labelled};
use crate::time::{Grid, length, local_clock};
use crate::watch::state::{Clock, Round, Watch};

/// Clocks drift apart by milliseconds in five minutes.
const CLOCK_IS_GOOD_FOR: SignedDuration = SignedDuration::from_secs(300);

/// One refusal may be a restart or a token in rotation; three in a row are none.
const MOST_REFUSALS: u32 = 3;

/// Samples of one answer: a gate's memory does not depend on how many pods a site has.
const SAMPLES_AT_ONCE: usize = 40_000;

/// Until the series are known, so many points are asked for.
const POINTS_AT_FIRST: i32 = 10;

impl Watch {
    /// Asks each question for the points that have become final. An error is what will not heal.
    pub(super) async fn ask(&mut self) -> Result<Round> {
        if self
            .clock
            .is_none_or(|clock| local_clock().duration_since(clock.read_at) > CLOCK_IS_GOOD_FOR)
        {
            self.queries += 1;
            match self.gate.prometheus.clock_offset().await {
                Ok(offset) => {
                    self.clock = Some(Clock { offset, read_at: local_clock() });
                    self.log_offset(offset);
                    self.begin(self.now())?;
                }
                // An old offset is better than none; without any, no time can be asked for.
                Err(_) if self.clock.is_some() => {}
                Err(error) => return self.log_or_give_up(0, error).map(Round::Failed),
            }
        }
        let mut asked = Round::NothingNew;
        for at in 0..self.record.spec.criteria.len() {
            match self.ask_one(at).await {
                Ok(false) => {}
                Ok(true) => {
                    self.refusals[at] = 0;
                    asked = Round::Answered;
                }
                Err(error) => {
                    let error = self.log_or_give_up(at, error)?;
                    if matches!(asked, Round::NothingNew) {
                        asked = Round::Failed(error);
                    }
                }
            }
        }
        self.reject_multiple_series()?;
        Ok(asked)
    }

    /// Clocks that differ are no fault of the gate's, and a start may be by the other.
    fn log_offset(&mut self, offset: SignedDuration) {
        let skew = self.record.spec.timing.skew;
        if offset.abs() > skew && !self.has_begun {
            let way = if offset.is_positive() { "ahead of" } else { "behind" };
            self.view.line(&format!(
                "the clock of Prometheus is {} {way} this machine's, more than the {} that are allowed for; all times are its",
                length(offset), length(skew)
            ));
        }
    }

    /// Whether there was something to ask, and it was answered.
    async fn ask_one(&mut self, at: usize) -> Result<bool, PrometheusError> {
        let timing = self.record.spec.timing;
        let begun = self.record.begun();
        let now = self.now();
        // Nothing after the deadline counts, however late a gate is started again, unless it waited.
        let may_wait = self.record.spec.permission.may_wait();
        let latest = self.record.t0 + timing.deadline;
        let to = timing.last_final(if may_wait { now } else { now.min(latest) });
        if to < timing.first_from(begun) {
            return Ok(false);
        }
        if self.next(at) <= to && !self.settle_source(at, now).await? {
            let grid = Grid { from: self.next(at), to, step: timing.step };
            self.record.answer(at, QueryKind::Points, grid, now, (&[], Vec::new()));
            if self.record.spec.criteria[at].past.is_some() {
                let hour = timing.history(begun);
                let past = &self.record.samples.criteria[at].history;
                let grid = Grid { from: past.next(hour.from, hour.step), ..hour };
                self.record.answer(at, QueryKind::History, grid, now, (&[], Vec::new()));
            }
            return Ok(true);
        }
        let mut found = false;
        while let Some((of, query, grid)) = self.wanted(at, to) {
            let answer = self.range(at, of, &query, grid).await?;
            self.record.answer(at, of, grid, now, (&answer.series, answer.bodies));
            found = true;
        }
        Ok(found)
    }

    /// Asks for the points of a grid. A query of one's own brings a sign of when the server scraped
    /// last, because one that was away repeats its last samples for minutes.
    async fn range(
        &mut self,
        at: usize,
        of: QueryKind,
        query: &str,
        grid: Grid,
    ) -> Result<Answer, PrometheusError> {
        self.queries += 1;
        let own = of == QueryKind::Points && !self.record.spec.criteria[at].is_counted();
        if !own || self.bare[at] {
            return self.gate.prometheus.range(query, grid).await;
        }
        let scraped = labelled("max(timestamp(up))", SeriesRole::Scraped);
        let both = format!("(\n{query}\n) or {scraped}");
        match self.gate.prometheus.range(&both, grid).await {
            // A query may give a scalar, which nothing can be joined to.
            Err(PrometheusError::Query(_) | PrometheusError::Execution(_)) => {
                self.queries += 1;
                let answer = self.gate.prometheus.range(query, grid).await?;
                self.bare[at] = true;
                Ok(answer)
            }
            answered => answered,
        }
    }

    /// The first point that no answer has covered.
    fn next(&self, at: usize) -> Timestamp {
        let Record { spec, samples, .. } = &self.record;
        let Timing { step, .. } = spec.timing;
        let first = spec.timing.first_from(self.record.begun());
        samples.criteria[at].next(&spec.criteria[at], first, step)
    }

    /// What is not known yet for a criterion up to a point: one question at a time, for no more
    /// points than there is room for.
    fn wanted(&self, at: usize, to: Timestamp) -> Option<(QueryKind, String, Grid)> {
        let Record { spec, samples, .. } = &self.record;
        let (criterion, material) = (&spec.criteria[at], &samples.criteria[at]);
        let (timing, begun) = (spec.timing, self.record.begun());
        let first = timing.first_from(begun);
        let room = |grid: Grid, breadth: usize| {
            let points = match i32::try_from(SAMPLES_AT_ONCE / breadth.max(1)) {
                _ if breadth == 0 && criterion.is_counted() => POINTS_AT_FIRST,
                points => points.unwrap_or(i32::MAX).clamp(1, 10_000),
            };
            Grid { to: grid.to.min(grid.from + grid.step * (points - 1)), ..grid }
        };
        if let Some(past) = &criterion.past {
            let hour = timing.history(begun);
            let from = material.history.next(hour.from, hour.step);
            if from <= hour.to {
                let grid = room(Grid { from, ..hour }, material.history.breadth);
                return Some((QueryKind::History, past.clone(), grid));
            }
        }
        let from = self.next(at);
        if from <= to {
            let breadth = material.counters.breadth.max(material.points.breadth);
            let grid = room(Grid { from, to, step: timing.step }, breadth);
            return Some((QueryKind::Points, criterion.query.clone(), grid));
        }
        let presence = criterion.presence.as_ref()?;
        let from = material.presence.next(first, timing.step);
        let grid = room(Grid { from, to, step: timing.step }, material.presence.breadth);
        (from <= to).then(|| (QueryKind::Presence, presence.clone(), grid))
    }

    /// Whether it is settled by which series a question is asked.
    async fn settle_source(&mut self, at: usize, now: Timestamp) -> Result<bool, PrometheusError> {
        let Some((source, criterion)) = self.try_to_settle(at, now).await? else {
            return Ok(matches!(self.gate.questions[at], Question::Fixed(_)));
        };
        if !source.is_empty() {
            self.view.line(&format!("{} rests on the series of {source}", criterion.name));
        }
        for note in &criterion.notes {
            self.view.line(&format!("{}: {note}", criterion.name));
        }
        self.record.choose(at, source, criterion.clone());
        let fixed = Question::Fixed(Box::new(criterion));
        if let Question::Candidates(mut candidates) =
            std::mem::replace(&mut self.gate.questions[at], fixed)
        {
            let used = candidates.iter().find(|candidate| candidate.source == source);
            let used = used.map(|candidate| candidate.metric.clone());
            candidates.retain(|candidate| Some(&candidate.metric) != used.as_ref());
            self.others[at] = candidates;
        }
        Ok(true)
    }

    async fn try_to_settle(
        &mut self,
        at: usize,
        now: Timestamp,
    ) -> Result<Option<(&'static str, Criterion)>, PrometheusError> {
        let Question::Candidates(candidates) = &self.gate.questions[at] else { return Ok(None) };
        let prometheus = &self.gate.prometheus;
        self.queries += 1;
        let candidate = existing(prometheus, candidates, now).await?;
        // Nothing is judged before, and the series of the best source, or their copies, may be a
        // scrape later than others.
        let timing = &self.record.spec.timing;
        if now < self.record.begun() + timing.skew + timing.warmup {
            return Ok(None);
        }
        self.queries += 1;
        let Some(candidate) = candidate else {
            if !std::mem::replace(&mut self.logged_labels, true) {
                for line in labels_there(prometheus, candidates, now).await? {
                    self.view.line(&line);
                }
            }
            return Ok(None);
        };
        let shape = shape(prometheus, candidate, now).await?;
        Ok(Some((candidate.source, candidate.settled(&shape))))
    }

    /// Logs an error, and gives up on one that does not pass.
    fn log_or_give_up(&mut self, at: usize, error: PrometheusError) -> Result<PrometheusError> {
        let name = &self.record.spec.criteria[at].name;
        let what = format!("failed to query Prometheus `{}` for `{name}`", self.gate.address);
        let text = format!("{what}: {error}");
        self.record.error(self.now(), &text);
        let hint = match error.remedy() {
            Remedy::Correct(hint) => {
                return Err(Usage { what: text, hint: hint.to_owned() }.into());
            }
            Remedy::GiveUp(hint) => Some(hint),
            Remedy::TryAgain(hint) => {
                self.refusals[at] += 1;
                (self.refusals[at] >= MOST_REFUSALS).then_some(hint)
            }
            Remedy::Wait => None,
        };
        if let Some(hint) = hint {
            return Err(error).context(Failure { what, hint: hint.to_owned() });
        }
        self.view.log_once(&text);
        Ok(error)
    }

    /// Where one number is expected, several are a mistake in the question: none of them may win.
    fn reject_multiple_series(&self) -> Result<()> {
        for (criterion, material) in
            self.record.spec.criteria.iter().zip(&self.record.samples.criteria)
        {
            let one =
                matches!(&criterion.test, Test::Value(test) if test.series == ExpectedSeries::One);
            let Some(duplicate_series) = material.points.duplicate_series().filter(|_| one) else {
                continue;
            };
            return Err(several(&criterion.name, &duplicate_series).into());
        }
        Ok(())
    }
}
