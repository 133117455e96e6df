//! Observe, let the step decide, act, and observe again, until there is nothing left to do.
//!
//! It polls by `get` and never watches, so that a Role needs no `watch`.

use std::{cell::RefCell, convert::identity, mem, time::Duration};

use anyhow::{Result, anyhow};
use backon::{ExponentialBuilder, Retryable as _};
use step::Failure;
use tokio::time::{Instant, sleep};

use crate::{
    action::Action, api_error::ApiError, client::Service, observed::Observed, patch::GuardedPatch,
};

/// The API server of a one-node cluster is back within half a minute; more patience between two
/// attempts would only add to that.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What KServe and Knative need besides, before a model starts and after it has.
pub const SETTLES_WITHIN: Duration = Duration::from_mins(2);

/// What this process remembers between two looks; nothing that a later run would miss.
#[allow(clippy::struct_excessive_bools)] // each is learnt by itself
struct Progress {
    changed_at: Instant,
    patches: Vec<GuardedPatch>,
    cannot_mark: bool,
    cannot_delete: bool,
    cannot_scale: bool,
    scalings: usize,
    /// The last look ended in a mark
    has_marked: bool,
    /// What was logged last
    line: String,
}

/// What is left to do after a look and an act.
enum Next<T> {
    End(T),
    /// No controller follows a mark: look again at once.
    Look,
    /// Others have to act first.
    Wait,
}

impl Service {
    /// Goes on until the step decides that it is [`Action::Done`].
    ///
    /// What may heal is tried again until `timeout` has passed: a connection, a busy server, and a
    /// decision that came too late because somebody else was faster.
    pub async fn reconcile<T>(
        &self,
        timeout: Duration,
        decide: impl FnMut(&Observed) -> Result<Action<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        let (decide, progress) = (RefCell::new(decide), RefCell::new(Progress::begin()));
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.observe_every)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times();
        loop {
            let ended = (|| self.reconcile_once(&decide, &progress))
                .retry(pauses)
                .when(|error| error.downcast_ref().is_some_and(ApiError::is_retryable))
                .adjust(|_, pause| pause.filter(|pause| Instant::now() + *pause < deadline))
                .notify(|error, _| progress.borrow_mut().warn_once(error))
                .await;
            match ended {
                Ok(Next::End(ended)) => return Ok(ended),
                Ok(Next::Look) => continue,
                Ok(Next::Wait) => {}
                Err(error) => {
                    return Err(error.downcast().map_or_else(identity, ApiError::into_failure));
                }
            }
            if Instant::now() + self.observe_every > deadline {
                return Err(self.too_late(timeout, &progress.borrow().line));
            }
            sleep(self.observe_every).await;
        }
    }

    /// One look and one act.
    async fn reconcile_once<T>(
        &self,
        decide: &RefCell<impl FnMut(&Observed) -> Result<Action<T>>>,
        progress: &RefCell<Progress>,
    ) -> Result<Next<T>> {
        let mut observed = self.look().await?;
        progress.borrow().add_to(&mut observed);
        let action = decide.borrow_mut()(&observed)?;
        let log = |what: &str| {
            progress.borrow_mut().log_once(format!("{}: {what}", observed.full_name()));
        };
        match action {
            Action::Done(ended) => return Ok(Next::End(ended)),
            Action::Wait(line) => progress.borrow_mut().log_once(line),
            Action::Patch(patch) => {
                if progress.borrow().patches.contains(&patch) {
                    return Err(undone(&observed, &patch));
                }
                log(&patch.what);
                if self.patch(&patch).await? {
                    let mut progress = progress.borrow_mut();
                    progress.patches.push(patch);
                    progress.changed_at = Instant::now();
                }
            }
            Action::Scale(patch) => {
                log(&patch.what);
                let is_allowed = self.scale(&patch).await?;
                let mut progress = progress.borrow_mut();
                progress.cannot_scale = !is_allowed;
                // Asked for ever more, it would wait for ever.
                if progress.scalings == 0 {
                    progress.changed_at = Instant::now();
                }
                progress.scalings += 1;
            }
            Action::Delete(revision) => {
                log(&format!("delete revision `{revision}`"));
                let is_allowed = self.delete(&observed, &revision).await?;
                let mut progress = progress.borrow_mut();
                progress.cannot_delete = !is_allowed;
                progress.changed_at = Instant::now();
            }
            Action::Mark(mark) => {
                // Before the mark: killed in between, the next run finds that the release has not begun.
                if mark.begins_after(&observed.mark) {
                    self.clear_decisions(observed.uid()).await?;
                }
                let is_allowed = self.save(&mark, observed.uid()).await?;
                progress.borrow_mut().cannot_mark = !is_allowed;
                return Ok(progress.borrow_mut().after_a_mark());
            }
            Action::Decide(decision, value) => {
                log(&decision.described(value.as_deref()));
                self.decide(observed.uid(), decision, value.as_deref()).await?;
                return Ok(progress.borrow_mut().after_a_mark());
            }
            Action::Create(object) => {
                log("create the service");
                self.create(object).await?;
            }
        }
        progress.borrow_mut().has_marked = false;
        Ok(Next::Wait)
    }

    fn too_late(&self, timeout: Duration, line: &str) -> anyhow::Error {
        let line = if line.is_empty() { String::new() } else { format!(": {line}") };
        let (name, seconds) = (self.full_name(), timeout.as_secs());
        anyhow!(Failure {
            what: format!("failed to wait any longer than {seconds} s for `{name}`{line}"),
            hint: format!(
                "`kubectl get -n {} inferenceservice,revision,pod` shows what it waits for; run it again to go on, or raise `timeout`",
                self.namespace
            ),
        })
    }
}

impl Progress {
    fn begin() -> Self {
        Self {
            changed_at: Instant::now(),
            patches: Vec::new(),
            cannot_mark: false,
            cannot_delete: false,
            cannot_scale: false,
            scalings: 0,
            has_marked: false,
            line: String::new(),
        }
    }

    fn add_to(&self, observed: &mut Observed) {
        observed.waited = self.changed_at.elapsed();
        observed.patches = self.patches.len();
        observed.cannot_mark = self.cannot_mark;
        observed.cannot_delete = self.cannot_delete;
        observed.cannot_scale = self.cannot_scale;
        observed.scalings = self.scalings;
    }

    /// Two runs that take the mark from each other do so twice a second, no faster.
    fn after_a_mark<T>(&mut self) -> Next<T> {
        if mem::replace(&mut self.has_marked, true) { Next::Wait } else { Next::Look }
    }

    /// One line when what it waits for changes.
    fn log_once(&mut self, line: String) {
        if self.line != line {
            tracing::info!("{line}");
            self.line = line;
        }
    }

    fn warn_once(&mut self, error: &anyhow::Error) {
        let line = format!("{error}; trying again");
        if self.line != line {
            tracing::warn!("{line}");
            self.line = line;
        }
    }
}

/// A patch that is needed again was undone, and doing it over and over would make revision after revision.
fn undone(observed: &Observed, GuardedPatch { what, .. }: &GuardedPatch) -> anyhow::Error {
    let manager = observed.last_changed_by();
    anyhow!(Failure {
        what: format!("failed to {what}: `{}` was set back meanwhile{manager}", observed.full_name()),
        hint: "let whatever manages it (GitOps?) ignore the image and canaryTrafficPercent of its predictor".into(),
    })
}
