//! What `canary-rollback` does next, from what it sees.

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use inference_service::{Change, Diagnosis, Fields, Guarded, Mark, Next, Seen, same_image};
use step::Failure;

/// KServe moves a promoted canary's requests back within a second or two of percent 0. If it does
/// not, the old image is restored without that.
const ROUTE_SETTLES: Duration = Duration::from_secs(10);

/// How long a quota may hold up KServe before the canary's room is freed once more.
const TRY_QUOTA_EVERY: Duration = Duration::from_secs(20);

/// What to take back and what to go back to. The canary is named by its image, by a revision that
/// runs it, or by the run that made it; in the end it is the image that is taken back, whatever
/// revision runs it by now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) canary_revision: Option<String>,
    pub(crate) canary_image: Option<String>,
    /// Uid of the run whose canary is meant
    pub(crate) made_by: Option<String>,
    pub(crate) baseline_revision: Option<String>,
    pub(crate) baseline_image: Option<String>,
    pub(crate) keep_promoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    RolledBack {
        image: String,
    },
    /// A newer release has taken its place
    Replaced,
    /// It serves all requests, and only the event was missing
    Promoted,
    Nothing(String),
}

impl fmt::Display for Ended {
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

impl Asked {
    pub(crate) fn names_a_canary(&self) -> bool {
        [&self.canary_revision, &self.canary_image, &self.made_by].iter().any(|name| name.is_some())
    }

    /// Keeps the canary's image: once it was taken back, its revision is not named any more.
    pub(crate) fn learn(&mut self, seen: &Seen) {
        if self.canary_image.is_some() {
            return;
        }
        let made = Some(seen.mark.release.run_uid.as_str())
            .filter(|uid| !uid.is_empty() && self.made_by.as_deref() == Some(*uid))
            .map(|_| seen.mark.image.as_str());
        let revision = self.canary_revision.as_deref();
        let marked = revision
            .filter(|revision| *revision == seen.mark.canary_revision)
            .map(|_| seen.mark.image.as_str());
        let runs = revision.and_then(|revision| {
            let spec = seen.image().filter(|image| seen.runs(revision, image));
            spec.or_else(|| seen.image_of(revision))
        });
        self.canary_image = made.or(runs).or(marked).map(String::from);
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
        self.is_marked(mark) && mark.is_rejected()
    }

    /// The revision that served before: as told, as noted when the canary began, or as KServe says
    pub(crate) fn baseline<'a>(&'a self, seen: &'a Seen) -> &'a str {
        let noted = Some(seen.mark.baseline_revision.as_str())
            .filter(|noted| !noted.is_empty() && self.is_marked(&seen.mark));
        self.baseline_revision.as_deref().or(noted).unwrap_or_else(|| {
            let runs_canary = |revision: &&str| {
                self.canary_image.as_ref().is_some_and(|canary| seen.runs(revision, canary))
            };
            let previous = seen.component().previous_rolledout_revision.as_str();
            let recorded = [seen.rolled_out(), previous].into_iter().find(|one| !runs_canary(one));
            // Somebody's change may have made two revisions of the canary, which KServe recorded both.
            let newest =
                || seen.revisions.keys().rev().map(String::as_str).find(|one| !runs_canary(one));
            recorded.or_else(newest).unwrap_or_default()
        })
    }

    /// Its image: of the revision itself, or what was told or noted of it when it is gone
    pub(crate) fn baseline_image<'a>(&'a self, seen: &'a Seen) -> Option<&'a str> {
        let noted = Some(seen.mark.baseline_image.as_str())
            .filter(|noted| !noted.is_empty() && self.is_marked(&seen.mark));
        seen.image_of(self.baseline(seen)).or(self.baseline_image.as_deref()).or(noted)
    }

    /// Fields of the container that the canary changed, as they were: noted when it began, or else as
    /// its revision and the baseline's tell them
    fn fields_before(&self, seen: &Seen) -> Fields {
        let mark = &seen.mark;
        if self.is_marked(mark) {
            mark.before.clone()
        } else {
            seen.fields_lost(self.baseline(seen))
        }
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
    let Some(image) = asked.baseline_image(seen) else {
        bail!(refusal(
            asked,
            seen,
            &format!("the image of its baseline `{}` is not known any more", asked.baseline(seen))
        ));
    };
    let (fields, annotations) =
        (asked.fields_before(seen), seen.deadline_like(asked.baseline(seen)));
    let change = Change { fields, annotations, ..Change::image(image) };
    if let Some(mark) = rejected(asked, seen, image) {
        return Ok(Next::Mark(Box::new(mark)));
    }
    if !seen.is_latest_of_spec() {
        return Ok(Next::Patch(Guarded::image_alone(seen, &change))); // KServe never took it: as it was before
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
    Ok(Next::Patch(Guarded::restore_at_zero(seen, &change)))
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
        let is_replaced = asked
            .canary_image
            .as_ref()
            .is_some_and(|canary| same_image(canary, &seen.mark.replaced));
        let Some(canary) = still_serves else {
            if is_replaced {
                return Ok(Next::Done(Ended::Replaced));
            }
            // It was taken back before, and a newer release has begun meanwhile.
            let is_rejected =
                asked.canary_image.as_ref().is_some_and(|canary| seen.mark.has_rejected(canary));
            if let Some(image) = seen.image_of(seen.rolled_out()).filter(|_| is_rejected) {
                return Ok(Next::Done(Ended::RolledBack { image: image.to_owned() }));
            }
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
    if let Some(revision) = in_the_way(asked, seen) {
        return Ok(Next::Delete(revision.to_owned()));
    }
    let draining = asked.canary_image.as_deref().filter(|_| seen.can_delete);
    let draining = draining.and_then(|canary| seen.leftovers(canary).next());
    match (seen.percent(), seen.stable()) {
        (_, Some(_)) if draining.is_some() => Ok(Next::Wait(format!(
            "wait for the last requests of `{}`",
            draining.unwrap_or_default()
        ))),
        (_, Some(_)) => Ok(Next::Done(Ended::RolledBack { image: image.to_owned() })),
        // Judged by the revision and not by the route, which stays stuck until this patch when the
        // old revision is gone. Before the revision is ready it would give the bad one all requests.
        (Some(_), None) if is_ready(seen) => Ok(Next::Patch(Guarded::without_percent(seen))),
        _ => {
            let waiting = seen.waiting_for("restored revision");
            Ok(Next::Wait(waiting.map_err(|diagnosis| not_restored(seen, &diagnosis))?))
        }
    }
}

fn not_restored(seen: &Seen, Diagnosis { why, hint, .. }: &Diagnosis) -> Failure {
    let (latest, name) = (seen.latest(), seen.full_name());
    let what =
        format!("failed to start `{latest}` of `{name}`, which restores the old image: {why}");
    let helps = match *hint {
        "" => "make room or repair the image's registry",
        hint => hint,
    };
    let route = seen.condition("PredictorRouteReady").map(|condition| condition.status.as_str());
    let users = match route {
        Some("True") => "the old revision still serves its users",
        _ => "the route is stuck and some users get errors",
    };
    Failure { what, hint: format!("{helps}, and run it again; {users}") }
}

/// A revision of the rejected canary that takes room which the restored one may need. Its pods would
/// go on, also when they crash again and again, as long as the revision is there.
fn in_the_way<'a>(asked: &'a Asked, seen: &'a Seen) -> Option<&'a str> {
    let canary = asked.canary_image.as_deref().filter(|_| seen.can_delete)?;
    if seen.is_latest_of_spec() {
        return seen.leftovers(canary).find(|revision| seen.is_drained(revision));
    }
    // KServe hands nothing on while a quota has no room for one more pod, and the canary has that
    // room. Knative makes its latest revision again at once, but KServe gets its turn in between.
    let latest = seen.latest();
    let is_held_up = seen.is_refused_by_quota()
        && seen.waited >= TRY_QUOTA_EVERY
        && latest != seen.rolled_out()
        && seen.runs(latest, canary);
    is_held_up.then_some(latest)
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
        seen.mark
            .begin(canary, asked.baseline(seen), baseline_image)
            .from_fields(asked.fields_before(seen))
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
        hint: "name the canary by `canary-image`, and what to go back to by `baseline-image`"
            .into(),
    }
}
