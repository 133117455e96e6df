//! What `canary-rollback` does next, from what it sees.

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use inference_service::{Guarded, Mark, Next, Seen, same_image};
use step::Failure;

/// KServe moves a promoted canary's requests back within a second or two of percent 0. If it does
/// not, the old image is restored without that.
const ROUTE_SETTLES: Duration = Duration::from_secs(10);

/// What to take back and what to go back to. One of revision and image of the canary is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) canary_revision: Option<String>,
    pub(crate) canary_image: Option<String>,
    pub(crate) baseline_revision: Option<String>,
    pub(crate) baseline_image: Option<String>,
    pub(crate) keep_promoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    RolledBack { image: String },
    Nothing(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RolledBack { image } => write!(f, "rolled back, `{image}` serves all requests"),
            Self::Nothing(why) => write!(f, "nothing to roll back: {why}"),
        }
    }
}

impl Asked {
    /// Keeps the canary's image: once it was taken back, its revision is not named any more.
    pub(crate) fn learn(&mut self, seen: &Seen) {
        let Some(revision) = self.canary_revision.as_deref() else { return };
        if self.canary_image.is_none() {
            let marked =
                (seen.mark.canary_revision == revision).then_some(seen.mark.image.as_str());
            let spec = seen.image().filter(|image| seen.runs(revision, image));
            self.canary_image = spec.or(marked).map(String::from);
        }
    }

    /// Whether the spec asks for the canary that is meant
    pub(crate) fn is_canary(&self, seen: &Seen) -> bool {
        seen.image()
            .zip(self.canary_image.as_ref())
            .is_some_and(|(image, canary)| same_image(image, canary))
    }

    fn is_marked(&self, mark: &Mark) -> bool {
        self.canary_image.as_ref().is_some_and(|canary| mark.is_of(canary))
    }

    fn is_rejected(&self, mark: &Mark) -> bool {
        self.is_marked(mark)
            && self.canary_image.as_ref().is_some_and(|canary| mark.has_rejected(canary))
    }

    /// The revision that served before: as told, as noted when the canary began, or as KServe says
    fn baseline<'a>(&'a self, seen: &'a Seen) -> &'a str {
        let noted = Some(seen.mark.baseline_revision.as_str())
            .filter(|noted| !noted.is_empty() && self.is_marked(&seen.mark));
        self.baseline_revision.as_deref().or(noted).unwrap_or_else(|| {
            let is_promoted = self
                .canary_image
                .as_ref()
                .is_some_and(|canary| seen.runs(seen.rolled_out(), canary));
            if is_promoted {
                &seen.component().previous_rolledout_revision
            } else {
                seen.rolled_out()
            }
        })
    }

    /// Its image: of the revision itself, or what was told or noted of it when it is gone
    pub(crate) fn baseline_image<'a>(&'a self, seen: &'a Seen) -> Option<&'a str> {
        let noted = Some(seen.mark.baseline_image.as_str())
            .filter(|noted| !noted.is_empty() && self.is_marked(&seen.mark));
        seen.image_of(self.baseline(seen)).or(self.baseline_image.as_deref()).or(noted)
    }
}

pub(crate) fn next(asked: &Asked, seen: &Seen) -> Result<Next<Ended>> {
    if seen.service.is_none() {
        return Ok(nothing("there is no such service"));
    }
    if asked.is_canary(seen) { take_back(asked, seen) } else { finish(asked, seen) }
}

/// The canary is in the spec.
fn take_back(asked: &Asked, seen: &Seen) -> Result<Next<Ended>> {
    let (latest, rolled_out) = (seen.latest(), seen.rolled_out());
    let is_promoted = latest == rolled_out && seen.is_latest_of_spec();
    if rolled_out.is_empty() || is_promoted && asked.baseline(seen).is_empty() {
        return Ok(nothing("nothing served before it"));
    }
    if is_promoted && asked.keep_promoted && seen.percent() != Some(0) {
        return Ok(nothing("it serves all requests"));
    }
    if !seen.is_latest_of_spec() && !seen.is_refused_by_kserve() {
        // Taken back before KServe has seen it, the old revision at 0 % would read as a rollback of itself.
        return Ok(Next::Wait(
            seen.waiting_for("canary").unwrap_or_else(|diagnosis| diagnosis.why),
        ));
    }
    if let Some(meant) = asked
        .canary_revision
        .as_deref()
        .filter(|meant| seen.is_latest_of_spec() && *meant != latest)
    {
        bail!(refusal(asked, seen, &format!("not `{meant}` but `{latest}` runs it by now")));
    }
    let Some(image) = asked.baseline_image(seen) else {
        bail!(refusal(
            asked,
            seen,
            &format!("the image of its baseline `{}` is not known any more", asked.baseline(seen))
        ));
    };
    if let Some(mark) = rejected(asked, seen, image) {
        return Ok(Next::Mark(mark));
    }
    if !seen.is_latest_of_spec() {
        return Ok(Next::Patch(Guarded::image_alone(seen, image))); // KServe never took it: as it was before
    }
    if is_promoted && seen.component().previous_rolledout_revision == asked.baseline(seen) {
        if seen.percent() != Some(0) {
            return Ok(Next::Patch(Guarded::percent(seen, 0)));
        }
        if seen.is_ready(latest) && seen.waited < ROUTE_SETTLES {
            return Ok(Next::Wait(format!(
                "wait for KServe to give the requests back to `{}`",
                asked.baseline(seen)
            )));
        }
    }
    // Both at once: percent 0 alone moves nothing while the canary crashes.
    Ok(Next::Patch(Guarded::restore_at_zero(seen, image)))
}

/// The canary is not in the spec: finish what an earlier run or patch began, or leave it alone.
fn finish(asked: &Asked, seen: &Seen) -> Result<Next<Ended>> {
    let image = seen.image().unwrap_or_default();
    // Nothing else puts the image of the revision that serves at 0 %.
    let is_unfinished = seen.percent() == Some(0) && seen.runs(seen.rolled_out(), image);
    let is_restored =
        asked.baseline_image(seen).is_some_and(|baseline| same_image(baseline, image));
    let is_ours =
        is_unfinished || is_restored && (seen.patches > 0 || asked.is_rejected(&seen.mark));
    if !is_ours {
        let still_serves =
            asked.canary_revision.as_deref().filter(|canary| seen.has_traffic(canary));
        let Some(canary) = still_serves else {
            return Ok(nothing(&format!("the service asks for another image, `{image}`")));
        };
        let manager = seen
            .manager()
            .map_or_else(String::new, |manager| format!(", last changed by `{manager}`"));
        bail!(refusal(
            asked,
            seen,
            &format!("`{canary}` has requests, but the service asks for `{image}`{manager}")
        ));
    }
    match (seen.percent(), seen.stable()) {
        (_, Some(_)) => Ok(Next::Done(Ended::RolledBack { image: image.to_owned() })),
        // Judged by the revision and not by the route, which stays stuck until this patch when the
        // old revision is gone. Before the revision is ready it would give the bad one all requests.
        (Some(_), None) if is_ready(seen) => Ok(Next::Patch(Guarded::without_percent(seen))),
        _ => Ok(Next::Wait(seen.waiting_for("restored revision").map_err(|diagnosis| {
            let what = format!("failed to start `{}` of `{}`, which restores the old image: {}", seen.latest(), seen.full_name(), diagnosis.why);
            let hint = match seen.condition("PredictorRouteReady").map(|condition| condition.status.as_str()) {
                Some("True") => "the old revision still serves its users; make room or repair the image's registry, and run it again",
                _ => "the route is stuck and some users get errors; make room or repair the image's registry, and run it again",
            };
            Failure { what, hint: hint.into() }
        })?)),
    }
}

fn is_ready(seen: &Seen) -> bool {
    let latest = seen.latest();
    seen.is_latest_of_spec()
        && seen.component().latest_ready_revision == latest
        && seen.is_ready(latest)
}

/// The mark that keeps a repeated release from bringing the image back; none when it is there, or
/// cannot be kept: users matter more.
fn rejected(asked: &Asked, seen: &Seen, baseline_image: &str) -> Option<Mark> {
    let canary = seen.image()?;
    if !seen.can_mark || asked.is_rejected(&seen.mark) {
        return None;
    }
    let mark = if asked.is_marked(&seen.mark) {
        seen.mark.clone()
    } else {
        seen.mark.begin(canary, asked.baseline(seen), baseline_image)
    };
    Some(mark.reject(canary, seen.latest()))
}

fn nothing(why: &str) -> Next<Ended> {
    Next::Done(Ended::Nothing(why.to_owned()))
}

fn refusal(asked: &Asked, seen: &Seen, why: &str) -> Failure {
    let canary =
        asked.canary_image.as_deref().or(asked.canary_revision.as_deref()).unwrap_or_default();
    Failure {
        what: format!("failed to roll back `{canary}` of `{}`: {why}", seen.full_name()),
        hint: "name what is there now by `canary-revision`, and what to go back to by `baseline-image`".into(),
    }
}
