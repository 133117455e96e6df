//! What `canary-create` does next: from what is desired and what is observed to an action.

use std::fmt;

use anyhow::{Result, bail};
use inference_service::{
    Action, Diagnosis, GuardedPatch, Live, Mark, Observed, Release, STOP_SWITCH, ScalePatch,
    StopSwitch, same_image,
};
use step::Failure;

use crate::{
    desired::{Desired, WhenBusy},
    unsupported_service::unsupported,
};

#[derive(Debug)]
pub(crate) enum Attempt {
    Released(Released),
    /// Another canary has not ended, so that this one could not begin
    Busy(Failure),
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released(ended) => ended.fmt(f),
            Self::Busy(failure) => f.write_str(&failure.what),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Released {
    /// canary, first or unchanged
    pub(crate) outcome: &'static str,
    /// That the image has now
    pub(crate) percent: u8,
    pub(crate) canary_url: String,
    /// RFC 3339
    pub(crate) started_at: String,
    /// Whether answers are compared, or why not
    pub(crate) answers: String,
}

impl fmt::Display for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.outcome, self.percent) {
            ("first", _) => "a first release, which serves all requests",
            ("unchanged", _) => "the image serves all requests already",
            (_, 0) => "the canary is ready, and gets no requests but tests",
            _ => "the canary is live",
        })?;
        if self.canary_url.is_empty() { Ok(()) } else { write!(f, ", at {}", self.canary_url) }
    }
}

pub(crate) fn next(desired: &Desired, observed: &Observed, now: &str) -> Result<Action<Attempt>> {
    if observed.service.is_none() {
        not_stopped(desired, observed)?;
        let spec = desired.spec(observed);
        let service = desired.first.service(&observed.namespace, &observed.name, &spec)?;
        return Ok(Action::Create(service));
    }
    if let Some((why, hint)) = unsupported(observed) {
        bail!(refusal(observed, &desired.image, why, hint));
    }
    if desired.is_same_image(observed) {
        with_our_image(desired, observed, now)
    } else {
        with_another_image(desired, observed)
    }
}

/// The spec asks for something else: begin, if nothing else is under way.
fn with_another_image(desired: &Desired, observed: &Observed) -> Result<Action<Attempt>> {
    let image = &desired.image;
    not_stopped(desired, observed)?;
    if observed.mark.has_rejected_of(image, &desired.release) && !desired.retry_rejected {
        bail!(rejected(observed, image));
    }
    if observed.mark.has_rejected_bento(&desired.release) && !desired.retry_rejected {
        let why =
            format!("its bento, with SHA-256 {}, was rolled back before", desired.release.bento);
        bail!(refusal(observed, image, &why, TRY_AGAIN));
    }
    if observed.rolled_out().is_empty() {
        // Nothing ever served: still a first release.
        return Ok(Action::Patch(GuardedPatch::image_alone(observed, &desired.spec(observed))));
    }
    let busy = canary_in_progress(observed, desired);
    if let Some(canary) = busy.as_ref().filter(|_| !replaces(desired, observed)) {
        let hint = match desired.when_busy {
            WhenBusy::Replace => "it was released by something else, which has to end it",
            WhenBusy::Refuse | WhenBusy::Wait => {
                "set `when-busy` to `wait` or `replace`, or end it with canary-promote or canary-rollback"
            }
        };
        return Ok(Action::Done(Attempt::Busy(refusal(observed, image, canary, hint))));
    }
    if busy.is_none()
        && observed.stable().is_none()
        && matches!(observed.percent(), None | Some(100))
    {
        return Ok(Action::Wait(waiting(observed, "the service's own revision")?));
    }
    let Some(baseline_image) = image_of_baseline(observed) else {
        let baseline = observed.rolled_out();
        let line = format!("wait for Knative to name the digest of the baseline `{baseline}`");
        return Ok(Action::Wait(line));
    };
    Ok(match begun(desired, observed, baseline_image)? {
        Some(mark) => Action::Mark(Box::new(mark)),
        None => Action::Patch(GuardedPatch::image_at_zero(observed, &desired.spec(observed))),
    })
}

/// Refuses a release that has nothing in the spec yet while somebody has stopped all. Of one that has, the gate
/// decides: it holds, or takes the canary back.
pub(crate) fn not_stopped(desired: &Desired, observed: &Observed) -> Result<()> {
    let Some(StopSwitch { by }) = &observed.stopped else { return Ok(()) };
    let by = if by.is_empty() { String::new() } else { format!(", by {by}") };
    let why = format!("all releases of the namespace are stopped{by}");
    let hint = format!(
        "`kubectl delete configmap {STOP_SWITCH} -n {}` lets them go on; then release it again",
        observed.namespace
    );
    bail!(refusal(observed, &desired.image, &why, &hint));
}

/// The canary of another image that has not ended, in words; none when a release may begin.
pub(crate) fn canary_in_progress(observed: &Observed, desired: &Desired) -> Option<String> {
    let other = observed.image().filter(|other| !same_image(other, &desired.image))?;
    let percent = observed.percent().filter(|percent| *percent != 100)?;
    // At 0 % the service is as good as stable once the canary was rejected, or was never ours.
    let has_ended = percent == 0
        && !observed.mark.is_fresh(other)
        && !observed.mark.is_live_at_zero(other)
        && !is_replacing(desired, observed, other)
        && observed.is_latest_of_spec()
        && observed.latest() != observed.rolled_out();
    if has_ended || observed.stable().is_some() || observed.rolled_out().is_empty() {
        return None;
    }
    let Release { version, run, .. } = &observed.mark.release;
    let who = if observed.mark.is_of(other) && !run.is_empty() {
        format!(", version {version} by run `{run}`")
    } else {
        observed.last_changed_by()
    };
    Some(format!("another canary is in progress: `{other}` at {percent} %{who}"))
}

/// Whether to take the place of the canary in progress: it is one of ours, and that was asked for.
fn replaces(desired: &Desired, observed: &Observed) -> bool {
    let other = observed.image().unwrap_or_default();
    let is_released = observed.mark.is_of(other) || is_replacing(desired, observed, other);
    desired.when_busy == WhenBusy::Replace && is_released
}

/// Whether the mark says so already, and the patch is still to come.
fn is_replacing(desired: &Desired, observed: &Observed, other: &str) -> bool {
    observed.mark.is_of(&desired.image) && same_image(&observed.mark.replaced, other)
}

/// The spec asks for our image: go on, unless it got there without us or was taken back.
fn with_our_image(desired: &Desired, observed: &Observed, now: &str) -> Result<Action<Attempt>> {
    if observed.rolled_out().is_empty() && !desired.is_as_desired(observed) {
        return Ok(Action::Patch(GuardedPatch::image_alone(observed, &desired.spec(observed))));
    }
    if !desired.has_what_it_brings(observed) {
        let why = "it is there already, with other resources or variables than this release brings";
        bail!(refusal(observed, &desired.image, why, ANOTHER_IMAGE));
    }
    let is_outdated = observed.patches > 0
        && !desired.outdated.is_empty()
        && observed.latest() == desired.outdated;
    if is_outdated && observed.refusal().is_none_or(|refusal| !refusal.is_final) {
        return Ok(Action::Wait("wait for KServe to make another revision".into()));
    }
    if observed.stable().is_some() {
        return Ok(released(desired, "unchanged", 100, observed, now));
    }
    let Some(percent) =
        observed.percent().filter(|percent| *percent < 100 && !observed.rolled_out().is_empty())
    else {
        return match waiting(observed, "revision") {
            // Whoever refused it before would look again in minutes only.
            Err(_) if !desired.has_tried && observed.rolled_out().is_empty() => {
                Ok(Action::Patch(GuardedPatch::again(observed, &desired.spec(observed), now)))
            }
            waiting => Ok(Action::Wait(waiting?)),
        };
    };
    our_canary(desired, observed, percent, now)
}

/// The image is there beside another one.
fn our_canary(
    desired: &Desired,
    observed: &Observed,
    percent: i64,
    now: &str,
) -> Result<Action<Attempt>> {
    let (image, mark) = (&desired.image, &observed.mark);
    let is_marked = mark.is_of(image);
    // Of two releases that began at the same moment, the other may have marked last and patched in vain.
    let is_ours = mark.is_fresh(image) || desired.has_begun && !is_marked;
    let is_unknown = percent == 0 && !is_ours && !mark.is_live_at_zero(image);
    let is_rejected = mark.has_rejected_of(image, &desired.release) || is_unknown;
    if is_rejected && !desired.retry_rejected {
        bail!(rejected(observed, image));
    }
    if is_rejected {
        not_stopped(desired, observed)?; // it would begin once more
    }
    // What the container was before is known once there is a revision of it.
    if (is_rejected || is_ours && !is_marked && observed.is_latest_of_spec())
        && let Some(mark) =
            begun(desired, observed, image_of_baseline(observed).unwrap_or_default())?
    {
        return Ok(Action::Mark(Box::new(mark)));
    }
    // A run that goes on with what another one began ends it from now on.
    let brought = mark.release.brought.clone(); // by who began it
    let ours = Release { brought, ..desired.release.clone() };
    if is_marked && mark.release != ours && !observed.cannot_mark {
        return Ok(Action::Mark(Box::new(mark.of(&ours))));
    }
    let (baseline, marked) = (observed.rolled_out(), &mark.baseline_revision);
    if is_marked && baseline != marked {
        let why = format!("KServe took `{baseline}` for the baseline, which was `{marked}`");
        let hint = "canary-rollback with this `canary-image` puts the old one back";
        bail!(refusal(observed, image, &why, hint));
    }
    let can_delete = observed.is_latest_of_spec() && !observed.cannot_delete;
    let replaced = Some(mark.replaced.as_str()).filter(|image| !image.is_empty() && can_delete);
    let leftover = replaced.and_then(|replaced| observed.leftovers(replaced).next());
    if let Some(leftover) = leftover.filter(|leftover| observed.is_drained(leftover)) {
        return Ok(Action::Delete(leftover.to_owned()));
    }
    match (observed.live(), leftover) {
        (Some(Live { percent, .. }), _) if percent < desired.percent => {
            Ok(Action::Patch(GuardedPatch::percent(observed, desired.percent)))
        }
        (Some(_), Some(leftover)) => {
            Ok(Action::Wait(format!("wait for the last requests of `{leftover}`")))
        }
        (Some(live), None) => Ok(live_now(desired, observed, live, now)),
        (None, _) => Ok(Action::Wait(waiting(observed, "canary")?)),
    }
}

/// It is out since then, which the mark keeps for a run that repeats this one.
fn live_now(desired: &Desired, observed: &Observed, live: Live, now: &str) -> Action<Attempt> {
    // A promotion was stopped before it put it back.
    if let Some(left) = observed.left_minimum(live.canary).filter(|_| !observed.cannot_scale) {
        return Action::Scale(ScalePatch::put_back(observed, left));
    }
    let mark = Some(&observed.mark).filter(|mark| mark.is_of(&desired.image));
    match mark {
        Some(mark) if !mark.live_since.is_empty() => {
            released(desired, "canary", live.percent, observed, &mark.live_since)
        }
        Some(mark) if live.percent == 0 && !observed.cannot_mark => {
            Action::Mark(Box::new(mark.go_live_at_zero(now)))
        }
        Some(mark) if !observed.cannot_mark => Action::Mark(Box::new(mark.go_live(now))),
        _ => released(desired, "canary", live.percent, observed, now),
    }
}

fn released(
    desired: &Desired,
    outcome: &'static str,
    percent: u8,
    observed: &Observed,
    started_at: &str,
) -> Action<Attempt> {
    let outcome = if desired.is_first { "first" } else { outcome };
    Action::Done(Attempt::Released(Released {
        outcome,
        percent,
        canary_url: observed.canary_url().unwrap_or_default().to_owned(),
        started_at: started_at.to_owned(),
        answers: desired.answers(observed, outcome),
    }))
}

/// Of its revision, or as the mark has it
fn image_of_baseline(observed: &Observed) -> Option<&str> {
    let baseline = observed.rolled_out();
    observed.image_of(baseline).or_else(|| observed.mark.image_of_baseline(baseline))
}

/// The mark that has to be written before the first patch; none when it is there.
fn begun(desired: &Desired, observed: &Observed, baseline_image: &str) -> Result<Option<Mark>> {
    if observed.cannot_mark {
        let hint = "give the serviceAccount get, create and patch of leases: see `Rights` in the Task's README";
        bail!(refusal(observed, &desired.image, "its mark cannot be kept", hint));
    }
    let mark = observed
        .mark
        .begin(&desired.image, observed.rolled_out(), baseline_image)
        .beside_pods(observed.ready_pods(observed.rolled_out()), &observed.mark)
        .from_fields(desired.changed_fields(observed))
        .from_logger(desired.changed_logger(observed))
        .of(&desired.release);
    let mark = match observed.image() {
        Some(other) if canary_in_progress(observed, desired).is_some() => mark.replacing(other),
        _ => mark,
    };
    Ok((mark != observed.mark).then_some(mark))
}

fn waiting(observed: &Observed, who: &str) -> Result<String> {
    observed.waiting_for(who).map_err(|Diagnosis { why, hint, .. }| {
        let latest = match observed.latest() {
            latest if observed.is_latest_of_spec() => format!(" `{latest}`"),
            _ => String::new(), // no revision came of it
        };
        let what = format!("failed to start {who}{latest} of `{}`: {why}", observed.full_name());
        let hint = match (hint, observed.rolled_out()) {
            ("", "") => "nothing served before it, so there is nothing to go back to: release a better image".into(),
            (hint, "") => format!("{hint}; then release it again"),
            ("", _) => "the old revision serves all requests; canary-rollback puts its image back into the spec".into(),
            (hint, _) => format!("{hint}. The old revision serves all requests; canary-rollback puts its image back into the spec"),
        };
        Failure { what, hint }.into()
    })
}

fn rejected(observed: &Observed, image: &str) -> Failure {
    refusal(observed, image, "it was rolled back before", TRY_AGAIN)
}

const ANOTHER_IMAGE: &str =
    "a canary and its rollback are distinguished by their image: release a new version with them";

const TRY_AGAIN: &str =
    "release a new version, or set `retry-rejected` to true to try this one again";

fn refusal(observed: &Observed, image: &str, why: &str, hint: &str) -> Failure {
    Failure {
        what: format!("failed to release `{image}` on `{}`: {why}", observed.full_name()),
        hint: hint.into(),
    }
}
