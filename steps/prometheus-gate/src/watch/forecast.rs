//! How long a verdict will take, said as soon as it shows: a quiet service is to hear it now, and not
//! at the deadline.

use jiff::{SignedDuration, Timestamp};

use crate::judge::samples::{Material, Samples};
use crate::judge::verdict::{Judgement, Verdict};
use crate::judge::{counter_increase::counts, counts::percent, summary::CriterionSummary};
use crate::series::Revision;
use crate::spec::resolved::{Criterion, HISTORY_STEP, Role, Spec, Test};
use crate::time::{duration_of, length};

/// A minute of judged points tells how much traffic there is.
const LONG_ENOUGH: SignedDuration = SignedDuration::from_secs(60);

/// What was said already: each thing once.
#[derive(Debug, Default)]
pub(crate) struct Forecast {
    at_the_start: bool,
    after_a_minute: bool,
}

impl Forecast {
    /// What can be said now and was not before.
    pub(crate) fn lines(
        &mut self,
        spec: &Spec,
        t0: Timestamp,
        samples: &Samples,
        judgement: &Judgement,
        now: Timestamp,
    ) -> Vec<String> {
        if judgement.verdict != Verdict::Pending {
            return Vec::new();
        }
        let counted = || {
            let all = spec.criteria.iter().zip(&samples.criteria).zip(&judgement.criteria);
            all.filter(|((criterion, _), _)| criterion.is_counted() && criterion.role == Role::Gate)
        };
        let timing = spec.timing;
        let mut lines = Vec::new();
        let past_ends = timing.history(spec.rungs.first_start(t0)).to;
        if !self.at_the_start
            && let Some(line) = counted()
                .filter(|((_, material), _)| material.history.at(past_ends).is_some())
                .find_map(|((criterion, material), state)| {
                    by_the_past(criterion, material, state, timing.deadline)
                })
        {
            self.at_the_start = true;
            lines.push(line);
        }
        let judged_from = t0 + timing.skew + timing.warmup;
        let watched = timing.last_final(now).duration_since(judged_from);
        let looked = counted().all(|(_, state)| state.has_looked);
        if !self.after_a_minute && looked && watched >= LONG_ENOUGH.min(timing.hold) {
            self.after_a_minute = true;
            let left = (t0 + timing.deadline).duration_since(now);
            lines.extend(counted().find_map(|(_, state)| by_the_watch(state, watched, left)));
        }
        lines
    }
}

/// What the hour before the canary promises.
fn by_the_past(
    criterion: &Criterion,
    material: &Material,
    state: &CriterionSummary,
    deadline: SignedDuration,
) -> Option<String> {
    let needed = state.missing_requests.filter(|needed| *needed > 0.0)?;
    let points =
        material.history.growths().filter(|growth| growth.is_fresh(Revision::Baseline)).count();
    let requests: f64 =
        material.history.growths().map(|growth| counts(growth).baseline.total).sum();
    let name = &criterion.name;
    let wanted = format!("{name} needs {needed} requests to the canary");
    if points < 2 || requests <= 0.0 {
        return Some(format!("{wanted}; there were none to the service in the hour before"));
    }
    let rate = requests / (HISTORY_STEP * i32::try_from(points).ok()?).as_secs_f64();
    let there = format!("the service had about {} requests/s in the hour before", short(rate));
    let Test::Compare(test) = &criterion.test else { return Some(format!("{wanted}; {there}")) };
    let Some(weight) = test.weight.filter(|weight| *weight > 0.0) else {
        return Some(format!("{wanted}; {there}"));
    };
    let takes = whole_seconds(needed / (rate * weight));
    let late = if takes > deadline {
        format!(", longer than the deadline of {}", length(deadline))
    } else {
        String::new()
    };
    Some(format!(
        "{wanted}; {there}, and at {} of them that takes about {}{late}",
        percent(weight),
        length(takes)
    ))
}

/// What the first minute shows, where it will not do.
fn by_the_watch(
    state: &CriterionSummary,
    watched: SignedDuration,
    left: SignedDuration,
) -> Option<String> {
    let needed = state.missing_requests.filter(|needed| *needed > 0.0)?;
    let CriterionSummary { name, requests, .. } = state;
    let rate = requests / watched.as_secs_f64();
    if rate <= 0.0 {
        return Some(format!(
            "{name} needs {needed} requests to the canary, and in {} there was none: without traffic there is no pass",
            length(watched)
        ));
    }
    let takes = whole_seconds(needed / rate);
    (takes > left).then(|| {
        format!(
            "{name} needs {needed} more requests to the canary, which at {} requests/s take about {}, and the deadline is in {}: there will be no pass unless more come",
            short(rate),
            length(takes),
            length(SignedDuration::from_secs(left.as_secs()))
        )
    })
}

/// Whole seconds, at least one.
fn whole_seconds(seconds: f64) -> SignedDuration {
    duration_of(seconds.ceil().max(1.0)).unwrap_or(SignedDuration::MAX)
}

pub(crate) fn short(rate: f64) -> String {
    if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.2}") }
}
