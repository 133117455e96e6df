//! Whose turn it is, when a service has more than one release to come.

use anyhow::Result;
use inference_service::{Action, Observed};

use crate::{
    desired::Desired,
    plan::{canary_in_progress, not_stopped},
};

/// Waits until no other canary is under way, and no older run of the same Pipeline will begin one.
pub(crate) fn wait_for_turn(desired: &Desired, observed: &Observed) -> Result<Action<()>> {
    if !desired.is_same_image(observed) {
        not_stopped(desired, observed)?;
    }
    let wait = |why: String| Action::Wait(format!("wait for its turn: {why}"));
    let ours = &desired.release.run_uid;
    // Another run releases the same image, or has not finished its rollback.
    let other = observed.ending_run(ours).filter(|_| observed.percent().is_some());
    Ok(if let Some(canary) = canary_in_progress(observed, desired) {
        wait(canary)
    } else if let Some(run) = other {
        wait(format!("run `{}` has not ended its canary", run.name()))
    } else if let Some(older) = observed.runs_before(ours).first() {
        wait(format!("run `{}` came before this one", older.name()))
    } else {
        Action::Done(())
    })
}
