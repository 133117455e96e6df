//! What `canary-create` does next, from what it sees.

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use inference_service::{
    Change, DEPLOYMENT_MODE, Diagnosis, Fields, Guarded, LONGEST_NAME, Live, Mark, Next,
    PROGRESS_DEADLINE, Release, Seen, same_image,
};
use serde_json::Value;
use step::Failure;

use crate::{first_release::FirstRelease, queue::WhenBusy};

/// What was asked for, and what this run has learnt.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is asked for or learnt by itself
pub(crate) struct Asked {
    pub(crate) image: String,
    pub(crate) percent: u8,
    pub(crate) retry_rejected: bool,
    /// Within which the model has to be ready, if that is said
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) first: FirstRelease,
    /// What the release brings for the container
    pub(crate) brings: Fields,
    /// Secret with which its pods pull the image
    pub(crate) pull_secret: Option<String>,
    pub(crate) release: Release,
    pub(crate) when_busy: WhenBusy,
    /// This run has seen the service without any revision that ever served
    pub(crate) is_first: bool,
    /// This run has put the image there, or has gone on with a run that did
    pub(crate) has_begun: bool,
    /// This run has changed the service, or made it
    pub(crate) has_tried: bool,
    /// The revision, of those of a first release, that this run's change is to replace
    pub(crate) outdated: String,
}

#[derive(Debug)]
pub(crate) enum End {
    Released(Ended),
    /// Another canary has not ended, so that this one could not begin
    Busy(Failure),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released(ended) => ended.fmt(f),
            Self::Busy(failure) => f.write_str(&failure.what),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// canary, first or unchanged
    pub(crate) outcome: &'static str,
    pub(crate) canary_url: String,
    /// RFC 3339
    pub(crate) started_at: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.outcome {
            "first" => "a first release, which serves all requests",
            "unchanged" => "the image serves all requests already",
            _ => "the canary is live",
        })?;
        if self.canary_url.is_empty() { Ok(()) } else { write!(f, ", at {}", self.canary_url) }
    }
}

/// A name that Knative and the hosts of the tags can carry.
pub(crate) fn service_name(name: &str) -> Result<String, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(inner);
    let rule = "it begins with a letter, has a to z, 0 to 9 and -, and at most 46 characters, \
                because its canary's host `latest-NAME-predictor` has at most 63";
    if fits { Ok(name.to_owned()) } else { Err(rule.into()) }
}

impl Asked {
    /// Keeps what a later look cannot tell any more.
    pub(crate) fn learn(&mut self, seen: &Seen) {
        self.is_first |= seen.service.is_none() || seen.rolled_out().is_empty();
        if seen.patches == 0 && seen.rolled_out().is_empty() {
            seen.latest().clone_into(&mut self.outdated);
        }
        self.has_tried |= seen.service.is_none() || seen.patches > 0;
        self.has_begun |= is_fresh(&seen.mark, &self.image);
        // To try again is asked once: a rollback that comes meanwhile has the last word.
        self.retry_rejected &= !self.has_begun;
    }

    /// What goes into the spec with the image: a canary whose place it takes leaves nothing behind
    fn change(&self, seen: &Seen) -> Change {
        let fields = match seen.service {
            Some(_) => self.brings.onto(&seen.fields_before()),
            None => self.brings.clone(),
        };
        let mut annotations = seen.deadline_like(seen.rolled_out());
        if let Some(time) = self.start_timeout {
            annotations.insert(PROGRESS_DEADLINE.into(), Some(format!("{}s", time.as_secs())));
        }
        let pull_secret = self.pull_secret.clone();
        Change { image: self.image.clone(), fields, annotations, pull_secret }
    }

    /// The container's fields that this release changes, or the canary whose place it takes has changed
    fn changes(&self, seen: &Seen) -> Fields {
        let (before, now) = (seen.fields_before(), seen.fields());
        let after = self.brings.onto(&before);
        let is_changed = |name: &str, value: &Value| {
            now.0.get(name) != Some(value) || after.0.get(name) != Some(value)
        };
        Fields(before.0.into_iter().filter(|(name, value)| is_changed(name, value)).collect())
    }

    fn is_same_image(&self, seen: &Seen) -> bool {
        seen.image().is_some_and(|image| same_image(image, &self.image))
    }

    /// Whether a first release that never served would be the same if it began again
    fn is_as_asked(&self, seen: &Seen) -> bool {
        let can_pull = self.pull_secret.as_ref().is_none_or(|secret| seen.has_pull_secret(secret));
        can_pull && self.has_what_it_brings(seen)
    }

    /// As noted when it began, for something may have changed on its way into the spec; or by what is there
    fn has_what_it_brings(&self, seen: &Seen) -> bool {
        let mark = &seen.mark;
        let is_noted = mark.is_of(&self.image) && mark.release.brought == self.release.brought;
        is_noted || self.brings.are_in(&seen.fields())
    }

    fn ended(&self, outcome: &'static str, seen: &Seen, started_at: &str) -> Next<End> {
        let outcome = if self.is_first { "first" } else { outcome };
        let canary_url = seen.canary_url().unwrap_or_default().to_owned();
        Next::Done(End::Released(Ended { outcome, canary_url, started_at: started_at.to_owned() }))
    }
}

pub(crate) fn next(asked: &Asked, seen: &Seen, now: &str) -> Result<Next<End>> {
    if seen.service.is_none() {
        let change = asked.change(seen);
        return Ok(Next::Create(asked.first.service(&seen.namespace, &seen.name, &change)?));
    }
    if seen.image().is_none() || unsupported(seen).is_some() {
        let (why, hint) = unsupported(seen)
            .unwrap_or(("it has no container `kserve-container`", CUSTOM_CONTAINER));
        bail!(refusal(seen, &asked.image, why, hint));
    }
    if asked.is_same_image(seen) {
        with_our_image(asked, seen, now)
    } else {
        with_another_image(asked, seen)
    }
}

/// The spec asks for something else: begin, if nothing else is under way.
fn with_another_image(asked: &Asked, seen: &Seen) -> Result<Next<End>> {
    let image = &asked.image;
    if seen.mark.has_rejected_of(image, &asked.release) && !asked.retry_rejected {
        bail!(rejected(seen, image));
    }
    if seen.mark.has_rejected_bento(&asked.release) && !asked.retry_rejected {
        let why =
            format!("its bento, with SHA-256 {}, was rolled back before", asked.release.bento);
        bail!(refusal(seen, image, &why, TRY_AGAIN));
    }
    if seen.rolled_out().is_empty() {
        return Ok(Next::Patch(Guarded::image_alone(seen, &asked.change(seen)))); // nothing ever served: still a first release
    }
    let busy = canary_in_progress(seen, asked);
    if let Some(canary) = busy.as_ref().filter(|_| !replaces(asked, seen)) {
        let hint = match asked.when_busy {
            WhenBusy::Replace => "it was released by something else, which has to end it",
            WhenBusy::Refuse | WhenBusy::Wait => {
                "set `when-busy` to `wait` or `replace`, or end it with canary-promote or canary-rollback"
            }
        };
        return Ok(Next::Done(End::Busy(refusal(seen, image, canary, hint))));
    }
    if busy.is_none() && seen.stable().is_none() && matches!(seen.percent(), None | Some(100)) {
        return Ok(Next::Wait(waiting(seen, "the service's own revision")?));
    }
    let baseline = seen.rolled_out();
    let Some(baseline_image) = seen.image_of(baseline).or_else(|| remembered(&seen.mark, baseline))
    else {
        return Ok(Next::Wait(format!(
            "wait for Knative to name the digest of the baseline `{baseline}`"
        )));
    };
    Ok(match begun(asked, seen, baseline, baseline_image)? {
        Some(mark) => Next::Mark(Box::new(mark)),
        None => Next::Patch(Guarded::image_at_zero(seen, &asked.change(seen))),
    })
}

/// The canary of another image that has not ended, in words; none when a release may begin.
pub(crate) fn canary_in_progress(seen: &Seen, asked: &Asked) -> Option<String> {
    let other = seen.image().filter(|other| !same_image(other, &asked.image))?;
    let percent = seen.percent().filter(|percent| *percent != 100)?;
    // At 0 % the service is as good as stable once the canary was rejected, or was never ours.
    let has_ended = percent == 0
        && !is_fresh(&seen.mark, other)
        && !is_replacing(asked, seen, other)
        && seen.is_latest_of_spec()
        && seen.latest() != seen.rolled_out();
    if has_ended || seen.stable().is_some() || seen.rolled_out().is_empty() {
        return None;
    }
    let who = match (&seen.mark.release, seen.manager()) {
        (Release { version, run, .. }, _) if seen.mark.is_of(other) && !run.is_empty() => {
            format!(", version {version} by run `{run}`")
        }
        (_, Some(manager)) => format!(", last changed by `{manager}`"),
        _ => String::new(),
    };
    Some(format!("another canary is in progress: `{other}` at {percent} %{who}"))
}

/// Whether to take the place of the canary in progress: it is one of ours, and that was asked for.
fn replaces(asked: &Asked, seen: &Seen) -> bool {
    let other = seen.image().unwrap_or_default();
    let is_released = seen.mark.is_of(other) || is_replacing(asked, seen, other);
    asked.when_busy == WhenBusy::Replace && is_released
}

/// Whether the mark says so already, and the patch is still to come.
fn is_replacing(asked: &Asked, seen: &Seen, other: &str) -> bool {
    seen.mark.is_of(&asked.image) && same_image(&seen.mark.replaced, other)
}

/// The spec asks for our image: go on, unless it got there without us or was taken back.
fn with_our_image(asked: &Asked, seen: &Seen, now: &str) -> Result<Next<End>> {
    if seen.rolled_out().is_empty() && !asked.is_as_asked(seen) {
        return Ok(Next::Patch(Guarded::image_alone(seen, &asked.change(seen))));
    }
    if !asked.has_what_it_brings(seen) {
        let why = "it is there already, with other resources or variables than this release brings";
        bail!(refusal(seen, &asked.image, why, ANOTHER_IMAGE));
    }
    let is_outdated =
        seen.patches > 0 && !asked.outdated.is_empty() && seen.latest() == asked.outdated;
    if is_outdated && seen.refusal().is_none_or(|refusal| !refusal.hopeless) {
        return Ok(Next::Wait("wait for KServe to make another revision".into()));
    }
    if seen.stable().is_some() {
        return Ok(asked.ended("unchanged", seen, now));
    }
    let Some(percent) =
        seen.percent().filter(|percent| *percent < 100 && !seen.rolled_out().is_empty())
    else {
        return match waiting(seen, "revision") {
            // Whoever refused it before would look again in minutes only.
            Err(_) if !asked.has_tried && seen.rolled_out().is_empty() => {
                Ok(Next::Patch(Guarded::again(seen, &asked.change(seen), now)))
            }
            waiting => Ok(Next::Wait(waiting?)),
        };
    };
    our_canary(asked, seen, percent, now)
}

/// The image is there beside another one.
fn our_canary(asked: &Asked, seen: &Seen, percent: i64, now: &str) -> Result<Next<End>> {
    // Of two releases that began at the same moment, the other may have marked last and patched in vain.
    let is_ours =
        is_fresh(&seen.mark, &asked.image) || asked.has_begun && !seen.mark.is_of(&asked.image);
    let is_rejected =
        seen.mark.has_rejected_of(&asked.image, &asked.release) || percent == 0 && !is_ours;
    if is_rejected && !asked.retry_rejected {
        bail!(rejected(seen, &asked.image));
    }
    // What the container was before is known once there is a revision of it.
    if is_rejected || is_ours && !seen.mark.is_of(&asked.image) && seen.is_latest_of_spec() {
        let baseline = seen.rolled_out();
        let image = seen
            .image_of(baseline)
            .or_else(|| remembered(&seen.mark, baseline))
            .unwrap_or_default();
        if let Some(mark) = begun(asked, seen, baseline, image)? {
            return Ok(Next::Mark(Box::new(mark)));
        }
    }
    // A run that goes on with what another one began ends it from now on.
    let brought = seen.mark.release.brought.clone(); // by who began it
    let ours = Release { brought, ..asked.release.clone() };
    if seen.mark.is_of(&asked.image) && seen.mark.release != ours && seen.can_mark {
        return Ok(Next::Mark(Box::new(seen.mark.of(&ours))));
    }
    let baseline = &seen.mark.baseline_revision;
    if seen.mark.is_of(&asked.image) && seen.rolled_out() != baseline {
        let why =
            format!("KServe took `{}` for the baseline, which was `{baseline}`", seen.rolled_out());
        bail!(refusal(
            seen,
            &asked.image,
            &why,
            "canary-rollback with this `canary-image` puts the old one back"
        ));
    }
    let replaced = Some(seen.mark.replaced.as_str())
        .filter(|replaced| !replaced.is_empty() && seen.is_latest_of_spec() && seen.can_delete);
    let leftover = replaced.and_then(|replaced| seen.leftovers(replaced).next());
    if let Some(leftover) = leftover.filter(|leftover| seen.is_drained(leftover)) {
        return Ok(Next::Delete(leftover.to_owned()));
    }
    match seen.live() {
        Some(Live { percent, .. }) if percent < asked.percent => {
            Ok(Next::Patch(Guarded::percent(seen, asked.percent)))
        }
        Some(_) if leftover.is_some() => Ok(Next::Wait(format!(
            "wait for the last requests of `{}`",
            leftover.unwrap_or_default()
        ))),
        Some(live) => Ok(live_now(asked, seen, live, now)),
        None => Ok(Next::Wait(waiting(seen, "canary")?)),
    }
}

/// Tells since when it has had requests, and remembers that for a run that repeats this one.
fn live_now(asked: &Asked, seen: &Seen, live: Live, now: &str) -> Next<End> {
    let mark = &seen.mark;
    let is_noted = mark.is_of(&asked.image) && !mark.live_since.is_empty();
    if is_noted {
        return asked.ended("canary", seen, &mark.live_since);
    }
    if live.percent == 0 || !mark.is_of(&asked.image) || !seen.can_mark {
        return asked.ended("canary", seen, now);
    }
    Next::Mark(Box::new(mark.go_live(now)))
}

/// Put there by a release that has not gone live yet
fn is_fresh(mark: &Mark, image: &str) -> bool {
    mark.is_of(image) && mark.live_since.is_empty() && !mark.is_rejected()
}

fn remembered<'a>(mark: &'a Mark, baseline: &str) -> Option<&'a str> {
    (mark.baseline_revision == baseline && !mark.baseline_image.is_empty())
        .then_some(mark.baseline_image.as_str())
}

/// The mark that has to be written before the first patch; none when it is there.
fn begun(asked: &Asked, seen: &Seen, baseline: &str, baseline_image: &str) -> Result<Option<Mark>> {
    if !seen.can_mark {
        let hint = "give the serviceAccount get, create and patch of leases: see `Rights` in the Task's README";
        bail!(refusal(seen, &asked.image, "its mark cannot be kept", hint));
    }
    let mark = seen
        .mark
        .begin(&asked.image, baseline, baseline_image)
        .from_fields(asked.changes(seen))
        .of(&asked.release);
    let mark = match seen.image() {
        Some(other) if canary_in_progress(seen, asked).is_some() => mark.replacing(other),
        _ => mark,
    };
    Ok((mark != seen.mark).then_some(mark))
}

fn waiting(seen: &Seen, who: &str) -> Result<String> {
    seen.waiting_for(who).map_err(|Diagnosis { why, hint, .. }| {
        let latest = match seen.latest() {
            latest if seen.is_latest_of_spec() => format!(" `{latest}`"),
            _ => String::new(), // no revision came of it
        };
        let what = format!("failed to start {who}{latest} of `{}`: {why}", seen.full_name());
        let hint = match (hint, seen.rolled_out()) {
            ("", "") => "nothing served before it, so there is nothing to go back to: release a better image".into(),
            (hint, "") => format!("{hint}; then release it again"),
            ("", _) => "the old revision serves its users; canary-rollback puts its image back into the spec".into(),
            (hint, _) => format!("{hint}. The old revision serves its users; canary-rollback puts its image back into the spec"),
        };
        Failure { what, hint }.into()
    })
}

fn rejected(seen: &Seen, image: &str) -> Failure {
    refusal(seen, image, "it was rolled back before", TRY_AGAIN)
}

const ANOTHER_IMAGE: &str =
    "a canary and its rollback are told apart by their image: release a new version with them";

const TRY_AGAIN: &str =
    "release a new version, or set `retry-rejected` to true to try this one again";

fn refusal(seen: &Seen, image: &str, why: &str, hint: &str) -> Failure {
    Failure {
        what: format!("failed to release `{image}` on `{}`: {why}", seen.full_name()),
        hint: hint.into(),
    }
}

const CUSTOM_CONTAINER: &str =
    "canaries work with one custom container; the README says what else is needed";

/// Why a canary of this service would not do what it says, and what to do.
fn unsupported(seen: &Seen) -> Option<(&'static str, &'static str)> {
    let service = seen.service.as_ref()?;
    let status = service.status.as_ref().map_or("", |status| status.deployment_mode.as_str());
    // KServe has not looked at it yet when the status says nothing.
    let mode = Some(status).filter(|mode| !mode.is_empty()).or(seen.annotation(DEPLOYMENT_MODE));
    let is_set = |key| seen.annotation(key) == Some("true");
    if service.metadata.deletion_timestamp.is_some() {
        Some(("it is being deleted", "wait until it is gone; then this is a first release"))
    } else if mode.is_some_and(|mode| !matches!(mode, "Knative" | "Serverless")) {
        Some((
            "it is not in Knative mode, where KServe ignores canaries silently",
            "KServe changes the mode of no service: release under another name, or delete this one, and the next release makes it in Knative mode",
        ))
    } else if service.spec.canary.is_some() {
        Some(("it has `spec.canary`, another kind of canary", CUSTOM_CONTAINER))
    } else if service.spec.transformer.is_some() || service.spec.explainer.is_some() {
        Some(("it has a transformer or an explainer, which would not be split", CUSTOM_CONTAINER))
    } else if is_set("serving.kserve.io/stop") {
        Some(("it is stopped", "remove its annotation serving.kserve.io/stop"))
    } else if is_set("serving.kserve.io/disable-auto-update") {
        Some((
            "KServe is told not to update it",
            "remove its annotation serving.kserve.io/disable-auto-update",
        ))
    } else {
        None
    }
}
