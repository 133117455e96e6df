//! All that is known, put together anew when a part of it has changed.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use crate::{
    cluster::Cluster,
    gates::Gates,
    known::{Known, Source},
    shared::Shared,
    store::Store,
};

/// Changes come in bursts, and nobody reads faster.
const AT_MOST_EVERY: Duration = Duration::from_millis(250);

/// The parts
pub(crate) struct Parts {
    pub(crate) cluster: Cluster,
    pub(crate) store: Option<Store>,
    pub(crate) gates: Shared<Gates>,
}

/// Gives a new picture at each change, until nobody looks any more.
pub(crate) async fn publish(parts: Parts, changed: Arc<Notify>, known: watch::Sender<Arc<Known>>) {
    while !known.is_closed() {
        changed.notified().await;
        known.send_replace(Arc::new(parts.put_together()));
        sleep(AT_MOST_EVERY).await;
    }
}

impl Parts {
    fn put_together(&self) -> Known {
        let Self { cluster, store, gates } = self;
        let gates = gates.with(|gates| gates.clone());
        let (api_server, mut missing, is_listed) = cluster.health.with(|health| {
            let missing: Vec<_> = health.missing_sentences().map(str::to_owned).collect();
            let is_settled = |resource: &&str| health.is_settled(resource);
            let of_releases = ["taskruns", "inferenceservices", "leases"];
            (health.source(), missing, of_releases.iter().all(is_settled))
        });
        let (services, releases) = cluster.runs.with(|runs| {
            cluster.services.with(|services| {
                runs.settle(is_listed, |namespace, name| services.canary_out(namespace, name));
                let of = |namespace: &str, name: &str| runs.releases_of(namespace, name);
                (services.shown(of), runs.releases())
            })
        });
        let known = Known {
            gates,
            services,
            releases,
            api_server,
            store: Source::Absent,
            ..Known::default()
        };
        let Some(Store { shelf, kept, health }) = store else { return Known { missing, ..known } };
        let store = health.with(|health| {
            missing.extend(health.missing_sentences().map(str::to_owned));
            health.source()
        });
        let bentos = shelf.with(|shelf| shelf.bentos());
        let reports = kept.with(|kept| kept.reports());
        Known { bentos: bentos.to_vec(), reports, store, missing, ..known }
    }
}
