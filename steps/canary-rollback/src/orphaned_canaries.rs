//! Canaries that no run will end.

use std::time::Duration;

use anyhow::{Result, bail};
use inference_service::{Observed, Service, services};
use kube::Client;
use step::Failure;

/// A canary of ours that no run will end.
pub(crate) struct OrphanedCanary {
    pub(crate) service: Service,
    pub(crate) observed: Observed,
    /// Of the canary; the spec may have the old one again already
    pub(crate) image: String,
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
    // Of several that may end it, each may be on a node that is gone.
    let mut left = observed.clone();
    while let Some(run) = left.ending_run("").cloned() {
        let name = observed.full_name();
        if !service.is_lost(&run).await? {
            tracing::info!("{name}: run `{}` will end its canary", run.name());
            return Ok(None);
        }
        tracing::warn!("{name}: run `{}` waits for a pod on a lost node", run.name());
        left.unfinished_runs
            .iter_mut()
            .for_each(|runs| runs.retain(|other| other.uid() != run.uid()));
    }
    Ok(Some(OrphanedCanary { service, observed, image }))
}
