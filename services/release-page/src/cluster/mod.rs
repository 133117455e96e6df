//! The cluster: its services, who holds their canaries, what people decided, and the runs of their releases. All
//! of it comes by watches.
//!
//! - `health`: whether what is known is all that there is
//! - `requests`: a client that counts what it asks
//! - `seen`: what is kept of the objects of a service
//! - `service`: who gets which part of a service's requests, and which release is under way
//! - `services`: what the watches have brought of services
//! - `kinds`: what becomes of the objects of each kind
//! - `watching`: one watch, through cuts and absences

mod health;
mod kinds;
mod requests;
mod seen;
mod service;
mod services;
mod watching;

use std::sync::Arc;

use inference_service::{STOP_SWITCH, inference_services, revisions};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource,
    core::{ApiResource, DynamicResourceScope},
};
use release_record::tekton::{OF_RELEASES, pipeline_runs, task_runs};
use tokio::sync::Notify;

pub(crate) use self::{health::Health, services::Services};
use self::{
    kinds::{InferenceServices, Leases, PipelineRuns, Revisions, StopSwitches, TaskRuns},
    watching::{Reporter, Selected, watch},
};
use crate::{counts::Counts, runs::Runs, shared::Shared};

/// Label of what the steps write beside a service: its mark, and what people decide
const OURS: &str = "app.kubernetes.io/managed-by=kanaria";

/// What is known of the cluster
#[derive(Clone)]
pub(crate) struct Cluster {
    /// Counts what it asks
    pub(crate) client: Client,
    pub(crate) services: Shared<Services>,
    pub(crate) runs: Shared<Runs>,
    pub(crate) health: Shared<Health>,
}

/// Which namespaces are watched
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Namespaces(Vec<String>),
}

impl Scope {
    pub(crate) fn has(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(names) => names.iter().any(|name| name == namespace),
        }
    }

    /// A watch each: of all namespaces, or of one
    fn watches(&self) -> Vec<Option<String>> {
        match self {
            Self::All => vec![None],
            Self::Namespaces(names) => names.iter().cloned().map(Some).collect(),
        }
    }
}

impl Cluster {
    /// Begins to watch, and goes on until the runtime ends.
    pub(crate) fn start(
        client: Client,
        scope: &Scope,
        runs: Shared<Runs>,
        counts: &Arc<Counts>,
        changed: &Arc<Notify>,
    ) -> Self {
        let health = Shared::new(Health::default(), changed);
        let client = requests::counted(client, Arc::clone(counts), health.clone());
        let services = Shared::new(Services::default(), changed);
        let cluster = Self { client, services, runs, health };
        for namespace in scope.watches() {
            cluster.watch(namespace.as_deref(), counts);
        }
        cluster
    }

    fn watch(&self, namespace: Option<&str>, counts: &Arc<Counts>) {
        let report = |resource: &'static str| {
            let watched = (resource, namespace.map(str::to_owned));
            self.health.with(|health| health.expect(&watched));
            Reporter { health: self.health.clone(), counts: Arc::clone(counts), watched }
        };
        let (all, ours) = (Selected::default(), Selected::by_labels(OURS));
        let stop_switch = Selected::by_fields(format!("metadata.name={STOP_SWITCH}"));
        let of_releases = Selected::by_labels(OF_RELEASES);
        let (client, services, runs) = (&self.client, &self.services, &self.runs);
        let nothing = || ();

        let api = dynamic(client, namespace, &inference_services());
        let kind = InferenceServices(services.clone());
        tokio::spawn(watch(api, all.clone(), kind, report("inferenceservices"), nothing));
        let (api, kind) = (builtin(client, namespace), Leases(services.clone()));
        tokio::spawn(watch(api, ours, kind, report("leases"), nothing));
        let (api, kind) = (builtin(client, namespace), StopSwitches(services.clone()));
        tokio::spawn(watch(api, stop_switch, kind, report("configmaps"), nothing));
        let (api, kind) = (dynamic(client, namespace, &revisions()), Revisions(services.clone()));
        tokio::spawn(watch(api, all, kind, report("revisions"), nothing));

        // A TaskRun that finds its PipelineRun is joined to it, and packed with it, at once.
        let listed = Arc::new(Notify::new());
        let tell = {
            let listed = Arc::clone(&listed);
            move || listed.notify_one()
        };
        let (api, kind) =
            (dynamic(client, namespace, &pipeline_runs()), PipelineRuns(runs.clone()));
        tokio::spawn(watch(api, of_releases.clone(), kind, report("pipelineruns"), tell));
        let (api, kind) = (dynamic(client, namespace, &task_runs()), TaskRuns(runs.clone()));
        let report = report("taskruns");
        tokio::spawn(async move {
            listed.notified().await;
            watch(api, of_releases, kind, report, nothing).await;
        });
    }
}

fn dynamic<K>(client: &Client, namespace: Option<&str>, resource: &ApiResource) -> Api<K>
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}

fn builtin<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
