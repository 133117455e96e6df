//! The verdict: a pure function of the question, the start, the samples and the time.
//!
//! It walks over the final points in time order, as if it had stood at each of them, and the first
//! decision counts. So a gate that was killed and started again, and a replay, agree with one that
//! ran through. Nothing measured is never a pass.
//!
//! A canary whose criteria hold and that has no permission to climb is not late: from the first point at which
//! they do not hold any more it has as long as it had from its start.

use jiff::Timestamp;

use crate::judge::permission::{Answer, Ground, Permits};
use crate::judge::verdict::{Judgement, Reason, Verdict};
use crate::judge::{criterion::CriterionState, samples::Samples, trail::Class};
use crate::spec::expression::Truth;
use crate::spec::resolved::{Role, Spec, Timing};
use crate::time::{Grid, length};

/// The walk over the points, as far as it has come: what they have shown is kept, and none is looked at twice.
pub(crate) struct Walk {
    tracks: Vec<CriterionState>,
    permits: Permits,
    /// Where evidence begins: with the first rung that was climbed.
    begun: Timestamp,
    /// The start of the rung that is judged.
    t0: Timestamp,
    /// The first point that was not looked at.
    next: Timestamp,
    /// When it is decided at the latest.
    end: Timestamp,
    /// What was decided at a point, and in which moment.
    decided: Option<(Decision, Timestamp)>,
}

impl Walk {
    /// Before the first point.
    pub(crate) fn new(spec: &Spec, t0: Timestamp, samples: &Samples) -> Self {
        let track = |(criterion, material)| CriterionState::new(spec, criterion, material, t0);
        let begun = spec.rungs.first_start(t0);
        Self {
            tracks: spec.criteria.iter().zip(&samples.criteria).map(track).collect(),
            permits: Permits::default(),
            begun,
            t0,
            next: spec.timing.first_from(begun),
            end: t0 + spec.timing.deadline,
            decided: None,
        }
    }

    /// The first point that was not looked at; none before any was.
    pub(crate) fn reached(&self, timing: &Timing) -> Option<Timestamp> {
        Some(self.next).filter(|next| *next > timing.first_from(self.begun))
    }

    /// Judges all that is final at `now`. Samples are those of before and what came since.
    pub(crate) fn judge(&mut self, spec: &Spec, samples: &Samples, now: Timestamp) -> Judgement {
        let last = spec.timing.last_final(now);
        for (track, material) in self.tracks.iter_mut().zip(&samples.criteria) {
            track.meet(material);
        }
        let ground = Ground { rules: &spec.permission, decided: &samples.decided };
        self.go_on(spec, samples, ground, last);
        if let Some((decision, moment)) = &self.decided {
            return judgement(spec, &self.tracks, decision.clone(), *moment, self.end);
        }
        for (track, material) in self.tracks.iter_mut().zip(&samples.criteria) {
            track.miss(material, self.next, last);
        }
        let waiting = self.permits.waiting(ground);
        // One that waits is not late.
        let due = if waiting.is_some() { Timestamp::MAX } else { self.end };
        let (decision, at) =
            decide_at_deadline(spec, &self.tracks, samples.failing_since, now, due);
        let judgement = judgement(spec, &self.tracks, decision, at, self.end);
        match waiting.filter(|_| judgement.verdict == Verdict::Pending) {
            Some(waiting) => judgement.waiting(waiting),
            None => judgement,
        }
    }

    /// Walks on to the last point, or to where something is decided.
    fn go_on(&mut self, spec: &Spec, samples: &Samples, ground: Ground, last: Timestamp) {
        let timing = spec.timing;
        // Nothing is decided beyond a point that has not been answered: the next answer fills it in.
        let answered = |point: Timestamp| {
            let mut all = spec.criteria.iter().zip(&samples.criteria);
            all.all(|(criterion, material)| material.covers(point, criterion, self.begun, &timing))
        };
        let grid = Grid { from: self.next, to: last, step: timing.step };
        let points: Vec<Timestamp> = grid.points().take_while(|point| answered(*point)).collect();
        for point in points {
            if self.decided.is_some() || point + timing.settle > self.end {
                break;
            }
            let other = |name: &str| value_of(spec, samples, name, point);
            for (track, material) in self.tracks.iter_mut().zip(&samples.criteria) {
                track.step(point, material, &other);
            }
            self.next = point + timing.step;
            // What came to light between two gates is said by the later one.
            let moment = (point + timing.settle).max(self.t0);
            self.decided = decide(spec, &self.tracks, (&mut self.permits, ground), point, self.end)
                .map(|decision| (decision, moment));
            if self.decided.is_none() && self.permits.waits_at(point) {
                self.end = self.end.max(self.next + timing.deadline);
            }
        }
    }
}

/// The number that another criterion shows at a point, for a ratio.
fn value_of(spec: &Spec, samples: &Samples, name: &str, point: Timestamp) -> Option<f64> {
    let at = spec.criteria.iter().position(|criterion| criterion.name == name)?;
    samples.criteria[at].points.at(point).first().copied().filter(|value| !value.is_nan())
}

type Decision = (Verdict, Reason, String);

/// What is decided at one point. Unhealthy beats inconclusive beats healthy.
fn decide(
    spec: &Spec,
    tracks: &[CriterionState],
    (permits, ground): (&mut Permits, Ground),
    point: Timestamp,
    end: Timestamp,
) -> Option<Decision> {
    let fails = |track: &CriterionState| {
        track.failed.as_ref().map(|failed| (Verdict::Fail, failed.reason, failed.message.clone()))
    };
    let fast = tracks.iter().filter(|track| track.criterion.role == Role::Failfast);
    if let Some(decision) = fast.filter(|track| track.failed.is_some()).find_map(fails) {
        return Some(decision);
    }
    let gates = || tracks.iter().filter(|track| track.criterion.role == Role::Gate);
    let combined = |truth: &dyn Fn(&CriterionState) -> Truth| {
        spec.combine.evaluate(
            &gates().map(|track| (track.criterion.name.as_str(), truth(track))).collect::<Vec<_>>(),
        )
    };
    match combined(&|track| track.truth()) {
        Truth::False => return gates().find_map(fails),
        Truth::True => {
            let held = gates()
                .filter(|track| track.holds())
                .map(CriterionState::describe)
                .collect::<Vec<_>>()
                .join("; ");
            let message = match spec.rungs.bake {
                Some(bake) => format!("nothing failed for {} at 100 %: {held}", length(bake)),
                None => format!("held for {}: {held}", length(spec.timing.hold)),
            };
            return permitted(permits.ask(ground, point, point + spec.timing.settle), message);
        }
        Truth::Unknown => {}
    }
    if let Some(track) = gates().find(|track| spec.policy.idle_is_an_end && track.idle(point)) {
        return Some((
            Verdict::Inconclusive,
            Reason::NoData,
            format!("{}; {}", track.describe(), track.describe_missing()),
        ));
    }
    let late = |track: &CriterionState| {
        track.truth() == Truth::Unknown && track.earliest_pass(point) + spec.timing.settle > end
    };
    let late_by_bad = |track: &CriterionState| late(track) && track.broken_by == Some(Class::Bad);
    let truth_if =
        |track: &CriterionState, lost: bool| if lost { Truth::False } else { track.truth() };
    let why =
        |track: &CriterionState| format!("{}; {}", track.describe(), track.describe_missing());
    if combined(&|track| truth_if(track, late_by_bad(track))) == Truth::False {
        return gates()
            .find(|track| late_by_bad(track))
            .map(|track| (Verdict::Fail, Reason::Infeasible, why(track)));
    }
    if combined(&|track| truth_if(track, late(track))) == Truth::False {
        return gates()
            .find(|track| late(track))
            .map(|track| (Verdict::Inconclusive, Reason::NoData, why(track)));
    }
    None
}

/// What is decided where all criteria hold.
fn permitted(answer: Answer, message: String) -> Option<Decision> {
    match answer {
        Answer::Granted(None) => Some((Verdict::Pass, Reason::Hold, message)),
        Answer::Granted(Some(approved)) => {
            Some((Verdict::Pass, Reason::Hold, format!("{message}; {approved}")))
        }
        Answer::Waits => None,
        Answer::Expired(why) => {
            Some((Verdict::Fail, Reason::NotApproved, format!("{why}; {message}")))
        }
    }
}

/// What is decided when no point decided: an outage, the deadline, or nothing yet.
fn decide_at_deadline(
    spec: &Spec,
    tracks: &[CriterionState],
    failing_since: Option<Timestamp>,
    now: Timestamp,
    end: Timestamp,
) -> (Decision, Timestamp) {
    if let Some(since) =
        failing_since.filter(|since| now.duration_since(*since) >= spec.timing.max_outage)
    {
        let message =
            format!("Prometheus gave no usable answer for {}", length(now.duration_since(since)));
        return ((Verdict::Inconclusive, Reason::Outage, message), now);
    }
    let gates = || tracks.iter().filter(|track| track.criterion.role == Role::Gate);
    if now >= end {
        let over = format!("not held for {} by the deadline", length(spec.timing.hold));
        let bad = |track: &&CriterionState| !track.holds() && track.broken_by == Some(Class::Bad);
        let describe = |tracks: &mut dyn Iterator<Item = &CriterionState>| {
            tracks.map(CriterionState::describe).collect::<Vec<_>>().join("; ")
        };
        if gates().any(|track| bad(&track)) {
            let message = format!("{over}: {}", describe(&mut gates().filter(bad)));
            return ((Verdict::Fail, Reason::Deadline, message), now);
        }
        let message = format!("{over}: {}", describe(&mut gates().filter(|track| !track.holds())));
        return ((Verdict::Inconclusive, Reason::NoData, message), now);
    }
    let described = tracks.iter().map(CriterionState::describe).collect::<Vec<_>>().join("; ");
    ((Verdict::Pending, Reason::Pending, described), now)
}

fn judgement(
    spec: &Spec,
    tracks: &[CriterionState],
    (verdict, reason, message): Decision,
    decided_at: Timestamp,
    end: Timestamp,
) -> Judgement {
    let unclear = verdict == Verdict::Inconclusive && spec.policy.unclear_is_a_fail;
    let verdict = if unclear { Verdict::Fail } else { verdict };
    Judgement {
        verdict,
        reason,
        message,
        decided_at,
        waiting: None,
        end,
        criteria: tracks.iter().map(CriterionState::state).collect(),
    }
}

/// The same all at once.
#[cfg(test)]
fn verdict(spec: &Spec, t0: Timestamp, samples: &Samples, now: Timestamp) -> Judgement {
    Walk::new(spec, t0, samples).judge(spec, samples, now)
}

#[cfg(test)]
mod tests;
