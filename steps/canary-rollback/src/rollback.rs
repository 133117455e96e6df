//! One rollback, from the first look to the end.

use std::time::Duration;

use anyhow::Result;
use inference_service::{Action, Mark, Observed, SETTLES_WITHIN, Service};

use crate::{
    desired::Desired,
    plan::{RollbackOutcome, next},
    results::Results,
    undo,
};

const USUALLY_WITHIN: Duration = Duration::from_mins(9);

/// `observed` is what the last look found: the event is about it.
pub(crate) async fn take_back(
    service: &Service,
    desired: &mut Desired,
    observed: &mut Observed,
    timeout: Option<Duration>,
    results: &Results,
) -> Result<RollbackOutcome> {
    results.begin()?;
    if desired.undo.is_some() && desired.canary_image.is_none() {
        let name = |now: &Observed| {
            observed.clone_from(now);
            undo::name(desired, now)
        };
        let named = service.reconcile(timeout.unwrap_or(USUALLY_WITHIN), name).await;
        if named.is_err() {
            observed.mark = Mark::default(); // the event is not about the release that it is of
        }
        named?;
    }
    let timeout = if let Some(timeout) = timeout {
        timeout
    } else {
        // The revision that restores the old image has to load its model anew.
        let starts_within = |now: &Observed| {
            desired.learn(now);
            Ok(Action::Done(now.progress_deadline_of(desired.baseline(now))))
        };
        let starts_within = service.reconcile(USUALLY_WITHIN, starts_within).await?;
        starts_within.map_or(USUALLY_WITHIN, |time| USUALLY_WITHIN.max(time + SETTLES_WITHIN))
    };
    let ended = service
        .reconcile(timeout, |now| {
            desired.learn(now);
            observed.clone_from(now);
            results.write_what_is_known(desired, now)?;
            next(desired, now)
        })
        .await?;
    results.end(&ended)?;
    Ok(ended)
}
