//! All rollbacks, cancellations and events that are due in a namespace.

use anyhow::{Context as _, Result};
use futures::future::join_all;
use inference_service::connect;
use step::{Failure, Outcome};

use crate::{
    args::Args,
    desired::Desired,
    orphaned_canaries::{OrphanedCanary, orphaned_canaries},
    outcome_event::OutcomeEvent,
    results::Results,
    rollback::take_back,
    rollback_cause::RollbackCause,
    stuck_runs::cancel_stuck_runs,
    unreported_runs::{UnreportedRun, unreported_runs},
};

/// Takes back what no run will end, all at the same time: one that cannot be taken back must not hold
/// up the others, and the next sweep tries it again. Then cancels the runs that cannot go on, and writes the events
/// of runs that ended without theirs.
pub(crate) async fn sweep(args: Args) -> Result<Outcome> {
    let Args { namespace, timeout, grace, event, run, .. } = args;
    let client = connect().await?;
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let found = orphaned_canaries(&client, &namespace, grace).await?;
    tracing::info!("{} canaries are left behind", found.len());
    let (event, run) = (&event, &run);
    let rollbacks =
        found.into_iter().map(async |OrphanedCanary { service, mut observed, image, lost }| {
            let name = observed.full_name();
            let lost = lost.as_ref();
            let cause = RollbackCause::of_canary(&service, &observed, &image, lost).await;
            tracing::warn!("{name}: {}; taking its canary back", cause.message);
            let mut desired = Desired { canary_image: Some(image), ..Desired::default() };
            let results = Results::default();
            let ended = take_back(&service, &mut desired, &mut observed, timeout, &results).await;
            match &ended {
                Ok(ended) => tracing::info!("{name}: {ended}"),
                Err(error) => tracing::error!("{error:#}; the next sweep tries again"),
            }
            let Some(folder) = &event.event_folder else {
                return ended.map(drop); // nobody else would say that it failed
            };
            let source = format!("/tekton/{}/cronjobs/canary-sweep", service.namespace);
            let (context, run) = (event.clone(), run.clone());
            OutcomeEvent { desired, observed, cause, context, run, source }.write(
                folder,
                &service.name,
                &ended,
            )
        });
    let taken_back = join_all(rollbacks).await.into_iter().collect::<Result<()>>();
    let cancelled = cancel_stuck_runs(&client, &namespace).await;
    taken_back?;
    if let Err(error) = cancelled {
        tracing::warn!("{error:#}");
    }
    let Some(folder) = &event.event_folder else { return Ok(Outcome::Done) };
    let unreported = unreported_runs(&client, &namespace).await.with_context(|| Failure {
        what: format!("failed to look for runs of `{namespace}` that ended without an event"),
        hint: "the next sweep tries again".into(),
    })?;
    for UnreportedRun { event, outcome } in unreported {
        let (name, run) = (event.observed.full_name(), event.run.name());
        tracing::warn!("{name}: run `{run}` ended without an event: {}", event.cause.message);
        event.write(folder, run, &Ok(outcome))?;
    }
    Ok(Outcome::Done)
}
