//! Takes a canary back and puts the old image in its place.
//!
//! - `args`: the command line
//! - `desired`: what to take back and what to go back to, and what this run has learnt of it
//! - `orphaned_canaries`: canaries that no run will end
//! - `plan`: from what is desired and what is observed to an action
//! - `results`: what the step writes for the tasks after it
//! - `rollback`: one rollback, from the first look to the end
//! - `rollback_cause`: why a canary is taken back, by the run that was to end it
//! - `stuck_runs`: runs that cannot go on and have nothing left to do
//! - `unreported_runs`: runs that ended without an event
//! - `outcome_event`: the event that says what became of a canary, as a file
//! - `undo`: what an undo takes back, and what it goes back to
//! - `sweep`: all rollbacks, cancellations and events that are due in a namespace

mod args;
mod desired;
mod orphaned_canaries;
mod outcome_event;
mod plan;
mod results;
mod rollback;
mod rollback_cause;
mod stuck_runs;
mod sweep;
mod undo;
mod unreported_runs;

use std::process::ExitCode;

use anyhow::Result;
use inference_service::{Action, Observed, Service, connect};
use step::{Outcome, Usage};

use crate::{
    args::Args,
    desired::{Desired, Undo},
    outcome_event::{OutcomeEvent, source_of},
    plan::{RollbackOutcome, next},
    rollback::take_back,
    rollback_cause::RollbackCause,
    sweep::sweep,
};

fn main() -> ExitCode {
    step::run(async |args: Args| if args.sweep { sweep(args).await } else { rollback(args).await })
}

/// Takes back the canary that is named, or what serves all requests.
async fn rollback(args: Args) -> Result<Outcome> {
    let mut desired = desired(&args)?;
    let Args { service, by, reason, namespace, timeout, dry_run, event, run, results, .. } = args;
    let service = Service::new(connect().await?, namespace, &service.unwrap_or_default());
    if dry_run {
        service.preview(|observed| preview(&mut desired, observed)).await?;
        return Ok(Outcome::Done);
    }
    let mut observed = Observed::nothing_of(&service.namespace, &service.name);
    let ended = take_back(&service, &mut desired, &mut observed, timeout, &results).await;
    let name = observed.full_name();
    if let Some(folder) = &event.event_folder {
        let ours = run.task_run_uid.as_deref().unwrap_or_default();
        let client = service.client();
        let is_asked_for = desired.undo.is_some() || by.is_some() || reason.is_some();
        let cause = match &run.pipeline_run {
            Some(name) if !is_asked_for => {
                RollbackCause::of_run(client, client.default_namespace(), name, ours).await
            }
            _ => RollbackCause::by_hand(by.as_deref(), reason.as_deref()),
        };
        let source = source_of(&service.namespace, &run);
        OutcomeEvent { desired, observed, cause, context: event.clone(), run, source }.write(
            folder,
            &service.name,
            &ended,
        )?;
    }
    tracing::info!("{name}: {}", ended?);
    Ok(Outcome::Done)
}

fn desired(args: &Args) -> Result<Desired, Usage> {
    let version = args.event.service_version.clone().unwrap_or_default();
    let desired = Desired {
        canary_revision: args.canary_revision.clone(),
        canary_image: args.canary_image.clone(),
        made_by: args.made_by.clone(),
        baseline_revision: args.baseline_revision.clone(),
        baseline_image: args.baseline_image.clone(),
        keep_promoted: args.keep_promoted,
        undo: args.undo.then_some(Undo { version }),
    };
    if args.undo && (desired.names_a_canary() || args.keep_promoted) {
        return Err(Usage {
            what: "`undo` takes back what serves all requests, and a canary is named".into(),
            hint: "leave out `canary-revision`, `canary-image`, `made-by` and `keep-promoted`, or `undo`".into(),
        });
    }
    if !args.undo && !desired.names_a_canary() {
        return Err(Usage {
            what: "no canary given: set `canary-revision` or `canary-image`".into(),
            hint: "or `made-by`, for the canary of a run; so that no other canary is meant".into(),
        });
    }
    Ok(desired)
}

/// What it would do first
fn preview(desired: &mut Desired, observed: &Observed) -> Result<Action<RollbackOutcome>> {
    if desired.undo.is_some()
        && desired.canary_image.is_none()
        && let Action::Wait(line) = undo::name(desired, observed)?
    {
        return Ok(Action::Wait(line));
    }
    desired.learn(observed);
    next(desired, observed)
}

#[cfg(test)]
mod scenarios;
