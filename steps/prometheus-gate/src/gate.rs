//! The loop around the verdict: ask for what is new, judge, tell, wait.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use step::{Failure, Terminated, Usage};
use tokio::time::sleep;

use crate::{
    criteria::{Candidate, which_exist},
    prometheus::{Prometheus, Trouble, local_clock},
    samples::{Answers, Labels, Samples},
    spec::{Criterion, Ms, SECOND, Spec, Test, Timing},
    verdict::{Judgement, Standing, Verdict, length, verdict},
};

/// Clocks drift apart by milliseconds in five minutes.
const CLOCK_IS_GOOD_FOR: Ms = 300 * SECOND;

/// One refusal may be a restart or a token in rotation; three in a row are none.
const STRIKES: u32 = 3;

/// Longest pause between two tries while the server is in trouble.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// So that a decision that is due is not waited for in a busy loop.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Without news, a log says this often that the gate is alive.
const HEARTBEAT: Ms = 30 * SECOND;

/// What is asked, of whom, and since when.
pub(crate) struct Gate {
    pub(crate) prometheus: Prometheus,
    /// The server's address for people.
    pub(crate) address: String,
    pub(crate) timing: Timing,
    pub(crate) t0: Ms,
    pub(crate) poll: Duration,
    pub(crate) questions: Vec<Question>,
}

/// A criterion, or the ways to ask for it while it is open which of them the server knows.
pub(crate) enum Question {
    Asked(Criterion),
    Open(Vec<Candidate>),
}

impl Question {
    pub(crate) fn name(&self) -> &str {
        &self.criterion().name
    }

    /// How far back its values reach.
    pub(crate) fn window(&self) -> Ms {
        self.criterion().window
    }

    fn criterion(&self) -> &Criterion {
        match self {
            Self::Asked(criterion) => criterion,
            Self::Open(ways) => &ways[0].criterion,
        }
    }
}

/// Watches until there is a verdict, or a signal.
pub(crate) async fn watch(gate: Gate, terminated: &mut Terminated) -> Result<Account> {
    let mut watch = Watch::new(gate);
    let decided = tokio::select! {
        judgement = watch.run() => Some(judgement?),
        () = terminated.wait() => None,
    };
    let judgement = decided.unwrap_or_else(|| watch.judge().aborted());
    Ok(watch.account(judgement))
}

struct Watch {
    gate: Gate,
    spec: Spec,
    samples: Samples,
    /// Refusals in a row, for each question.
    strikes: Vec<u32>,
    clock: Option<Clock>,
    told: Told,
    polls: u64,
    queries: u64,
}

/// A verdict and how it came about, as it is written down.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    api_version: &'static str,
    version: &'static str,
    t0: String,
    decided_at: String,
    clock_offset_ms: Ms,
    polls: u64,
    queries: u64,
    #[serde(flatten)]
    pub(crate) judgement: Judgement,
}

impl Watch {
    fn new(gate: Gate) -> Self {
        let criteria: Vec<Criterion> =
            gate.questions.iter().map(|question| question.criterion().clone()).collect();
        let samples =
            Samples { answers: vec![Answers::default(); criteria.len()], failing_since: None };
        let strikes = vec![0; criteria.len()];
        let spec = Spec { timing: gate.timing, criteria };
        Self {
            gate,
            spec,
            samples,
            strikes,
            clock: None,
            told: Told::default(),
            polls: 0,
            queries: 0,
        }
    }

    async fn run(&mut self) -> Result<Judgement> {
        let mut pause = self.gate.poll;
        loop {
            let asked = self.ask().await?;
            let now = self.now();
            match asked {
                Asked::NothingNew => {}
                Asked::Answered => {
                    pause = self.gate.poll;
                    self.samples.failing_since = None;
                }
                Asked::Nobody(trouble) => {
                    self.samples.failing_since.get_or_insert(now);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    if let Trouble::Busy { retry_after: Some(wanted), .. } = trouble {
                        pause = pause.max(wanted.min(LONGEST_PAUSE));
                    }
                }
            }
            self.polls += 1;
            let judgement = self.judge();
            self.told.news(&judgement, now);
            if judgement.verdict != Verdict::Pending {
                return Ok(judgement);
            }
            sleep(self.until(pause, now)).await;
        }
    }

    fn judge(&self) -> Judgement {
        verdict(&self.spec, self.gate.t0, &self.samples, self.now())
    }

    fn account(&self, judgement: Judgement) -> Account {
        Account {
            api_version: "gate/v1",
            version: env!("CARGO_PKG_VERSION"),
            t0: rfc3339(self.gate.t0),
            decided_at: rfc3339(judgement.decided_at),
            clock_offset_ms: self.clock.map_or(0, |clock| clock.offset),
            polls: self.polls,
            queries: self.queries,
            judgement,
        }
    }

    /// The pause, a little varied so that many gates do not ask at once, and not past the moment
    /// when an outage or the deadline decides.
    fn until(&self, pause: Duration, now: Ms) -> Duration {
        let varied =
            pause + pause * u32::try_from(local_clock().rem_euclid(100)).unwrap_or(0) / 1000;
        let deadline = self.gate.t0 + self.spec.timing.deadline;
        let outage = self.samples.failing_since.map(|since| since + self.spec.timing.max_outage);
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
        for at in 0..self.spec.criteria.len() {
            match self.ask_one(at).await {
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
    async fn ask_one(&mut self, at: usize) -> Result<bool, Trouble> {
        let Timing { step, .. } = self.spec.timing;
        let now = self.now();
        let first = self.spec.timing.first_from(self.gate.t0);
        let to = self.spec.timing.last_final(now);
        if self.samples.answers[at].next(first, step) > to {
            return Ok(false);
        }
        if let Question::Open(ways) = &self.gate.questions[at] {
            self.queries += 1;
            let found = self.gate.prometheus.instant(&which_exist(ways), now).await?;
            let way = found
                .series
                .iter()
                .filter_map(|series| series.labels.get(crate::samples::PART)?.parse().ok())
                .min();
            let Some(way) = way.and_then(|way: usize| ways.get(way)).cloned() else {
                self.samples.answers[at].add((first, to, step), &[]);
                return Ok(true);
            };
            tracing::info!("{} rests on the series of {}", way.criterion.name, way.source);
            self.samples.answers[at] = Answers::default();
            self.spec.criteria[at] = way.criterion.clone();
            self.gate.questions[at] = Question::Asked(way.criterion);
        }
        let from = self.samples.answers[at].next(first, step);
        self.queries += 1;
        let answer =
            self.gate.prometheus.range(&self.spec.criteria[at].query, (from, to, step)).await?;
        if let Some(warning) = answer.warnings.into_iter().next() {
            return Err(Trouble::Warned(warning));
        }
        self.samples.answers[at].add((from, to, step), &answer.series);
        Ok(true)
    }

    /// Tells a trouble, and gives up on one that will not heal.
    fn weigh(&mut self, at: usize, trouble: Trouble) -> Result<Trouble> {
        let what = format!(
            "failed to query Prometheus `{}` for `{}`",
            self.gate.address, self.spec.criteria[at].name
        );
        self.strikes[at] += 1;
        let strikes = self.strikes[at];
        let hint = match &trouble {
            Trouble::Query(_) => {
                return Err(Usage {
                    what: format!("{what}: {trouble}"),
                    hint:
                        "try the query in Prometheus's own page, then put it into the param `query`"
                            .into(),
                }
                .into());
            }
            Trouble::NoApi { .. } => {
                return Err(Usage { what: format!("{what}: {trouble}"), hint: "set the param `prometheus-url` to the address below which `/api/v1/query` answers".into() }.into());
            }
            Trouble::Warned(warning) if warning.starts_with("PromQL warning") => {
                Some("the server doubts the query: correct what it warns of")
            }
            Trouble::Unreachable(_)
            | Trouble::Busy { .. }
            | Trouble::Garbled(_)
            | Trouble::Warned(_) => None,
            Trouble::Refused { .. } => Some(
                "the Secret of the param `prometheus-secret` needs a `token`, or `username` and `password`, that may read",
            ),
            Trouble::Execution(_) => Some(
                "try the query in Prometheus's own page: it may match several series where one is wanted",
            ),
            Trouble::Credentials(_) => Some("look at the Secret of the param `prometheus-secret`"),
        };
        self.told.trouble(&format!("{what}: {trouble}"));
        match hint {
            Some(hint) if strikes >= STRIKES => {
                Err(trouble).context(Failure { what, hint: hint.into() })
            }
            _ => Ok(trouble),
        }
    }

    /// Where one number is expected, several are a mistake in the question: none of them may win.
    fn refuse_crowds(&self) -> Result<()> {
        for (criterion, answers) in self.spec.criteria.iter().zip(&self.samples.answers) {
            if let (Test::Value(_), Some(crowd)) = (&criterion.test, answers.crowd()) {
                let examples = crowd
                    .iter()
                    .take(2)
                    .map(|labels| shown(labels))
                    .collect::<Vec<_>>()
                    .join(" and ");
                return Err(Usage {
                    what: format!(
                        "the query of `{}` gives {} series where one is wanted: {examples}",
                        criterion.name,
                        crowd.len()
                    ),
                    hint: "wrap it in `sum(…)` or `max(…)`, or select one series".into(),
                }
                .into());
            }
        }
        Ok(())
    }
}

/// How a round of questions went.
enum Asked {
    /// No point has become final since the last round.
    NothingNew,
    Answered,
    /// Nobody answered anything.
    Nobody(Trouble),
}

#[derive(Clone, Copy)]
struct Clock {
    /// The server's clock minus ours.
    offset: Ms,
    read_at: Ms,
}

/// A moment in UTC, to the second.
pub(crate) fn rfc3339(moment: Ms) -> String {
    let since = Duration::from_millis(moment.unsigned_abs());
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}

fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("`{{{}}}`", pairs.join(","))
}

/// What has been told already, so that a log has a line per change and not per look.
#[derive(Default)]
struct Told {
    standing: Vec<Standing>,
    at: Ms,
    trouble: Option<String>,
}

impl Told {
    fn news(&mut self, judgement: &Judgement, now: Ms) {
        if judgement.verdict != Verdict::Pending {
            return;
        }
        let standing: Vec<Standing> =
            judgement.criteria.iter().map(|state| state.standing).collect();
        if standing == self.standing && now - self.at < HEARTBEAT {
            return;
        }
        let held = judgement.criteria.iter().map(|state| state.held).min().unwrap_or_default();
        tracing::info!("held for {}: {}", length(held), judgement.message);
        self.standing = standing;
        self.at = now;
    }

    fn trouble(&mut self, trouble: &str) {
        if self.trouble.as_deref() != Some(trouble) {
            tracing::warn!("{trouble}");
            self.trouble = Some(trouble.to_owned());
        }
    }
}
