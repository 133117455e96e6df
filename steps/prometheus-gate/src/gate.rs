//! The loop around the verdict: ask for what is new, judge, tell, wait.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use step::{Failure, Terminated, Usage};
use tokio::time::sleep;

use crate::{
    combine::Combine,
    criteria::{Candidate, which_exist},
    ledger::{Account, End, Last, Ledger, Of, Span},
    override_file,
    prometheus::{Prometheus, Trouble, local_clock},
    samples::{Labels, PART},
    spec::{Criterion, Ms, Policy, Role, SECOND, Several, Spec, Test, Timing},
    verdict::Verdict,
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

/// The past that tells whether a baseline's errors come in bursts: an hour in 120 pairs of steps.
const HISTORY: Ms = 3600 * SECOND;
const HISTORY_STEP: Ms = 15 * SECOND;

/// What is asked, of whom, and since when.
pub(crate) struct Gate {
    pub(crate) prometheus: Prometheus,
    /// The server's address for people.
    pub(crate) address: String,
    pub(crate) timing: Timing,
    pub(crate) combine: Combine,
    pub(crate) policy: Policy,
    pub(crate) t0: Ms,
    pub(crate) poll: Duration,
    pub(crate) questions: Vec<Question>,
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
    let mut watch = Watch::new(gate)?;
    let last = tokio::select! {
        last = watch.run() => last?,
        () = terminated.wait() => Last::Aborted,
    };
    watch.view.close();
    let end = End {
        now: watch.now(),
        clock_offset_ms: watch.clock.map_or(0, |clock| clock.offset),
        polls: watch.polls,
        queries: watch.queries,
        failing_since: watch.ledger.samples.failing_since,
        last,
    };
    Ok((watch.ledger.end(&end)?, watch.ledger))
}

struct Watch {
    gate: Gate,
    ledger: Ledger,
    /// Refusals in a row, for each question.
    strikes: Vec<u32>,
    clock: Option<Clock>,
    view: View,
    polls: u64,
    queries: u64,
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
    fn new(gate: Gate) -> Result<Self> {
        let criteria: Vec<Criterion> =
            gate.questions.iter().map(|question| question.criterion().clone()).collect();
        let strikes = vec![0; criteria.len()];
        let spec = Spec {
            timing: gate.timing,
            criteria,
            combine: gate.combine.clone(),
            policy: gate.policy,
        };
        let mut ledger = Ledger::new(spec, gate.t0);
        if let Some(path) = &gate.record {
            ledger.record(path)?;
        }
        let view = View::new(gate.timing);
        Ok(Self { gate, ledger, strikes, clock: None, view, polls: 0, queries: 0 })
    }

    async fn run(&mut self) -> Result<Last> {
        let mut pause = self.gate.poll;
        loop {
            if let Some((verdict, who)) =
                self.gate.override_file.as_deref().map(override_file::read).transpose()?.flatten()
            {
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
        let deadline = self.gate.t0 + timing.deadline;
        let outage = self.ledger.samples.failing_since.map(|since| since + timing.max_outage);
        let next = outage.map_or(deadline, |outage| outage.min(deadline));
        let left = Duration::from_millis(u64::try_from(next - now).unwrap_or(0));
        varied.min(left).max(SHORTEST_PAUSE)
    }

    fn now(&self) -> Ms {
        local_clock() + self.clock.map_or(0, |clock| clock.offset)
    }

    /// Asks each question for the points that have become final. An error is what will not heal.
    async fn ask(&mut self) -> Result<Asked> {
        if self.clock.is_none_or(|clock| local_clock() - clock.read_at > CLOCK_IS_GOOD_FOR) {
            self.queries += 1;
            match self.gate.prometheus.clock_offset().await {
                Ok(offset) => self.clock = Some(Clock { offset, read_at: local_clock() }),
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

    /// Whether there was something to ask, and it was answered.
    async fn ask_one(&mut self, at: usize) -> Result<Result<bool, Trouble>> {
        let Timing { step, .. } = self.ledger.spec.timing;
        let now = self.now();
        let first = self.ledger.spec.timing.first_from(self.gate.t0);
        // Nothing after the deadline has a say, however late a gate is started again.
        let timing = &self.ledger.spec.timing;
        let to = timing.last_final(now.min(self.gate.t0 + timing.deadline));
        let mut found = false;
        if to < first {
            return Ok(Ok(false));
        }
        if self.ledger.samples.criteria[at].points.next(first, step) <= to {
            match self.settle_source(at, now).await? {
                Ok(true) => {}
                Ok(false) => {
                    self.ledger.answer(
                        at,
                        Of::Points,
                        (first, to, step),
                        now,
                        (&[], Vec::new()),
                    )?;
                    if self.ledger.spec.criteria[at].wants_history() {
                        let span = self.history();
                        self.ledger.answer(at, Of::History, span, now, (&[], Vec::new()))?;
                    }
                    return Ok(Ok(true));
                }
                Err(trouble) => return Ok(Err(trouble)),
            }
        }
        for (of, query, span) in self.wanted(at, to) {
            self.queries += 1;
            let answer = match self.gate.prometheus.range(&query, span).await {
                Ok(answer) => answer,
                Err(trouble) => return Ok(Err(trouble)),
            };
            if let Some(warning) = answer.warnings.into_iter().next() {
                return Ok(Err(Trouble::Warned(warning)));
            }
            self.ledger.answer(at, of, span, now, (&answer.series, answer.bodies))?;
            found = true;
        }
        Ok(Ok(found))
    }

    /// What is not known yet for a criterion up to a point.
    fn wanted(&self, at: usize, to: Ms) -> Vec<(Of, String, Span)> {
        let criterion = &self.ledger.spec.criteria[at];
        let material = &self.ledger.samples.criteria[at];
        let Timing { step, .. } = self.ledger.spec.timing;
        let first = self.ledger.spec.timing.first_from(self.gate.t0);
        let mut wanted = Vec::new();
        if criterion.wants_history() && material.history.is_none() {
            wanted.push((Of::History, criterion.query.clone(), self.history()));
        }
        wanted.push((
            Of::Points,
            criterion.query.clone(),
            (material.points.next(first, step), to, step),
        ));
        if let Some(presence) = &criterion.presence {
            wanted.push((
                Of::Presence,
                presence.clone(),
                (material.presence.next(first, step), to, step),
            ));
        }
        wanted.retain(|(_, _, (from, to, _))| from <= to);
        wanted
    }

    /// Whether it is settled by which series a question is asked.
    async fn settle_source(&mut self, at: usize, now: Ms) -> Result<Result<bool, Trouble>> {
        let Question::Open(ways) = &self.gate.questions[at] else { return Ok(Ok(true)) };
        self.queries += 1;
        let found = match self.gate.prometheus.instant(&which_exist(ways), now).await {
            Ok(found) => found,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let way = found
            .series
            .iter()
            .filter_map(|series| series.labels.get(PART)?.parse::<usize>().ok())
            .min();
        let Some(Candidate { source, criterion, .. }) = way.and_then(|way| ways.get(way)).cloned()
        else {
            return Ok(Ok(false));
        };
        self.view.line(&format!("{} rests on the series of {source}", criterion.name));
        self.ledger.choose(at, source, criterion.clone())?;
        self.gate.questions[at] = Question::Asked(Box::new(criterion));
        Ok(Ok(true))
    }

    /// The points of the hour before the canary.
    fn history(&self) -> Span {
        let step = HISTORY_STEP.max(self.ledger.spec.timing.step);
        let to = self.gate.t0.div_euclid(step) * step;
        (to - HISTORY, to, step)
    }

    /// Tells a trouble, and gives up on one that will not heal.
    fn weigh(&mut self, at: usize, trouble: Trouble) -> Result<Trouble> {
        let name = &self.ledger.spec.criteria[at].name;
        let what = format!("failed to query Prometheus `{}` for `{name}`", self.gate.address);
        self.strikes[at] += 1;
        let hint = match &trouble {
            Trouble::Unreachable(_) | Trouble::Busy { .. } | Trouble::Garbled(_) => None,
            Trouble::Query(_) => {
                let hint =
                    "try the query in Prometheus's own page, then put it into the param `query`"
                        .to_owned();
                return Err(Usage { what: format!("{what}: {trouble}"), hint }.into());
            }
            Trouble::NoApi { .. } => {
                let hint = "set the param `prometheus-url` to the address below which `/api/v1/query` answers".to_owned();
                return Err(Usage { what: format!("{what}: {trouble}"), hint }.into());
            }
            Trouble::Warned(warning) => warning
                .starts_with("PromQL warning")
                .then_some("the server doubts the query: correct what it warns of"),
            Trouble::Refused { .. } => Some(
                "the Secret of the param `prometheus-secret` needs a `token`, or `username` and `password`, that may read",
            ),
            Trouble::Execution(_) => Some(
                "try the query in Prometheus's own page: it may match several series where one is wanted",
            ),
            Trouble::Credentials(_) => Some("look at the Secret of the param `prometheus-secret`"),
        };
        let text = format!("{what}: {trouble}");
        self.ledger.trouble(self.now(), &text)?;
        self.view.trouble(&text);
        match hint {
            Some(hint) if self.strikes[at] >= STRIKES => {
                Err(trouble).context(Failure { what, hint: hint.into() })
            }
            _ => Ok(trouble),
        }
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

/// What is wrong with a question that several series answer.
pub(crate) fn several(name: &str, crowd: &[&Labels]) -> Usage {
    let examples =
        crowd.iter().take(2).map(|labels| shown(labels)).collect::<Vec<_>>().join(" and ");
    Usage {
        what: format!(
            "the query of `{name}` gives {} series where one is wanted: {examples}",
            crowd.len()
        ),
        hint: "wrap it in `sum(…)` or `max(…)`, or select one series".to_owned(),
    }
}

fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("`{{{}}}`", pairs.join(","))
}
