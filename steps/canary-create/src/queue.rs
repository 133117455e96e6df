//! Whose turn it is, when a service has more than one release to come.

use clap::ValueEnum;
use inference_service::{Next, Seen};

use crate::plan::{Asked, canary_in_progress};

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

/// Waits until no other canary is under way, and no older run of the same Pipeline will begin one.
pub(crate) fn turn(asked: &Asked, seen: &Seen) -> Next<()> {
    let ours = &asked.release.run_uid;
    if let Some(canary) = canary_in_progress(seen, asked) {
        return Next::Wait(format!("wait for its turn: {canary}"));
    }
    // Another run releases the same image, or has not finished its rollback.
    let other = seen.ending_run(ours).filter(|_| seen.percent().is_some());
    match (other, seen.runs_before(ours).first()) {
        (Some(run), _) => {
            Next::Wait(format!("wait for its turn: run `{}` has not ended its canary", run.name))
        }
        (None, Some(older)) => {
            Next::Wait(format!("wait for its turn: run `{}` came before this one", older.name))
        }
        (None, None) => Next::Done(()),
    }
}
