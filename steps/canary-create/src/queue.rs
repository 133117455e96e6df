//! Whose turn it is, when a service has more than one release to come.

use inference_service::{Action, Observed};

use crate::{desired::Desired, plan::canary_in_progress};

/// Waits until no other canary is under way, and no older run of the same Pipeline will begin one.
pub(crate) fn wait_for_turn(desired: &Desired, observed: &Observed) -> Action<()> {
    let ours = &desired.release.run_uid;
    if let Some(canary) = canary_in_progress(observed, desired) {
        return Action::Wait(format!("wait for its turn: {canary}"));
    }
    // Another run releases the same image, or has not finished its rollback.
    let other = observed.ending_run(ours).filter(|_| observed.percent().is_some());
    match (other, observed.runs_before(ours).first()) {
        (Some(run), _) => Action::Wait(format!(
            "wait for its turn: run `{}` has not ended its canary",
            run.name()
        )),
        (None, Some(older)) => {
            Action::Wait(format!("wait for its turn: run `{}` came before this one", older.name()))
        }
        (None, None) => Action::Done(()),
    }
}
