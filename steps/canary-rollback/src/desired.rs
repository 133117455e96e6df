//! What to take back and what to go back to, and what this run has learnt of it.

use inference_service::{Fields, LoggerChange, Mark, Observed, same_image};
use serde_json::Value;

/// What to take back and what to go back to. The canary is named by its image, by a revision that
/// runs it, or by the run that made it; in the end it is the image that is taken back, whatever
/// revision runs it by now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desired {
    pub(crate) canary_revision: Option<String>,
    pub(crate) canary_image: Option<String>,
    /// Uid of the run whose canary is meant
    pub(crate) made_by: Option<String>,
    pub(crate) baseline_revision: Option<String>,
    pub(crate) baseline_image: Option<String>,
    pub(crate) keep_promoted: bool,
    /// Nothing is named: what serves all requests is meant
    pub(crate) undo: Option<Undo>,
}

/// An undo of what serves all requests
#[derive(Clone, Debug, Default)]
pub(crate) struct Undo {
    /// Version that is to go; empty for whichever serves
    pub(crate) version: String,
}

impl Desired {
    pub(crate) fn names_a_canary(&self) -> bool {
        [&self.canary_revision, &self.canary_image, &self.made_by].iter().any(|name| name.is_some())
    }

    /// Keeps the canary's image: once it was taken back, its revision is not named any more.
    pub(crate) fn learn(&mut self, observed: &Observed) {
        if self.canary_image.is_some() {
            return;
        }
        let made = Some(observed.mark.release.run_uid.as_str())
            .filter(|uid| !uid.is_empty() && self.made_by.as_deref() == Some(*uid))
            .map(|_| observed.mark.image.as_str());
        let revision = self.canary_revision.as_deref();
        let marked = revision
            .filter(|revision| *revision == observed.mark.canary_revision)
            .map(|_| observed.mark.image.as_str());
        let runs = revision.and_then(|revision| {
            let spec = observed.image().filter(|image| observed.runs_image(revision, image));
            spec.or_else(|| observed.image_of(revision))
        });
        self.canary_image = made.or(runs).or(marked).map(String::from);
    }

    /// Whether the spec asks for the canary that is meant
    pub(crate) fn is_canary(&self, observed: &Observed) -> bool {
        observed
            .image()
            .zip(self.canary_image.as_ref())
            .is_some_and(|(image, canary)| same_image(image, canary))
    }

    pub(crate) fn is_marked(&self, mark: &Mark) -> bool {
        self.canary_image.as_ref().is_some_and(|canary| mark.is_of(canary))
    }

    pub(crate) fn is_rejected(&self, mark: &Mark) -> bool {
        self.is_marked(mark) && mark.is_rejected()
    }

    /// The revision that served before: as given, as noted when the canary began, or as KServe says
    pub(crate) fn baseline<'a>(&'a self, observed: &'a Observed) -> &'a str {
        let noted = Some(observed.mark.baseline_revision.as_str())
            .filter(|noted| !noted.is_empty() && self.is_marked(&observed.mark));
        self.baseline_revision.as_deref().or(noted).unwrap_or_else(|| {
            let runs_canary = |revision: &&str| {
                self.canary_image
                    .as_ref()
                    .is_some_and(|canary| observed.runs_image(revision, canary))
            };
            let previous = observed.component().previous_rolledout_revision.as_str();
            let recorded =
                [observed.rolled_out(), previous].into_iter().find(|one| !runs_canary(one));
            // Somebody's change may have made two revisions of the canary, which KServe recorded both.
            let newest = || {
                observed.revisions.keys().rev().map(String::as_str).find(|one| !runs_canary(one))
            };
            recorded.or_else(newest).unwrap_or_default()
        })
    }

    /// Its image: of the revision itself, or what was given or noted of it when it is gone
    pub(crate) fn baseline_image<'a>(&'a self, observed: &'a Observed) -> Option<&'a str> {
        let noted = Some(observed.mark.baseline_image.as_str())
            .filter(|noted| !noted.is_empty() && self.is_marked(&observed.mark));
        observed.image_of(self.baseline(observed)).or(self.baseline_image.as_deref()).or(noted)
    }

    /// Fields of the container that the canary changed, as they were: noted when it began, or else as
    /// its revision and the baseline's show them. The note is about the baseline that it began beside; another one,
    /// given by hand, has its own for as long as both revisions are there.
    pub(crate) fn fields_before(&self, observed: &Observed) -> Fields {
        let (mark, baseline) = (&observed.mark, self.baseline(observed));
        let is_another = mark.baseline_revision != baseline
            && observed.revisions.contains_key(baseline)
            && observed.is_latest_of_spec();
        if self.is_marked(mark) && !is_another {
            mark.before.clone()
        } else {
            observed.fields_lost(baseline)
        }
    }

    /// The service's logger without the canary: one of ours names the baseline again, or goes, as it was before;
    /// what its owner has made of it meanwhile stays
    pub(crate) fn logger_before(&self, observed: &Observed) -> Value {
        let canary = self.canary_image.as_deref().unwrap_or_default();
        observed.logger_without_canary(canary, self.baseline(observed))
    }

    /// How the canary has changed it
    pub(crate) fn logger_change(&self, observed: &Observed) -> Option<LoggerChange> {
        let (from, to) = (self.logger_before(observed), observed.logger());
        (from != to).then_some(LoggerChange { from, to })
    }
}
