//! Takes a canary back and puts the old image in its place.
//!
//! - `args`: the command line
//! - `desired`: what to take back and what to go back to, and what this run has learnt of it
//! - `orphaned_canaries`: canaries that no run will end
//! - `plan`: from what is desired and what is observed to an action
//! - `results`: what the step writes for the tasks after it
//! - `rollback`: one rollback, from the first look to the end
//! - `rollback_cause`: why a canary is taken back, by the run that was to end it
//! - `unreported_runs`: runs that ended without an event
//! - `outcome_event`: the event that says what became of a canary, as a file
//! - `sweep`: all rollbacks and events that are due in a namespace

mod args;
mod desired;
mod orphaned_canaries;
mod outcome_event;
mod plan;
mod results;
mod rollback;
mod rollback_cause;
mod sweep;
mod unreported_runs;

use std::process::ExitCode;

use anyhow::{Result, bail};
use inference_service::{Observed, Service, connect};
use step::{Outcome, Usage};

use crate::{
    args::Args,
    desired::Desired,
    outcome_event::{OutcomeEvent, source_of},
    plan::next,
    rollback::take_back,
    rollback_cause::RollbackCause,
    sweep::sweep,
};

fn main() -> ExitCode {
    step::run(async |args: Args| if args.sweep { sweep(args).await } else { rollback(args).await })
}

/// Takes back the canary that is named.
async fn rollback(args: Args) -> Result<Outcome> {
    let Args { service, namespace, timeout, dry_run, event, run, results, .. } = args;
    let mut desired = Desired {
        canary_revision: args.canary_revision,
        canary_image: args.canary_image,
        made_by: args.made_by,
        baseline_revision: args.baseline_revision,
        baseline_image: args.baseline_image,
        keep_promoted: args.keep_promoted,
    };
    if !desired.names_a_canary() {
        bail!(Usage {
            what: "no canary given: set `canary-revision` or `canary-image`".into(),
            hint: "or `made-by`, for the canary of a run; so that no other canary is meant".into(),
        });
    }
    let service = Service::new(connect().await?, namespace, &service.unwrap_or_default());
    if dry_run {
        service
            .preview(|observed| {
                desired.learn(observed);
                next(&desired, observed)
            })
            .await?;
        return Ok(Outcome::Done);
    }
    let mut observed = Observed::nothing_of(&service.namespace, &service.name);
    let ended = take_back(&service, &mut desired, &mut observed, timeout, &results).await;
    let name = observed.full_name();
    if let Some(folder) = &event.event_folder {
        let ours = run.task_run_uid.as_deref().unwrap_or_default();
        let client = service.client();
        let cause = match &run.pipeline_run {
            Some(name) => {
                RollbackCause::of_run(client, client.default_namespace(), name, ours).await
            }
            None => RollbackCause::by_hand(),
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

#[cfg(test)]
mod scenarios;
