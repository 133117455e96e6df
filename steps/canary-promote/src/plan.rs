//! What `canary-promote` does next, from what it sees.

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use inference_service::{Action, GuardedPatch, Live, MissingRoom, Observed, ScalePatch};
use step::Failure;

use crate::desired::Desired;

/// Knative's autoscaler averages over a minute. Until it has seen that long what the canary gets at 100 %,
/// it would take away pods that are needed.
const AUTOSCALER_AVERAGES: Duration = Duration::from_secs(70);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Climb {
    /// It has this percent, and is to be judged there
    Advanced(u8),
    /// It serves all requests, for good
    Promoted,
}

impl Climb {
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Advanced(_) => "advanced",
            Self::Promoted => "promoted",
        }
    }

    pub(crate) fn percent(self) -> u8 {
        match self {
            Self::Advanced(percent) => percent,
            Self::Promoted => 100,
        }
    }
}

impl fmt::Display for Climb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advanced(percent) => write!(f, "the canary has {percent} %"),
            Self::Promoted => f.write_str("the canary serves all requests"),
        }
    }
}

pub(crate) fn next(desired: &Desired, observed: &Observed) -> Result<Action<Climb>> {
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
        (None, _) if observed.stable() == Some(canary) => Ok(at_all_requests(desired, observed)),
        // Somebody's: it would stay in the spec, and the next image would inherit it.
        (Some(100..), _) => Ok(Action::Patch(GuardedPatch::without_percent(observed))),
        (Some(0), _) if !is_judged_at_zero(desired, observed) => {
            refuse("it has 0 %: it was taken back, or its release did not end")
        }
        (Some(_), Some(live)) => climb(desired, observed, live),
        (None, _) | (Some(_), None) => Ok(Action::Wait(waiting(observed)?)),
    }
}

/// Whether another revision or image than the one that was judged is there by now
pub(crate) fn is_changed(desired: &Desired, observed: &Observed) -> bool {
    observed.service.is_some()
        && (observed.latest() != desired.canary || !observed.is_latest_of_spec())
}

/// A canary that was taken back has 0 %, too, and so has one whose release was stopped on its way.
fn is_judged_at_zero(desired: &Desired, observed: &Observed) -> bool {
    let (image, mark) = (observed.image().unwrap_or_default(), &observed.mark);
    let is_out = if mark.is_of(image) {
        !mark.is_rejected() && !mark.live_since.is_empty()
    } else {
        !mark.has_rejected(image)
    };
    desired.percent == Some(0) && is_out
}

/// One rung, if it was not climbed yet: by this run, by one that was killed, or by somebody.
fn climb(desired: &Desired, observed: &Observed, live: Live) -> Result<Action<Climb>> {
    if observed.patches > 0 || desired.is_above(live.percent) {
        return Ok(end(desired, observed, Climb::Advanced(live.percent)));
    }
    let next = desired.next(live.percent);
    if let Some(action) = make_room(desired, observed, live, next)? {
        return Ok(action);
    }
    Ok(Action::Patch(match next {
        // Not 100: that would stay in the spec, and the next image would inherit it.
        100.. => GuardedPatch::without_percent(observed),
        next => GuardedPatch::percent(observed, next),
    }))
}

/// Nothing is left to climb.
fn at_all_requests(desired: &Desired, observed: &Observed) -> Action<Climb> {
    let canary = desired.canary.as_str();
    if observed.has_raised_minimum(canary) && !observed.cannot_scale {
        if desired.stood() >= AUTOSCALER_AVERAGES {
            return Action::Scale(ScalePatch::put_back(observed, canary));
        }
        let (name, seconds) = (observed.full_name(), AUTOSCALER_AVERAGES.as_secs());
        return Action::Wait(format!(
            "{name}: keep the pods of `{canary}` until the autoscaler has seen all requests for {seconds} s"
        ));
    }
    // Judged at 100 %, it has nothing above it.
    let is_to_be_judged = desired.bakes && desired.is_above(100);
    let climb = if is_to_be_judged { Climb::Advanced(100) } else { Climb::Promoted };
    end(desired, observed, climb)
}

/// Whoever was to put back the minimum of another revision was stopped.
fn end(desired: &Desired, observed: &Observed, climb: Climb) -> Action<Climb> {
    match observed.left_minimum(&desired.canary).filter(|_| !observed.cannot_scale) {
        Some(left) => Action::Scale(ScalePatch::put_back(observed, left)),
        None => Action::Done(climb),
    }
}

/// What is to happen before the canary gets this percent; none when its pods can carry it.
fn make_room(
    desired: &Desired,
    observed: &Observed,
    live: Live,
    next: u8,
) -> Result<Option<Action<Climb>>> {
    if desired.room_timeout.is_zero() || observed.cannot_scale {
        return Ok(None);
    }
    let Some(missing) = observed.missing_room(live, next) else { return Ok(None) };
    let is_late = observed.waited >= desired.room_timeout;
    if missing.minimum < missing.needed && (observed.scalings == 0 || !is_late) {
        let raise = ScalePatch::raise(observed, live.canary, missing.needed);
        return Ok(Some(Action::Scale(raise)));
    }
    if is_late {
        bail!(without_room(desired, observed, next, missing));
    }
    let MissingRoom { needed, ready, .. } = missing;
    let (name, canary) = (observed.full_name(), live.canary);
    let why =
        observed.missing_pods().map_or_else(String::new, |missing| format!(": {}", missing.why));
    Ok(Some(Action::Wait(format!(
        "{name}: wait for {needed} pods of `{canary}` before it gets {next} %; {ready} are ready{why}"
    ))))
}

fn without_room(
    desired: &Desired,
    observed: &Observed,
    next: u8,
    MissingRoom { needed, ready, wanted, .. }: MissingRoom,
) -> Failure {
    let (canary, name) = (&desired.canary, observed.full_name());
    let within = humantime::format_duration(desired.room_timeout);
    let found = observed.missing_pods();
    let why = found.as_ref().map_or_else(String::new, |found| format!(": {}", found.why));
    let helps = match found.map_or("", |found| found.hint) {
        "" if wanted < needed => {
            "the autoscaler does not ask for them: does this Knative follow `autoscaling.knative.dev/min-scale` of a Revision?"
        }
        "" => "make room for them",
        hint => hint,
    };
    Failure {
        what: format!(
            "failed to give `{canary}` of `{name}` {next} %: {ready} of the {needed} pods that it needs are ready after {within}{why}"
        ),
        hint: format!(
            "{helps}; with `room-timeout` 0s it climbs without, and requests wait for pods"
        ),
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
