//! Answers that were given and not counted.
//!
//! Events are sent once, without waiting, and one that is lost is nobody's error. Loss that does not depend on the
//! answer does no harm; loss that does, such as of a pod that is killed by large answers, looks like a change, or
//! hides one. So what was counted is held against the gateway's own count of requests that were answered with 200.

use crate::judge::{counter_increase::Growth, counts::percent};
use crate::series::{Measure, Revision};

/// A greater part of the answers is missed.
const PART: f64 = 0.1;

/// Requests that nobody misses: the platform's own probes of a revision, and what comes with little traffic.
const FEW: f64 = 20.0;

/// What was answered and counted on this rung.
#[derive(Clone, Debug, Default)]
pub(super) struct Loss {
    /// The canary's, the baseline's.
    sides: [Answered; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    /// Requests that were answered, by the gateway.
    requests: f64,
    /// Their answers that came to the counter.
    counted: f64,
    /// Requests of the newest look: so many may be on their way to the counter, or to its next scrape.
    newest: f64,
}

impl Loss {
    pub(super) fn look(&mut self, growth: &Growth) {
        // Over a gap nobody knows what was counted.
        if growth.gap {
            return;
        }
        for revision in [Revision::Canary, Revision::Baseline] {
            let side = &mut self.sides[revision as usize];
            let requests = growth.of(revision, Measure::Answered);
            side.requests += requests;
            side.counted +=
                growth.of(revision, Measure::Taken) + growth.of(revision, Measure::Unreadable);
            side.newest = requests;
        }
    }

    pub(super) fn begin_rung(&mut self) {
        *self = Self::default();
    }

    /// The side of which too many answers were not counted, and what part of them.
    pub(super) fn lost(&self) -> Option<(Revision, f64)> {
        let lost = |revision: Revision| {
            let Answered { requests, counted, newest } = self.sides[revision as usize];
            let missing = requests - counted;
            let is_lost = missing > PART * requests + newest + FEW;
            is_lost.then(|| (revision, missing / requests))
        };
        let sides = [Revision::Canary, Revision::Baseline].map(lost);
        sides.into_iter().flatten().max_by(|a, b| a.1.total_cmp(&b.1))
    }

    pub(super) fn describe(&self) -> Option<String> {
        let (revision, part) = self.lost()?;
        let whose = match revision {
            Revision::Canary => "canary",
            Revision::Baseline => "baseline",
        };
        Some(format!("{} of the {whose}'s answers were not counted", percent(part)))
    }
}
