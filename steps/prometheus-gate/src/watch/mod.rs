//! The loop around the verdict: ask for what is new, judge, log, wait.

mod forecast;
pub(crate) mod gate;
pub(crate) mod looking;
mod polling;
mod second_source;
mod state;
mod waiting;

use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use step::Terminated;
use tokio::time::{sleep, timeout};

use crate::judge::verdict::{Judgement, Verdict};
use crate::prometheus::error::PrometheusError;
use crate::record::line::{End, Last};
use crate::record::{run::Record, summary::Summary};
use crate::spec::resolved::{Counted, Test};
use crate::time::local_clock;
use crate::watch::gate::Gate;
use crate::watch::state::{Round, Watch};
use crate::watch::waiting::Heard;

/// Longest pause between two tries while the server is in error.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// So that a decision that is due is not waited for in a busy loop.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// A verdict does not wait long for what it does not depend on.
const REMARKS_MAY_TAKE: Duration = Duration::from_secs(5);

/// Watches until there is a verdict, or a signal.
pub(crate) async fn watch(gate: Gate, terminated: &mut Terminated) -> Result<(Summary, Record)> {
    let mut watch = Watch::new(gate);
    for note in watch.record.subject.notes.clone() {
        watch.view.line(&note);
    }
    let last = tokio::select! {
        last = watch.run() => last?,
        () = terminated.wait() => Last::Aborted,
    };
    watch.view.close();
    watch.begin(watch.now())?; // a server that never gave the time leaves a record all the same
    let now = watch.now();
    let remarks = if last == Last::Judged {
        timeout(REMARKS_MAY_TAKE, watch.remarks(now)).await.unwrap_or_default()
    } else {
        Vec::new()
    };
    let end = End { last, remarks, ..watch.end(now) };
    Ok((watch.record.end(&end), watch.record))
}

impl Watch {
    async fn run(&mut self) -> Result<Last> {
        let mut pause = self.gate.poll;
        loop {
            let round = match self.listen_and_ask().await? {
                Heard::LastWord(last) => return Ok(last),
                Heard::Nothing => {
                    self.polls += 1;
                    sleep(self.gate.poll).await;
                    continue;
                }
                Heard::Round(round) => round,
            };
            let now = self.now();
            match round {
                Round::NothingNew => {}
                Round::Answered => {
                    pause = self.gate.poll;
                    self.record.samples.failing_since = None;
                }
                Round::Failed(error) => {
                    self.record.samples.failing_since.get_or_insert(now);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    if let PrometheusError::Busy { retry_after: Some(wanted), .. } = error {
                        pause = pause.max(wanted.min(LONGEST_PAUSE));
                    }
                }
            }
            self.polls += 1;
            let judgement = self.record.judge(now);
            self.view.show(&judgement, now);
            self.log_forecast(&judgement, now);
            if judgement.verdict != Verdict::Pending {
                return Ok(Last::Judged);
            }
            self.wait(&judgement, now);
            sleep(self.until(pause, now, judgement.end)).await;
        }
    }

    /// The pause, a little varied so that many gates do not ask at once, and not past the moment
    /// when an outage or the deadline decides.
    fn until(&self, pause: Duration, now: Timestamp, deadline: Timestamp) -> Duration {
        let varied =
            pause + pause * (local_clock().subsec_millisecond().unsigned_abs() % 100) / 1000;
        let timing = &self.record.spec.timing;
        let outage = self.record.samples.failing_since.map(|since| since + timing.max_outage);
        let next = outage.map_or(deadline, |outage| outage.min(deadline));
        let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
        varied.min(left).max(SHORTEST_PAUSE)
    }

    /// How it stands now, should it end.
    fn end(&self, now: Timestamp) -> End {
        End {
            now,
            clock_offset: self.clock.map_or(SignedDuration::ZERO, |clock| clock.offset),
            polls: self.polls,
            queries: self.queries,
            failing_since: self.record.samples.failing_since,
            ..End::default()
        }
    }

    /// What another source counts of the canary's failures, where it is not the same. It is asked
    /// once, after the verdict, which does not depend on it.
    async fn remarks(&mut self, now: Timestamp) -> Vec<String> {
        let judgement = self.record.judge(now);
        let Record { spec, .. } = &self.record;
        let begun = self.record.begun();
        let from = spec.timing.first_from(begun + spec.timing.skew + spec.timing.warmup);
        let to = spec.timing.last_final(judgement.decided_at);
        let mut remarks = Vec::new();
        for (at, (criterion, state)) in spec.criteria.iter().zip(&judgement.criteria).enumerate() {
            let failures =
                matches!(&criterion.test, Test::Compare(test) if test.counted == Counted::Failed);
            let counted = state.evidence.as_ref().map(|evidence| evidence.canary);
            let (Some(counted), true) = (counted, failures && !self.others[at].is_empty()) else {
                continue;
            };
            self.queries += 3;
            let used = (criterion.source.as_str(), counted);
            let disagreement = second_source::disagreement(
                &self.gate.prometheus,
                &self.others[at],
                used,
                (from, to),
            );
            remarks.extend(disagreement.await.ok().flatten());
        }
        remarks
    }

    /// Logs how long a verdict will take, as soon as that shows.
    fn log_forecast(&mut self, judgement: &Judgement, now: Timestamp) {
        let Record { spec, t0, samples, .. } = &self.record;
        let lines = self.forecast.lines(spec, *t0, samples, judgement, now);
        for line in lines {
            self.view.line(&line);
        }
    }
}
