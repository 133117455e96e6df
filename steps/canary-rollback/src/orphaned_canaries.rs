//! Canaries that no run will end.

use std::time::Duration;

use anyhow::{Result, bail};
use inference_service::{LostPod, Observed, Run, Service, services};
use kube::Client;
use step::Failure;

/// A canary of ours that no run will end.
pub(crate) struct OrphanedCanary {
    pub(crate) service: Service,
    pub(crate) observed: Observed,
    /// Of the canary; the spec may have the old one again already
    pub(crate) image: String,
    /// A run that would have ended it, and the pod that it waits for in vain
    pub(crate) lost: Option<(Run, LostPod)>,
}

/// The canaries of a namespace that no run will end, found twice: a run may just be on its way from
/// the one that makes a canary to the one that decides about it.
pub(crate) async fn orphaned_canaries(
    client: &Client,
    namespace: &str,
    grace: Duration,
) -> Result<Vec<OrphanedCanary>> {
    let mut orphans = Vec::new();
    for name in services(client, namespace).await? {
        let service = Service::new(client.clone(), Some(namespace.to_owned()), &name);
        orphans.extend(orphaned_canary(service).await?);
    }
    if orphans.is_empty() {
        return Ok(orphans);
    }
    tokio::time::sleep(grace).await;
    let mut still = Vec::new();
    for OrphanedCanary { service, image, .. } in orphans {
        let again = orphaned_canary(service).await?;
        still.extend(again.filter(|again| again.image == image));
    }
    Ok(still)
}

async fn orphaned_canary(service: Service) -> Result<Option<OrphanedCanary>> {
    let observed = service.with_runs().observe().await?;
    let Some(image) = observed.unfinished_canary().map(str::to_owned) else { return Ok(None) };
    if observed.unfinished_runs.is_none() {
        bail!(Failure {
            what: format!(
                "failed to list the runs of `{}`, so that no canary can be called lost",
                service.namespace
            ),
            hint:
                "give the serviceAccount list of pipelineruns and taskruns: see triggers/sweep.yaml"
                    .into(),
        });
    }
    // Of several that may end it, each may wait in vain.
    let mut left = observed.clone();
    let mut first_lost = None;
    while let Some(run) = left.ending_run("").cloned() {
        let name = observed.full_name();
        let Some(lost) = service.lost_pod(&run).await? else {
            tracing::info!("{name}: run `{}` will end its canary", run.name());
            return Ok(None);
        };
        tracing::warn!("{name}: run `{}` cannot go on: {}", run.name(), lost.why);
        left.unfinished_runs
            .iter_mut()
            .for_each(|runs| runs.retain(|other| other.uid() != run.uid()));
        first_lost = first_lost.or(Some((run, lost)));
    }
    Ok(Some(OrphanedCanary { service, observed, image, lost: first_lost }))
}
