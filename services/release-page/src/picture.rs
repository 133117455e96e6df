//! All that is known, put together anew when a part of it has changed.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use crate::{cluster::Cluster, known::Known};

/// Changes come in bursts, and nobody reads faster.
const AT_MOST_EVERY: Duration = Duration::from_millis(250);

/// The parts
pub(crate) struct Parts {
    pub(crate) cluster: Cluster,
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
        let Self { cluster } = self;
        let (api_server, missing, is_listed) = cluster.health.with(|health| {
            let missing: Vec<_> = health.missing_sentences().map(str::to_owned).collect();
            (health.source(), missing, health.is_settled("taskruns"))
        });
        let (services, releases) = cluster.runs.with(|runs| {
            runs.settle(is_listed);
            let of = |namespace: &str, name: &str| runs.releases_of(namespace, name);
            (cluster.services.with(|services| services.shown(of)), runs.releases())
        });
        Known { services, releases, api_server, missing, ..Known::default() }
    }
}
