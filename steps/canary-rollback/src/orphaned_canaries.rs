//! Which canaries nobody will end any more.

use std::time::Duration;

use anyhow::{Result, bail};
use inference_service::{Seen, Service, services};
use kube::Client;
use step::Failure;

/// A canary of ours that no run will end.
pub(crate) struct Orphan {
    pub(crate) service: Service,
    pub(crate) seen: Seen,
    /// Of the canary; the spec may ask for the old one again already
    pub(crate) image: String,
}

/// The canaries of a namespace that no run will end, seen twice: a run may just be on its way from
/// the one that makes a canary to the one that decides about it.
pub(crate) async fn orphans(
    client: &Client,
    namespace: Option<&str>,
    grace: Duration,
) -> Result<Vec<Orphan>> {
    let mut orphans = Vec::new();
    let namespace = namespace.map_or_else(|| client.default_namespace().to_owned(), str::to_owned);
    for name in services(client, &namespace).await? {
        let service = Service::new(client.clone(), Some(namespace.clone()), &name);
        orphans.extend(orphan(service).await?);
    }
    if orphans.is_empty() {
        return Ok(orphans);
    }
    tokio::time::sleep(grace).await;
    let mut still = Vec::new();
    for Orphan { service, image, .. } in orphans {
        let again = orphan(service).await?;
        still.extend(again.filter(|again| again.image == image));
    }
    Ok(still)
}

async fn orphan(service: Service) -> Result<Option<Orphan>> {
    let seen = service.with_runs().seen().await?;
    let Some(image) = seen.unfinished_canary().map(str::to_owned) else { return Ok(None) };
    if !seen.knows_runs {
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
    // Of several that were told of it, each may be on a node that is gone.
    let mut left = seen.clone();
    while let Some(run) = left.ending_run("").cloned() {
        if !service.is_lost(&run).await? {
            tracing::info!("{}: run `{}` will end its canary", seen.full_name(), run.name);
            return Ok(None);
        }
        tracing::warn!("{}: run `{}` waits for a pod on a lost node", seen.full_name(), run.name);
        left.unfinished.retain(|other| other.uid != run.uid);
    }
    Ok(Some(Orphan { service, seen, image }))
}
