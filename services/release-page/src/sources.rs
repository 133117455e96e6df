//! Starts all that reads, and gives what is known, again at each change.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use kube::Client;
use step::{Failure, api_server, chain};
use tokio::sync::{Notify, watch};

use crate::{
    cluster::{Cluster, Scope},
    counts::Counts,
    gates::{Gates, Looking, Prometheus},
    interest::Interest,
    known::Known,
    options::Options,
    picture::{self, Parts},
    runs::Runs,
    shared::Shared,
    store::{Places, Reader},
};

/// A watch brings at least a bookmark a minute; one that brings nothing for longer is cut.
const SILENT_FOR: Duration = Duration::from_secs(100);

/// All that pages, terminals and metrics need.
#[derive(Clone)]
pub struct Sources {
    /// A new picture at each change, but not more than some four a second
    pub known: watch::Receiver<Arc<Known>>,
    /// None without a store
    pub store: Option<Reader>,
    pub interest: Interest,
    pub counts: Arc<Counts>,
}

/// Begins to read, and returns at once: what is known grows from nothing. Errors are of what was typed, or
/// of a cluster that is not named anywhere; they have their hint. It reads on until the runtime ends.
pub async fn start(options: Options) -> Result<Sources> {
    start_with(connect().await?, options).await
}

/// The same with a client of the cluster.
pub async fn start_with(client: Client, options: Options) -> Result<Sources> {
    // Prometheus may speak TLS. A second start in one process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Options { namespaces, all_namespaces, store, releases, .. } = options;
    let Options { prometheus_url, prometheus_at, prometheus_credentials, access, .. } = options;
    let places = Places::new(store.as_deref(), releases.as_deref())?;
    let scope = match namespaces {
        _ if all_namespaces => Scope::All,
        namespaces if namespaces.is_empty() => {
            Scope::Namespaces(vec![client.default_namespace().to_owned()])
        }
        namespaces => {
            let each: BTreeSet<_> = namespaces.into_iter().collect();
            Scope::Namespaces(each.into_iter().collect())
        }
    };
    let (counts, interest, changed) = <(Arc<Counts>, Interest, Arc<Notify>)>::default();
    let runs = Shared::new(Runs::default(), &changed);
    let cluster = Cluster::start(client, &scope, runs.clone(), &counts, &changed);
    let store = places.start(&access, scope, runs.clone(), &counts, &changed).await?;
    let gates = Shared::new(Gates::default(), &changed);
    let looking = Looking {
        client: cluster.client.clone(),
        interest: interest.clone(),
        runs,
        gates: gates.clone(),
        whom: Prometheus {
            url: prometheus_url,
            at: prometheus_at,
            credentials: prometheus_credentials,
        },
    };
    tokio::spawn(looking.look_again());
    let (store, reader) = store.unzip();
    let (sender, known) = watch::channel(Arc::default());
    changed.notify_one();
    tokio::spawn(picture::publish(Parts { cluster, store, gates }, changed, sender));
    Ok(Sources { known, store: reader, interest, counts })
}

async fn connect() -> Result<Client> {
    let hint = "in a pod, set a serviceAccount; at a terminal, let KUBECONFIG name a file that `kubectl` can use";
    let failure =
        || Failure { what: "failed to find a Kubernetes cluster".into(), hint: hint.into() };
    let client = api_server::client(SILENT_FOR).await;
    client.map_err(|error| anyhow!(chain(error.as_ref()))).with_context(failure)
}
