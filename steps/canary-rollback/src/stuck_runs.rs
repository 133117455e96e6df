//! Runs that cannot go on and have nothing left to do.

use anyhow::{Context as _, Result};
use inference_service::{PIPELINE_RUN, Run, Service, cancel, runs};
use kube::Client;
use step::Failure;

use crate::{rollback_cause::cannot_go_on, unreported_runs::PIPELINES};

/// Cancels each run that waits in vain for a pod and whose canary is taken back: until its timeout, which is
/// days, it would look as if its release went on, and Tekton would then send a second event of its end.
///
/// Plainly and not gracefully: its `finally` would only find that there is nothing to do, and tell that as the
/// release's end. What cannot be cancelled is a warning, as the canary and its event matter more; the next sweep
/// tries it again.
pub(crate) async fn cancel_stuck_runs(client: &Client, namespace: &str) -> Result<()> {
    let may_be_stuck = |run: &Run| run.is_unfinished() && !run.is_cancelled();
    let found = runs(client, namespace, PIPELINE_RUN, PIPELINES, may_be_stuck).await;
    let found = found.with_context(|| Failure {
        what: format!("failed to look for runs of `{namespace}` that cannot go on"),
        hint: "the next sweep tries again".into(),
    })?;
    for run in found {
        if let Err(error) = cancel_if_stuck(client, namespace, &run).await {
            let name = run.name();
            tracing::warn!("run `{namespace}/{name}` may go on until its timeout: {error:#}");
        }
    }
    Ok(())
}

async fn cancel_if_stuck(client: &Client, namespace: &str, run: &Run) -> Result<()> {
    let service = Service::new(client.clone(), Some(namespace.to_owned()), run.param("service"));
    let Some(lost) = service.lost_pod(run).await? else { return Ok(()) };
    if !service.observe().await?.has_taken_back_from(run) {
        return Ok(());
    }
    let why = cannot_go_on(run, &lost).message;
    tracing::warn!("{}: {why}; cancelling it, as its canary is taken back", service.full_name());
    cancel(client, namespace, run, &why).await.context("failed to cancel it")
}
