//! An undo: what it takes back, and what it goes back to.
//!
//! It takes back what serves all requests, once: after a rollback, its own or another one, it finds what was
//! taken back, finishes that where it is not finished, and goes no further back. So it may be killed and run
//! again, and asked for twice, and never brings back what was taken back. All of it is in the mark.

use anyhow::{Result, bail};
use inference_service::{Action, Mark, Observed, decision_lease, same_image};
use step::{Failure, text::short};

use crate::desired::Desired;

/// Of a version, or of a run's name
const LONGEST: usize = 128;

/// The image that goes, and what served before it
struct Undone {
    image: String,
    baseline_revision: String,
    baseline_image: String,
}

enum Named {
    As(Undone),
    /// What has to change before
    NotYet(String),
}

/// Names what goes, so that it is then taken back as any other canary; waits while the service is on its way.
pub(crate) fn name(desired: &mut Desired, observed: &Observed) -> Result<Action<()>> {
    Ok(match named(desired, observed)? {
        Named::NotYet(line) => Action::Wait(line),
        Named::As(Undone { image, baseline_revision, baseline_image }) => {
            desired.canary_image = Some(image);
            desired.baseline_revision = Some(baseline_revision);
            desired.baseline_image = Some(baseline_image);
            Action::Done(())
        }
    })
}

fn named(desired: &Desired, observed: &Observed) -> Result<Named> {
    if observed.service.is_none() {
        let hint = "check `service` and `namespace`";
        bail!(refusal(observed, "there is no such service", hint));
    }
    if let Some(undone) = taken_back(desired, observed)? {
        return Ok(Named::As(undone));
    }
    if let Some(percent) = observed.percent().filter(|percent| *percent < 100) {
        bail!(in_progress(observed, percent));
    }
    let image = observed.image().unwrap_or_default();
    if !observed.is_latest_of_spec() || observed.latest() != observed.rolled_out() {
        return match observed.waiting_for("the service's own revision") {
            Ok(line) => Ok(Named::NotYet(line)),
            Err(diagnosis) => {
                let why = format!("it asks for `{image}`, which does not serve: {}", diagnosis.why);
                let hint = "canary-rollback with this `canary-image` puts the old one back";
                bail!(refusal(observed, &why, hint))
            }
        };
    }
    let mark = Some(&observed.mark).filter(|mark| mark.is_of(image));
    if let Some(mark) = mark.filter(|mark| !is_meant(desired, mark)) {
        let version = version_of(mark);
        let why = format!("version `{version}` serves");
        let hint = format!("set `service-version` to `{version}` if that is the one that is to go");
        bail!(refusal(observed, &why, &hint));
    }
    let (baseline_revision, baseline_image) = before(desired, observed, mark, image)?;
    Ok(Named::As(Undone { image: image.to_owned(), baseline_revision, baseline_image }))
}

/// What was taken back already, or is being taken back, with nothing released since.
fn taken_back(desired: &Desired, observed: &Observed) -> Result<Option<Undone>> {
    let (mark, image) = (&observed.mark, observed.image().unwrap_or_default());
    let is_restored = same_image(&mark.baseline_image, image);
    if !mark.is_rejected() || !mark.is_of(image) && !is_restored {
        return Ok(None);
    }
    if !is_meant(desired, mark) {
        let why = format!("version `{}` was taken back before it", version_of(mark));
        bail!(refusal(observed, &why, NO_FURTHER));
    }
    if is_restored && observed.percent().is_none() {
        tracing::info!(
            "{}: `{}` was taken back before; {NO_FURTHER}",
            observed.full_name(),
            mark.image
        );
    }
    Ok(Some(Undone {
        image: mark.image.clone(),
        baseline_revision: mark.baseline_revision.clone(),
        baseline_image: mark.baseline_image.clone(),
    }))
}

/// Revision and image of the version that served before: as given, as noted when the canary began, or as KServe
/// has recorded it. Never one that was taken back.
fn before(
    desired: &Desired,
    observed: &Observed,
    mark: Option<&Mark>,
    image: &str,
) -> Result<(String, String)> {
    let noted = mark.map(|mark| mark.baseline_revision.as_str()).filter(|noted| !noted.is_empty());
    let recorded = observed.component().previous_rolledout_revision.as_str();
    let revision = desired.baseline_revision.as_deref().or(noted).unwrap_or(recorded);
    if revision.is_empty() {
        let why = "nothing served before it: it is a first release";
        bail!(refusal(observed, why, "release a better version"));
    }
    let given = desired.baseline_image.as_deref();
    let image_before =
        observed.image_of(revision).or(given).or_else(|| mark?.image_of_baseline(revision));
    let Some(before) = image_before else {
        bail!(refusal(observed, &not_known(observed, revision), RELEASE_AGAIN));
    };
    if same_image(before, image) {
        let why = format!("`{revision}`, which served before, runs the same image");
        bail!(refusal(observed, &why, RELEASE_AGAIN));
    }
    let is_by_record = desired.baseline_revision.is_none() && noted.is_none();
    if is_by_record && observed.mark.has_rejected(before) {
        let why = format!("`{revision}`, which served before, was taken back itself");
        bail!(refusal(observed, &why, RELEASE_AGAIN));
    }
    Ok((revision.to_owned(), before.to_owned()))
}

fn not_known(observed: &Observed, revision: &str) -> String {
    if observed.revisions.contains_key(revision) {
        return format!("`{revision}`, which served before, has no digest of its image");
    }
    format!(
        "`{revision}`, which served before, is gone: Knative keeps the last 20 revisions without requests, \
         and each for 48 hours"
    )
}

const RELEASE_AGAIN: &str = "release the old version again, or let `baseline-image` name its image";

const NO_FURTHER: &str = "an undo goes back once: to go further back, release that version again";

/// Whether the version that was asked for can be the one of a mark
fn is_meant(desired: &Desired, mark: &Mark) -> bool {
    let wanted = desired.undo.as_ref().map_or("", |undo| undo.version.as_str());
    wanted.is_empty() || mark.release.version.is_empty() || wanted == mark.release.version
}

fn version_of(mark: &Mark) -> String {
    short(&mark.release.version, LONGEST)
}

fn in_progress(observed: &Observed, percent: i64) -> Failure {
    let (mark, image) = (&observed.mark, observed.image().unwrap_or_default());
    if !mark.is_of(image) {
        let by = observed.last_changed_by();
        let why = format!("a canary is in progress: `{image}` at {percent} %{by}");
        return refusal(observed, &why, "canary-rollback with this `canary-image` takes it back");
    }
    let version = match version_of(mark) {
        version if version.is_empty() => "VERSION".to_owned(),
        version => version,
    };
    let run = short(&mark.release.run, LONGEST);
    let by = if run.is_empty() { String::new() } else { format!(" by run `{run}`") };
    let why = format!("a canary is in progress: `{image}` at {percent} %, version {version}{by}");
    let (namespace, lease) = (&observed.namespace, decision_lease(&observed.name));
    let hint = format!(
        "abort it: `kubectl annotate lease {lease} -n {namespace} --overwrite kanaria.dev/abort='{version} WHO: WHY'`, \
         or by the event build.canary.release.decision.requested.v1"
    );
    refusal(observed, &why, &hint)
}

fn refusal(observed: &Observed, why: &str, hint: &str) -> Failure {
    Failure { what: format!("failed to undo `{}`: {why}", observed.full_name()), hint: hint.into() }
}
