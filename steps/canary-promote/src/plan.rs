//! What `canary-promote` does next, from what it sees.

use std::time::Duration;

use anyhow::Result;
use inference_service::{Action, GuardedPatch, Live, Observed};
use step::Failure;

#[derive(Clone, Debug)]
pub(crate) struct Desired {
    /// The revision to promote
    pub(crate) canary: String,
    /// Percents on the way, in any order
    pub(crate) ladder: Vec<u8>,
    /// Time on each of them
    pub(crate) pause: Duration,
}

pub(crate) fn next(desired: &Desired, observed: &Observed) -> Result<Action<&'static str>> {
    let canary = desired.canary.as_str();
    let refuse = |why: &str| Err(refusal(desired, observed, why).into());
    if observed.service.is_none() {
        return refuse("there is no such service");
    }
    if observed.latest() != canary {
        return refuse(&format!("the latest revision is `{}`", observed.latest()));
    }
    if !observed.is_latest_of_spec() {
        let image = observed.image().unwrap_or_default();
        return refuse(&format!("the service asks for another image by now, `{image}`"));
    }
    match (observed.percent(), observed.live()) {
        (None, _) if observed.stable() == Some(canary) => {
            Ok(Action::Done("the canary serves all requests"))
        }
        (Some(100..), _) => Ok(Action::Patch(GuardedPatch::without_percent(observed))),
        (Some(0), _) => refuse("it has 0 %: it was taken back, or its release did not end"),
        (Some(_), Some(live)) => Ok(climb(desired, observed, live)),
        (None, _) | (Some(_), None) => Ok(Action::Wait(waiting(observed)?)),
    }
}

/// Whether another revision or image than the one that was judged is there by now
pub(crate) fn is_changed(desired: &Desired, observed: &Observed) -> bool {
    observed.service.is_some()
        && (observed.latest() != desired.canary || !observed.is_latest_of_spec())
}

/// The next percent of the ladder, or all.
fn climb(
    desired: &Desired,
    observed: &Observed,
    Live { percent, .. }: Live,
) -> Action<&'static str> {
    if observed.patches > 0 && observed.waited < desired.pause {
        let (name, pause) = (observed.full_name(), desired.pause.as_secs());
        return Action::Wait(format!("{name}: stay at {percent} % for {pause} s"));
    }
    match desired.ladder.iter().copied().filter(|rung| *rung > percent).min() {
        Some(rung) => Action::Patch(GuardedPatch::percent(observed, rung)),
        // Not 100: that would stay in the spec, and the next image would inherit it.
        None => Action::Patch(GuardedPatch::without_percent(observed)),
    }
}

fn waiting(observed: &Observed) -> Result<String> {
    observed.waiting_for("canary").map_err(|diagnosis| {
        let (canary, name) = (observed.latest(), observed.full_name());
        let what = format!("failed to promote `{canary}` of `{name}`: {}", diagnosis.why);
        Failure { what, hint: "canary-rollback takes it back".into() }.into()
    })
}

fn refusal(Desired { canary, .. }: &Desired, observed: &Observed, why: &str) -> Failure {
    let what = format!("failed to promote `{canary}` of `{}`: {why}", observed.full_name());
    let hint = "only the revision that was judged is promoted: release again with canary-create";
    Failure { what, hint: hint.into() }
}
