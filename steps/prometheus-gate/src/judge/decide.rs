//! The verdict: a pure function of the question, the start, the samples and the time.
//!
//! It walks over the final points in time order, as if it had stood at each of them, and the first
//! decision counts. So a gate that was killed and started again, and a replay, agree with one that
//! ran through. Nothing measured is never a pass.
//!
//! A canary whose criteria hold and that has no permission to climb is not late: from the first point at which
//! they do not hold any more it has as long as it had from its start.

use jiff::Timestamp;

use crate::judge::permission::{Answer, Permits};
use crate::judge::verdict::{Judgement, Reason, Verdict};
use crate::judge::{criterion::CriterionState, samples::Samples, summary::Class};
use crate::spec::expression::Truth;
use crate::spec::resolved::{Role, Spec};
use crate::time::{Grid, length};

/// Judges all that is final at `now`. `t0` is the start of the rung that is judged; evidence begins with
/// the first rung that was climbed.
pub(crate) fn verdict(spec: &Spec, t0: Timestamp, samples: &Samples, now: Timestamp) -> Judgement {
    let timing = spec.timing;
    let mut end = t0 + timing.deadline;
    let mut tracks: Vec<CriterionState> = spec
        .criteria
        .iter()
        .zip(&samples.criteria)
        .map(|(criterion, material)| CriterionState::new(spec, criterion, material, t0))
        .collect();
    let mut permits = Permits::new(&spec.permission, &samples.decided);
    let from = spec.rungs.first_start(t0);
    let mut next = timing.first_from(from);
    // Nothing is decided beyond a point that has not been answered: the next answer fills it in.
    let answered = |point: Timestamp| {
        spec.criteria
            .iter()
            .zip(&samples.criteria)
            .all(|(criterion, material)| material.covers(point, criterion, from, &timing))
    };
    let grid = Grid { from: next, to: timing.last_final(now), step: timing.step };
    for point in grid.points().take_while(|point| answered(*point)) {
        if point + timing.settle > end {
            break;
        }
        let other = |name: &str| value_of(spec, samples, name, point);
        for track in &mut tracks {
            track.step(point, &other);
        }
        if let Some(decision) = decide(spec, &tracks, &mut permits, point, end) {
            // What came to light between two gates is said by the later one.
            let moment = (point + timing.settle).max(t0);
            return judgement(spec, &tracks, decision, moment, end);
        }
        next = point + timing.step;
        if permits.waits_at(point) {
            end = end.max(next + timing.deadline);
        }
    }
    for track in &mut tracks {
        track.miss(next, timing.last_final(now));
    }
    let waiting = permits.waiting();
    // One that waits is not late.
    let due = if waiting.is_some() { Timestamp::MAX } else { end };
    let (decision, at) = decide_at_deadline(spec, &tracks, samples.failing_since, now, due);
    let judgement = judgement(spec, &tracks, decision, at, end);
    match waiting.filter(|_| judgement.verdict == Verdict::Pending) {
        Some(waiting) => judgement.waiting(waiting),
        None => judgement,
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
    permits: &mut Permits,
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
            return permitted(permits.ask(point, point + spec.timing.settle), message);
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

#[cfg(test)]
mod tests;
