//! Gives a canary the next percent of its ladder.
//!
//! - `args`: the command line
//! - `desired`: what is desired, and what this run has learnt of it
//! - `plan`: from what is desired and what is observed to an action
//! - `advance_event`: the event that has the next rung judged, as a file
//! - `results`: what the step writes for the steps and tasks after it

mod advance_event;
mod args;
mod desired;
mod plan;
mod results;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use inference_service::{Observed, Service, connect};
use step::Outcome;

use crate::{
    advance_event::AdvanceEvent,
    args::Args,
    desired::Desired,
    plan::{Climb, is_changed, next},
    results::Results,
};

fn main() -> ExitCode {
    step::run(promote)
}

async fn promote(args: Args) -> Result<Outcome> {
    let Args { event: context, run, results, .. } = args;
    let mut desired = Desired {
        canary: args.canary_revision,
        ladder: args.ladder,
        percent: args.percent,
        bakes: args.bake.is_some_and(|time| !time.is_zero()),
        room_timeout: args.room_timeout,
        ..Desired::default()
    };
    let service = Service::new(connect().await?, args.namespace, &args.service);
    if args.dry_run {
        service
            .preview(|observed| {
                desired.learn(observed);
                next(&desired, observed)
            })
            .await?;
        return Ok(Outcome::Done);
    }
    let mut observed = Observed::nothing_of(&service.namespace, &service.name);
    let ended = climb(&service, &mut desired, &mut observed, args.timeout, &results).await;
    let climb = results.result_error.write_error(ended)?;
    if let (Climb::Advanced(weight), Some(folder)) = (climb, &context.event_folder) {
        let (desired, observed) = (&desired, &observed);
        let event = AdvanceEvent { desired, observed, context: &context, run: &run, weight };
        results.result_error.write_error(event.write(folder))?;
    }
    results.end(climb, &desired.started_at())?;
    tracing::info!("{}: {climb}", service.full_name());
    Ok(Outcome::Done)
}

/// `observed` is what the last look found: the event is about it.
async fn climb(
    service: &Service,
    desired: &mut Desired,
    observed: &mut Observed,
    timeout: Duration,
    results: &Results,
) -> Result<Climb> {
    results.begin()?;
    let ended = service
        .reconcile(timeout + desired.room_timeout, |now| {
            desired.learn(now);
            observed.clone_from(now);
            results.write_what_is_known(desired)?;
            next(desired, now)
        })
        .await;
    if ended.is_err() && is_changed(desired, observed) {
        results.changed()?;
    }
    ended
}

#[cfg(test)]
mod scenarios;
