//! The loop around the verdict: ask for what is new, judge, tell, wait.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use step::{Failure, Terminated, Usage};
use tokio::time::{sleep, timeout};

use crate::{
    comparison::Evidence,
    counters::SeriesRole,
    discovery::{existing, labels_there, several, shape},
    expression::Combine,
    forecast,
    ledger::{Account, End, Last, Ledger, Of, Span},
    override_file::Override,
    plan::in_the_future,
    presets::Candidate,
    prometheus::{Answer, Prometheus, Remedy, Trouble, local_clock},
    queries::labelled,
    second_source,
    spec::{Counted, Criterion, Ms, Policy, Role, SECOND, Several, Spec, Test, Timing},
    subject::Subject,
    verdict::{Judgement, Verdict, length},
    view::View,
};

/// Clocks drift apart by milliseconds in five minutes.
const CLOCK_IS_GOOD_FOR: Ms = 300 * SECOND;

/// One refusal may be a restart or a token in rotation; three in a row are none.
const STRIKES: u32 = 3;

/// Longest pause between two tries while the server is in trouble.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// So that a decision that is due is not waited for in a busy loop.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// A start may be told by a clock that is this much ahead; more is a mistake.
const AHEAD: Ms = 60 * SECOND;

/// A verdict does not wait long for what it does not depend on.
const REMARKS_MAY_TAKE: Duration = Duration::from_secs(5);

/// Samples of one answer: a gate's memory does not depend on how many pods a site has.
const SAMPLES_AT_ONCE: usize = 40_000;

/// Until the series are known, so many points are asked for.
const POINTS_AT_FIRST: Ms = 10;

/// What is asked, of whom, and since when.
pub(crate) struct Gate {
    pub(crate) prometheus: Prometheus,
    /// The server's address for people.
    pub(crate) address: String,
    pub(crate) timing: Timing,
    pub(crate) combine: Combine,
    pub(crate) policy: Policy,
    /// When the canary got its first request; without it, when the gate first reads the clock.
    pub(crate) start: Option<Ms>,
    pub(crate) poll: Duration,
    pub(crate) questions: Vec<Question>,
    pub(crate) subject: Subject,
    pub(crate) override_file: Option<PathBuf>,
    pub(crate) record: Option<PathBuf>,
}

/// A criterion, or the ways to ask for it while it is open which of them the server knows.
pub(crate) enum Question {
    Asked(Box<Criterion>),
    Open(Vec<Candidate>),
}

impl Question {
    pub(crate) fn name(&self) -> &str {
        &self.criterion().name
    }

    pub(crate) fn role(&self) -> Role {
        self.criterion().role
    }

    /// The other criteria that it names.
    pub(crate) fn names(&self) -> Vec<&str> {
        match &self.criterion().test {
            Test::Value(test) => {
                let fast = test.fast_fail.iter().flat_map(|fast_fail| fast_fail.when.names());
                test.when.names().into_iter().chain(fast).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The criterion, or what it will be like.
    pub(crate) fn criterion(&self) -> &Criterion {
        match self {
            Self::Asked(criterion) => criterion,
            Self::Open(ways) => &ways[0].criterion,
        }
    }
}

/// Watches until there is a verdict, or a signal.
pub(crate) async fn watch(gate: Gate, terminated: &mut Terminated) -> Result<(Account, Ledger)> {
    let mut watch = Watch::new(gate);
    let last = tokio::select! {
        last = watch.run() => last?,
        () = terminated.wait() => Last::Aborted,
    };
    watch.view.close();
    watch.begin(watch.now())?; // a server that never told the time leaves a record all the same
    let now = watch.now();
    let remarks = if last == Last::Judged {
        timeout(REMARKS_MAY_TAKE, watch.remarks(now)).await.unwrap_or_default()
    } else {
        Vec::new()
    };
    let end = End {
        now,
        clock_offset_ms: watch.clock.map_or(0, |clock| clock.offset),
        polls: watch.polls,
        queries: watch.queries,
        failing_since: watch.ledger.samples.failing_since,
        last,
        remarks,
    };
    Ok((watch.ledger.end(&end), watch.ledger))
}

struct Watch {
    gate: Gate,
    ledger: Ledger,
    by_hand: Override,
    /// Refusals in a row, for each question.
    strikes: Vec<u32>,
    /// The ways to ask a question that were not taken.
    others: Vec<Vec<Candidate>>,
    /// Questions that the server does not answer together with the sign that it scrapes.
    bare: Vec<bool>,
    clock: Option<Clock>,
    view: View,
    polls: u64,
    queries: u64,
    has_begun: bool,
    /// Whether it was said which labels there are, in place of those that are wanted.
    told_labels: bool,
    forecast: forecast::Forecast,
}

#[derive(Clone, Copy)]
struct Clock {
    /// The server's clock minus ours.
    offset: Ms,
    read_at: Ms,
}

/// How a round of questions went.
enum Asked {
    /// No point has become final since the last round.
    NothingNew,
    Answered,
    /// Nobody answered anything.
    Nobody(Trouble),
}

impl Watch {
    fn new(gate: Gate) -> Self {
        let criteria: Vec<Criterion> =
            gate.questions.iter().map(|question| question.criterion().clone()).collect();
        let strikes = vec![0; criteria.len()];
        let spec = Spec {
            timing: gate.timing,
            criteria,
            combine: gate.combine.clone(),
            policy: gate.policy,
        };
        let bare = vec![false; spec.criteria.len()];
        let others = vec![Vec::new(); spec.criteria.len()];
        let mut ledger = Ledger::new(spec, gate.start.unwrap_or_else(local_clock));
        ledger.subject = gate.subject.clone();
        let view = View::new(gate.timing);
        let by_hand = Override::new(gate.override_file.clone());
        Self {
            gate,
            ledger,
            by_hand,
            strikes,
            others,
            bare,
            clock: None,
            view,
            polls: 0,
            queries: 0,
            has_begun: false,
            told_labels: false,
            forecast: forecast::Forecast::default(),
        }
    }

    /// Fixes the start, at the latest by the first look at the server's clock: all moments are the
    /// server's, and what was before the start is not judged.
    fn begin(&mut self, now: Ms) -> Result<()> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        if self.clock.is_some() {
            let start = self.gate.start.unwrap_or(now);
            if start > now + AHEAD {
                return Err(in_the_future(start).into());
            }
            self.ledger.restart(start);
            self.ledger.samples.failing_since = None;
        }
        if let Some(path) = self.gate.record.clone() {
            self.ledger.record(&path);
        }
        Ok(())
    }

    async fn run(&mut self) -> Result<Last> {
        let mut pause = self.gate.poll;
        loop {
            if let Some((verdict, who)) = self.by_hand.read() {
                return Ok(Last::Overridden { verdict, who });
            }
            let asked = self.ask().await?;
            let now = self.now();
            match asked {
                Asked::NothingNew => {}
                Asked::Answered => {
                    pause = self.gate.poll;
                    self.ledger.samples.failing_since = None;
                }
                Asked::Nobody(trouble) => {
                    self.ledger.samples.failing_since.get_or_insert(now);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    if let Trouble::Busy { retry_after: Some(wanted), .. } = trouble {
                        pause = pause.max(wanted.min(LONGEST_PAUSE));
                    }
                }
            }
            self.polls += 1;
            let judgement = self.ledger.judge(now);
            self.view.show(&judgement, now);
            self.foresee(&judgement, now);
            if judgement.verdict != Verdict::Pending {
                return Ok(Last::Judged);
            }
            sleep(self.until(pause, now)).await;
        }
    }

    /// The pause, a little varied so that many gates do not ask at once, and not past the moment
    /// when an outage or the deadline decides.
    fn until(&self, pause: Duration, now: Ms) -> Duration {
        let varied =
            pause + pause * u32::try_from(local_clock().rem_euclid(100)).unwrap_or(0) / 1000;
        let timing = &self.ledger.spec.timing;
        let deadline = self.ledger.t0 + timing.deadline;
        let outage = self.ledger.samples.failing_since.map(|since| since + timing.max_outage);
        let next = outage.map_or(deadline, |outage| outage.min(deadline));
        let left = Duration::from_millis(u64::try_from(next - now).unwrap_or(0));
        varied.min(left).max(SHORTEST_PAUSE)
    }

    /// What another source tells about the canary's failures, where it is not the same. It is asked
    /// once, after the verdict, which does not depend on it.
    async fn remarks(&mut self, now: Ms) -> Vec<String> {
        let judgement = self.ledger.judge(now);
        let Ledger { spec, t0, .. } = &self.ledger;
        let from = spec.timing.first_from(t0 + spec.timing.skew + spec.timing.warmup);
        let to = spec.timing.last_final(judgement.decided_at);
        let mut remarks = Vec::new();
        for (at, (criterion, state)) in spec.criteria.iter().zip(&judgement.criteria).enumerate() {
            let failures =
                matches!(&criterion.test, Test::Compare(test) if test.counted == Counted::Failed);
            let counted = state.evidence.as_ref().map(Evidence::canary);
            let (Some(counted), true) = (counted, failures && !self.others[at].is_empty()) else {
                continue;
            };
            self.queries += 3;
            let used = (criterion.source.as_str(), counted);
            let told = second_source::disagreement(
                &self.gate.prometheus,
                &self.others[at],
                used,
                (from, to),
            );
            remarks.extend(told.await.ok().flatten());
        }
        remarks
    }

    /// Says how long a verdict will take, as soon as that can be told.
    fn foresee(&mut self, judgement: &Judgement, now: Ms) {
        let Ledger { spec, t0, samples, .. } = &self.ledger;
        let lines = self.forecast.lines(spec, *t0, samples, judgement, now);
        for line in lines {
            self.view.line(&line);
        }
    }

    fn now(&self) -> Ms {
        local_clock() + self.clock.map_or(0, |clock| clock.offset)
    }

    /// Asks each question for the points that have become final. An error is what will not heal.
    async fn ask(&mut self) -> Result<Asked> {
        if self.clock.is_none_or(|clock| local_clock() - clock.read_at > CLOCK_IS_GOOD_FOR) {
            self.queries += 1;
            match self.gate.prometheus.clock_offset().await {
                Ok(offset) => {
                    self.clock = Some(Clock { offset, read_at: local_clock() });
                    self.tell_offset(offset);
                    self.begin(self.now())?;
                }
                // An old offset is better than none; without any, no time can be asked for.
                Err(_) if self.clock.is_some() => {}
                Err(trouble) => return self.weigh(0, trouble).map(Asked::Nobody),
            }
        }
        let mut asked = Asked::NothingNew;
        for at in 0..self.ledger.spec.criteria.len() {
            match self.ask_one(at).await? {
                Ok(false) => {}
                Ok(true) => {
                    self.strikes[at] = 0;
                    asked = Asked::Answered;
                }
                Err(trouble) => {
                    let trouble = self.weigh(at, trouble)?;
                    if matches!(asked, Asked::NothingNew) {
                        asked = Asked::Nobody(trouble);
                    }
                }
            }
        }
        self.refuse_crowds()?;
        Ok(asked)
    }

    /// Clocks that differ are no fault of the gate's, and a start may have been told by the other.
    fn tell_offset(&mut self, offset: Ms) {
        let skew = self.ledger.spec.timing.skew;
        if offset.abs() > skew && !self.has_begun {
            let way = if offset > 0 { "ahead of" } else { "behind" };
            self.view.line(&format!(
                "the clock of Prometheus is {} {way} this machine's, more than the {} that are allowed for; all times are its",
                length(offset), length(skew)
            ));
        }
    }

    /// Whether there was something to ask, and it was answered.
    async fn ask_one(&mut self, at: usize) -> Result<Result<bool, Trouble>> {
        let timing = self.ledger.spec.timing;
        let t0 = self.ledger.t0;
        let now = self.now();
        let first = timing.first_from(t0);
        // Nothing after the deadline has a say, however late a gate is started again.
        let to = timing.last_final(now.min(t0 + timing.deadline));
        let mut found = false;
        if to < first {
            return Ok(Ok(false));
        }
        if self.next(at) <= to {
            match self.settle_source(at, now).await? {
                Ok(true) => {}
                Ok(false) => {
                    self.ledger.answer(
                        at,
                        Of::Points,
                        (self.next(at), to, timing.step),
                        now,
                        (&[], Vec::new()),
                    );
                    if self.ledger.spec.criteria[at].past.is_some() {
                        let (from, to, step) = timing.history(t0);
                        let past = &self.ledger.samples.criteria[at].history;
                        let span = (past.next(from, step), to, step);
                        self.ledger.answer(at, Of::History, span, now, (&[], Vec::new()));
                    }
                    return Ok(Ok(true));
                }
                Err(trouble) => return Ok(Err(trouble)),
            }
        }
        while let Some((of, query, span)) = self.wanted(at, to) {
            let answer = match self.range(at, of, &query, span).await {
                Ok(answer) => answer,
                Err(trouble) => return Ok(Err(trouble)),
            };
            self.ledger.answer(at, of, span, now, (&answer.series, answer.bodies));
            found = true;
        }
        Ok(Ok(found))
    }

    /// Asks for a span of points. A query of one's own brings a sign of when the server scraped
    /// last, because one that was away repeats its last samples for minutes.
    async fn range(
        &mut self,
        at: usize,
        of: Of,
        query: &str,
        span: Span,
    ) -> Result<Answer, Trouble> {
        self.queries += 1;
        let own = of == Of::Points && !self.ledger.spec.criteria[at].is_counted();
        if !own || self.bare[at] {
            return self.gate.prometheus.range(query, span).await;
        }
        let scraped = labelled("max(timestamp(up))", SeriesRole::Scraped);
        let both = format!("(\n{query}\n) or {scraped}");
        match self.gate.prometheus.range(&both, span).await {
            // A query may give a scalar, which nothing can be joined to.
            Err(Trouble::Query(_) | Trouble::Execution(_)) => {
                self.queries += 1;
                let answer = self.gate.prometheus.range(query, span).await?;
                self.bare[at] = true;
                Ok(answer)
            }
            answered => answered,
        }
    }

    /// The first point that no answer has covered.
    fn next(&self, at: usize) -> Ms {
        let Ledger { spec, t0, samples, .. } = &self.ledger;
        let Timing { step, .. } = spec.timing;
        samples.criteria[at].next(&spec.criteria[at], spec.timing.first_from(*t0), step)
    }

    /// What is not known yet for a criterion up to a point: one question at a time, for no more
    /// points than there is room for.
    fn wanted(&self, at: usize, to: Ms) -> Option<(Of, String, Span)> {
        let Ledger { spec, t0, samples, .. } = &self.ledger;
        let (criterion, material) = (&spec.criteria[at], &samples.criteria[at]);
        let timing = spec.timing;
        let first = timing.first_from(*t0);
        let room = |from: Ms, to: Ms, step: Ms, breadth: usize| {
            let points = match Ms::try_from(SAMPLES_AT_ONCE / breadth.max(1)) {
                _ if breadth == 0 && criterion.is_counted() => POINTS_AT_FIRST,
                points => points.unwrap_or(Ms::MAX).clamp(1, 10_000),
            };
            (from, to.min(from + (points - 1) * step), step)
        };
        if let Some(past) = &criterion.past {
            let (from, to, step) = timing.history(*t0);
            let from = material.history.next(from, step);
            if from <= to {
                let span = room(from, to, step, material.history.breadth);
                return Some((Of::History, past.clone(), span));
            }
        }
        let from = self.next(at);
        if from <= to {
            let breadth = material.counters.breadth.max(material.points.breadth);
            let span = room(from, to, timing.step, breadth);
            return Some((Of::Points, criterion.query.clone(), span));
        }
        let presence = criterion.presence.as_ref()?;
        let from = material.presence.next(first, timing.step);
        let span = room(from, to, timing.step, material.presence.breadth);
        (from <= to).then(|| (Of::Presence, presence.clone(), span))
    }

    /// Whether it is settled by which series a question is asked.
    async fn settle_source(&mut self, at: usize, now: Ms) -> Result<Result<bool, Trouble>> {
        match self.try_to_settle(at, now).await {
            Err(trouble) => Ok(Err(trouble)),
            Ok(None) => Ok(Ok(matches!(self.gate.questions[at], Question::Asked(_)))),
            Ok(Some((source, criterion))) => {
                if !source.is_empty() {
                    self.view.line(&format!("{} rests on the series of {source}", criterion.name));
                }
                for note in &criterion.notes {
                    self.view.line(&format!("{}: {note}", criterion.name));
                }
                self.ledger.choose(at, source, criterion.clone());
                let asked = Question::Asked(Box::new(criterion));
                if let Question::Open(mut ways) =
                    std::mem::replace(&mut self.gate.questions[at], asked)
                {
                    let used = ways.iter().find(|way| way.source == source);
                    let used = used.map(|way| way.metric.clone());
                    ways.retain(|way| Some(&way.metric) != used.as_ref());
                    self.others[at] = ways;
                }
                Ok(Ok(true))
            }
        }
    }

    async fn try_to_settle(
        &mut self,
        at: usize,
        now: Ms,
    ) -> Result<Option<(&'static str, Criterion)>, Trouble> {
        let Question::Open(ways) = &self.gate.questions[at] else { return Ok(None) };
        let prometheus = &self.gate.prometheus;
        self.queries += 1;
        let way = existing(prometheus, ways, now).await?;
        // Nothing is judged before, and the series of the best source, or their copies, may be a
        // scrape later than others.
        let timing = &self.ledger.spec.timing;
        if now < self.ledger.t0 + timing.skew + timing.warmup {
            return Ok(None);
        }
        self.queries += 1;
        let Some(way) = way else {
            if !std::mem::replace(&mut self.told_labels, true) {
                for line in labels_there(prometheus, ways, now).await? {
                    self.view.line(&line);
                }
            }
            return Ok(None);
        };
        let shape = shape(prometheus, way, now).await?;
        Ok(Some((way.source, way.settled(&shape))))
    }

    /// Logs a trouble, and gives up on one that does not pass.
    fn weigh(&mut self, at: usize, trouble: Trouble) -> Result<Trouble> {
        let name = &self.ledger.spec.criteria[at].name;
        let what = format!("failed to query Prometheus `{}` for `{name}`", self.gate.address);
        let text = format!("{what}: {trouble}");
        self.ledger.trouble(self.now(), &text);
        let hint = match trouble.remedy() {
            Remedy::Correct(hint) => {
                return Err(Usage { what: text, hint: hint.to_owned() }.into());
            }
            Remedy::GiveUp(hint) => Some(hint),
            Remedy::TryAgain(hint) => {
                self.strikes[at] += 1;
                (self.strikes[at] >= STRIKES).then_some(hint)
            }
            Remedy::Wait => None,
        };
        if let Some(hint) = hint {
            return Err(trouble).context(Failure { what, hint: hint.to_owned() });
        }
        self.view.trouble(&text);
        Ok(trouble)
    }

    /// Where one number is expected, several are a mistake in the question: none of them may win.
    fn refuse_crowds(&self) -> Result<()> {
        for (criterion, material) in
            self.ledger.spec.criteria.iter().zip(&self.ledger.samples.criteria)
        {
            let one = matches!(&criterion.test, Test::Value(test) if test.series == Several::One);
            let Some(crowd) = material.points.crowd().filter(|_| one) else { continue };
            return Err(several(&criterion.name, &crowd).into());
        }
        Ok(())
    }
}
