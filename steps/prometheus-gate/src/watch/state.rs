//! What a gate knows while it watches.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};

use crate::decisions::people::People;
use crate::judge::waiting::Obstacle;
use crate::output::terminal::View;
use crate::prometheus::error::PrometheusError;
use crate::record::run::Record;
use crate::spec::candidates::Candidate;
use crate::spec::resolved::{Criterion, Spec};
use crate::time::local_clock;
use crate::watch::forecast::Forecast;
use crate::watch::gate::{Gate, in_the_future};

/// A start may be by a clock that is this much ahead; more is a mistake.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

pub(crate) struct Watch {
    pub(super) gate: Gate,
    pub(crate) record: Record,
    /// Whoever may decide about the release, while nobody is asked just now.
    pub(super) people: Option<People>,
    /// What it was said to wait for.
    pub(super) waits_for: Option<Obstacle>,
    /// Until when Prometheus is not asked again.
    pub(super) rests_until: Option<Timestamp>,
    /// Refusals in a row, for each question.
    pub(super) refusals: Vec<u32>,
    /// The candidates to ask a question that were not taken.
    pub(super) others: Vec<Vec<Candidate>>,
    /// Questions that the server does not answer together with the sign that it scrapes.
    pub(super) bare: Vec<bool>,
    pub(super) clock: Option<Clock>,
    pub(super) view: View,
    pub(super) polls: u64,
    pub(super) queries: u64,
    pub(super) has_begun: bool,
    /// Whether it was said which labels there are, in place of those that are wanted.
    pub(super) logged_labels: bool,
    pub(super) forecast: Forecast,
}

#[derive(Clone, Copy)]
pub(super) struct Clock {
    /// The server's clock minus ours.
    pub(super) offset: SignedDuration,
    pub(super) read_at: Timestamp,
}

/// How a round of questions went.
pub(super) enum Round {
    /// No point has become final since the last round.
    NothingNew,
    Answered,
    /// Nobody answered anything.
    Failed(PrometheusError),
}

impl Watch {
    pub(super) fn new(gate: Gate) -> Self {
        let view = View::new(gate.timing);
        Self::shown_by(view, gate)
    }

    pub(super) fn shown_by(view: View, mut gate: Gate) -> Self {
        let criteria: Vec<Criterion> =
            gate.questions.iter().map(|question| question.criterion().clone()).collect();
        let refusals = vec![0; criteria.len()];
        let spec = Spec {
            timing: gate.timing,
            rungs: gate.rungs.clone(),
            criteria,
            combine: gate.combine.clone(),
            policy: gate.policy,
            permission: gate.permission.clone(),
        };
        let bare = vec![false; spec.criteria.len()];
        let others = vec![Vec::new(); spec.criteria.len()];
        let start = gate.start.unwrap_or_else(local_clock);
        let record = Record::new(spec, gate.subject.clone(), start);
        let people = gate.people.take();
        Self {
            gate,
            record,
            people,
            waits_for: None,
            rests_until: None,
            refusals,
            others,
            bare,
            clock: None,
            view,
            polls: 0,
            queries: 0,
            has_begun: false,
            logged_labels: false,
            forecast: Forecast::default(),
        }
    }

    /// Fixes the start, at the latest by the first look at the server's clock: all moments are the
    /// server's, and what was before the start is not judged.
    pub(super) fn begin(&mut self, now: Timestamp) -> Result<()> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        if self.clock.is_some() {
            let start = self.gate.start.unwrap_or(now);
            if start > now + AHEAD {
                return Err(in_the_future(start));
            }
            self.record.restart(start);
            self.record.samples.failing_since = None;
        }
        self.record.keep_in(&self.gate.records);
        Ok(())
    }

    pub(crate) fn now(&self) -> Timestamp {
        local_clock() + self.clock.map_or(SignedDuration::ZERO, |clock| clock.offset)
    }
}
