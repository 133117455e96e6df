//! What is desired, and what this run has learnt of it.

use std::time::Duration;

use clap::ValueEnum;
use inference_service::{
    DesiredSpec, Fields, LOGGER_PENDING, LoggerChange, Observed, PROGRESS_DEADLINE, Release,
    same_image,
};
use serde_json::Value;

use crate::{answer_counter::Answers, first_release::FirstRelease};

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is asked for or learnt by itself
pub(crate) struct Desired {
    pub(crate) image: String,
    /// The first of its ladder
    pub(crate) percent: u8,
    pub(crate) retry_rejected: bool,
    /// Within which the model has to be ready, if that is said
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) first: FirstRelease,
    /// What the release brings for the container
    pub(crate) brings: Fields,
    /// Secret with which its pods pull the image
    pub(crate) pull_secret: Option<String>,
    /// Where its answers are counted, and whether
    pub(crate) answers: Answers,
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

/// What to do while another canary of the service has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenBusy {
    /// Fail
    Refuse,
    /// Wait until it has ended, and for older runs of the same Pipeline
    Wait,
    /// Take it back and start at once
    Replace,
}

impl Desired {
    /// Keeps what a later look does not show any more.
    pub(crate) fn learn(&mut self, observed: &Observed) {
        self.is_first |= observed.service.is_none() || observed.rolled_out().is_empty();
        if observed.patches == 0 && observed.rolled_out().is_empty() {
            observed.latest().clone_into(&mut self.outdated);
        }
        self.has_tried |= observed.service.is_none() || observed.patches > 0;
        self.has_begun |= observed.mark.is_fresh(&self.image);
        // To try again is asked once: a rollback that comes meanwhile has the last word.
        self.retry_rejected &= !self.has_begun;
    }

    /// What goes into the spec with the image: a canary whose place it takes leaves nothing behind
    pub(crate) fn spec(&self, observed: &Observed) -> DesiredSpec {
        let fields = match observed.service {
            Some(_) => self.brings.onto(&observed.fields_before()),
            None => self.brings.clone(),
        };
        let mut annotations = observed.annotations_like(observed.rolled_out());
        if let Some(time) = self.start_timeout {
            annotations.insert(PROGRESS_DEADLINE.into(), Some(format!("{}s", time.as_secs())));
        }
        let pull_secret = self.pull_secret.clone();
        let before = observed.logger_before();
        let is_pending = self.is_logger_pending(observed, &before);
        annotations.insert(LOGGER_PENDING.into(), is_pending.then(|| "true".into()));
        let logger = Some(self.logger(observed, &before));
        DesiredSpec { image: self.image.clone(), fields, annotations, pull_secret, logger }
    }

    /// How this release changes the logger, or the canary whose place it takes has changed it
    pub(crate) fn changed_logger(&self, observed: &Observed) -> Option<LoggerChange> {
        let (from, now) = (observed.logger_before(), observed.logger());
        let to = self.logger(observed, &from);
        (from != to || from != now).then_some(LoggerChange { from, to })
    }

    /// The container's fields that this release changes, or the canary whose place it takes has changed
    pub(crate) fn changed_fields(&self, observed: &Observed) -> Fields {
        let (before, now) = (observed.fields_before(), observed.fields());
        let after = self.brings.onto(&before);
        let is_changed = |name: &str, value: &Value| {
            now.0.get(name) != Some(value) || after.0.get(name) != Some(value)
        };
        Fields(before.0.into_iter().filter(|(name, value)| is_changed(name, value)).collect())
    }

    pub(crate) fn is_same_image(&self, observed: &Observed) -> bool {
        observed.image().is_some_and(|image| same_image(image, &self.image))
    }

    /// Whether a first release that never served would be the same if it began again
    pub(crate) fn is_as_desired(&self, observed: &Observed) -> bool {
        let can_pull =
            self.pull_secret.as_ref().is_none_or(|secret| observed.has_pull_secret(secret));
        let logger = observed.logger();
        can_pull && self.has_what_it_brings(observed) && self.logger(observed, &logger) == logger
    }

    /// As noted when it began, for something may have changed on its way into the spec; or by what is there
    pub(crate) fn has_what_it_brings(&self, observed: &Observed) -> bool {
        let mark = &observed.mark;
        let is_noted = mark.is_of(&self.image) && mark.release.brought == self.release.brought;
        is_noted || self.brings.are_in(&observed.fields())
    }
}
