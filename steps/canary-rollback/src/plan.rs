//! What `canary-rollback` does next: from what is desired and what is observed to an action.

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use inference_service::{Action, DesiredSpec, Diagnosis, GuardedPatch, Mark, Observed, same_image};
use step::Failure;

use crate::desired::Desired;

/// KServe moves a promoted canary's requests back within a second or two of percent 0. If it does
/// not, the old image is restored without that.
const ROUTE_SETTLES: Duration = Duration::from_secs(10);

/// How long a quota may hold up KServe before the canary's room is freed once more.
const TRY_QUOTA_EVERY: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RollbackOutcome {
    RolledBack {
        image: String,
    },
    /// A newer release has taken its place
    Replaced,
    /// It serves all requests, and only the event was missing
    Promoted,
    Nothing(String),
}

impl fmt::Display for RollbackOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RolledBack { image } => write!(f, "rolled back, `{image}` serves all requests"),
            Self::Promoted => f.write_str("it serves all requests"),
            Self::Replaced => {
                f.write_str("nothing to roll back: a newer canary has taken its place")
            }
            Self::Nothing(why) => write!(f, "nothing to roll back: {why}"),
        }
    }
}

pub(crate) fn next(desired: &Desired, observed: &Observed) -> Result<Action<RollbackOutcome>> {
    if observed.service.is_none() {
        return Ok(nothing("there is no such service"));
    }
    if desired.is_canary(observed) {
        take_back(desired, observed)
    } else {
        finish(desired, observed)
    }
}

/// The canary is in the spec.
fn take_back(desired: &Desired, observed: &Observed) -> Result<Action<RollbackOutcome>> {
    let (latest, rolled_out) = (observed.latest(), observed.rolled_out());
    let is_promoted = latest == rolled_out && observed.is_latest_of_spec();
    if rolled_out.is_empty() || is_promoted && desired.baseline(observed).is_empty() {
        return Ok(nothing("nothing served before it"));
    }
    if is_promoted && desired.keep_promoted && observed.percent() != Some(0) {
        return Ok(nothing("it serves all requests"));
    }
    if !observed.is_latest_of_spec() && !observed.is_refused_by_kserve() {
        // Taken back before KServe has seen it, the old revision at 0 % would read as a rollback of itself.
        let waiting = observed.waiting_for("canary");
        return Ok(Action::Wait(waiting.unwrap_or_else(|diagnosis| diagnosis.why)));
    }
    let baseline = desired.baseline(observed);
    let Some(image) = desired.baseline_image(observed) else {
        let why = format!("the image of its baseline `{baseline}` is not known any more");
        bail!(refusal(desired, observed, &why));
    };
    let (fields, annotations) =
        (desired.fields_before(observed), observed.annotations_like(baseline));
    let logger = Some(desired.logger_before(observed));
    let spec = DesiredSpec { fields, annotations, logger, ..DesiredSpec::image(image) };
    if let Some(mark) = rejected(desired, observed, image) {
        return Ok(Action::Mark(Box::new(mark)));
    }
    if !observed.is_latest_of_spec() {
        // KServe never took it: as it was before.
        return Ok(Action::Patch(GuardedPatch::image_alone(observed, &spec)));
    }
    if is_promoted && observed.component().previous_rolledout_revision == baseline {
        if observed.percent() != Some(0) {
            return Ok(Action::Patch(GuardedPatch::percent(observed, 0)));
        }
        if observed.is_ready(latest) && observed.waited < ROUTE_SETTLES {
            let line = format!("wait for KServe to give the requests back to `{baseline}`");
            return Ok(Action::Wait(line));
        }
    }
    // Both at once: percent 0 alone moves nothing while the canary crashes.
    Ok(Action::Patch(GuardedPatch::restore_at_zero(observed, &spec)))
}

/// The canary is not in the spec: finish what an earlier run or patch began, or leave it alone.
fn finish(desired: &Desired, observed: &Observed) -> Result<Action<RollbackOutcome>> {
    let image = observed.image().unwrap_or_default();
    // Nothing else puts the image of the revision that serves at 0 %.
    let is_unfinished =
        observed.percent() == Some(0) && observed.runs_image(observed.rolled_out(), image);
    let is_restored =
        desired.baseline_image(observed).is_some_and(|baseline| same_image(baseline, image));
    let is_ours = is_unfinished
        || is_restored && (observed.patches > 0 || desired.is_rejected(&observed.mark));
    if !is_ours {
        let still_serves =
            desired.canary_revision.as_deref().filter(|canary| observed.has_traffic(canary));
        let Some(canary) = still_serves else {
            let canary = desired.canary_image.as_deref();
            if canary.is_some_and(|canary| same_image(canary, &observed.mark.replaced)) {
                return Ok(Action::Done(RollbackOutcome::Replaced));
            }
            // It was taken back before, and a newer release has begun meanwhile.
            let is_rejected = canary.is_some_and(|canary| observed.mark.has_rejected(canary));
            if let Some(image) = observed.image_of(observed.rolled_out()).filter(|_| is_rejected) {
                return Ok(Action::Done(RollbackOutcome::RolledBack { image: image.to_owned() }));
            }
            return Ok(nothing(&format!("the service asks for another image, `{image}`")));
        };
        let manager = observed.last_changed_by();
        let why = format!("`{canary}` has requests, but the service asks for `{image}`{manager}");
        bail!(refusal(desired, observed, &why));
    }
    if let Some(revision) = in_the_way(desired, observed) {
        return Ok(Action::Delete(revision.to_owned()));
    }
    let draining = desired.canary_image.as_deref().filter(|_| !observed.cannot_delete);
    let draining = draining.and_then(|canary| observed.leftovers(canary).next());
    if observed.stable().is_some() {
        return Ok(match draining {
            Some(canary) => Action::Wait(format!("wait for the last requests of `{canary}`")),
            None => Action::Done(RollbackOutcome::RolledBack { image: image.to_owned() }),
        });
    }
    match observed.percent() {
        // Judged by the revision and not by the route, which stays stuck until this patch when the
        // old revision is gone. Before the revision is ready it would give the bad one all requests.
        Some(_) if is_ready(observed) => Ok(Action::Patch(GuardedPatch::without_percent(observed))),
        _ => {
            let waiting = observed.waiting_for("restored revision");
            Ok(Action::Wait(waiting.map_err(|diagnosis| not_restored(observed, &diagnosis))?))
        }
    }
}

fn not_restored(observed: &Observed, Diagnosis { why, hint, .. }: &Diagnosis) -> Failure {
    let (latest, name) = (observed.latest(), observed.full_name());
    let what =
        format!("failed to start `{latest}` of `{name}`, which restores the old image: {why}");
    let helps = match *hint {
        "" => "make room or repair the image's registry",
        hint => hint,
    };
    let traffic = if observed.is_true("PredictorRouteReady") {
        "the old revision still serves all requests"
    } else {
        "the route is stuck and some requests fail"
    };
    Failure { what, hint: format!("{helps}, and run it again; {traffic}") }
}

/// A revision of the rejected canary that takes room which the restored one may need. Its pods would
/// go on, also when they crash again and again, as long as the revision is there.
fn in_the_way<'a>(desired: &'a Desired, observed: &'a Observed) -> Option<&'a str> {
    let canary = desired.canary_image.as_deref().filter(|_| !observed.cannot_delete)?;
    if observed.is_latest_of_spec() {
        return observed.leftovers(canary).find(|revision| observed.is_drained(revision));
    }
    // KServe hands nothing on while a quota has no room for one more pod, and the canary has that
    // room. Knative makes its latest revision again at once, but KServe gets its turn in between.
    let latest = observed.latest();
    let is_held_up = observed.is_refused_by_quota()
        && observed.waited >= TRY_QUOTA_EVERY
        && latest != observed.rolled_out()
        && observed.runs_image(latest, canary);
    is_held_up.then_some(latest)
}

fn is_ready(observed: &Observed) -> bool {
    let latest = observed.latest();
    observed.is_latest_of_spec()
        && observed.component().latest_ready_revision == latest
        && observed.is_ready(latest)
}

/// The mark that keeps a repeated release from bringing the image back; none when it is there, or
/// cannot be kept: requests matter more.
fn rejected(desired: &Desired, observed: &Observed, baseline_image: &str) -> Option<Mark> {
    let canary = observed.image()?;
    if observed.cannot_mark || desired.is_rejected(&observed.mark) {
        return None;
    }
    let mark = if desired.is_marked(&observed.mark) {
        observed.mark.clone()
    } else {
        observed
            .mark
            .begin(canary, desired.baseline(observed), baseline_image)
            .from_fields(desired.fields_before(observed))
            .from_logger(desired.logger_change(observed))
    };
    Some(mark.reject(canary, observed.latest()))
}

fn nothing(why: &str) -> Action<RollbackOutcome> {
    Action::Done(RollbackOutcome::Nothing(why.to_owned()))
}

fn refusal(desired: &Desired, observed: &Observed, why: &str) -> Failure {
    let canary =
        desired.canary_image.as_deref().or(desired.canary_revision.as_deref()).unwrap_or_default();
    Failure {
        what: format!("failed to roll back `{canary}` of `{}`: {why}", observed.full_name()),
        hint: "name the canary by `canary-image`, and what to go back to by `baseline-image`"
            .into(),
    }
}
