//! All that is known just now, in the form in which it is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use release_record::release::Release;

/// A picture of the store and of the cluster; a new one is made at each change
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By namespace and name
    pub services: Vec<Arc<Service>>,
    /// Newest first
    pub releases: Vec<Arc<Release>>,
    /// Newest first
    pub bentos: Vec<Arc<Bento>>,
    /// Of gates that are watched, by the namespace and the name of their run
    pub gates: BTreeMap<(String, String), Arc<Gate>>,
    /// Runs whose gate's report is kept in the store, by namespace and name
    pub reports: Arc<BTreeSet<(String, String)>>,
    pub api_server: Source,
    pub store: Source,
    /// What is not shown although its source answers, and why, each a sentence for people: a resource that
    /// may not be read, a store with more than is looked at
    pub missing: Vec<String>,
}

impl Known {
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Arc<Service>> {
        let key = (namespace, name);
        let of =
            |service: &Arc<Service>| (service.namespace.as_str(), service.name.as_str()).cmp(&key);
        self.services.binary_search_by(of).ok().map(|at| &self.services[at])
    }

    /// The releases of a service, newest first
    pub fn releases_of<'a>(
        &'a self,
        namespace: &'a str,
        service: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Release>> {
        self.releases
            .iter()
            .filter(move |release| release.namespace == namespace && release.service == service)
    }

    pub fn gate(&self, namespace: &str, run: &str) -> Option<&Arc<Gate>> {
        self.gates.get(&(namespace.to_owned(), run.to_owned()))
    }

    pub fn bento(&self, name: &str, version: &str) -> Option<&Arc<Bento>> {
        self.bentos.iter().find(|bento| bento.name == name && bento.version == version)
    }
}

/// Whether what is known of a source is all that there is
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nothing was read yet
    #[default]
    Loading,
    Current,
    /// It cannot be read; what was read before is shown
    Away {
        since: Timestamp,
        error: String,
    },
    /// It was not given
    Absent,
}

/// An InferenceService
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    pub url: String,
    pub is_ready: bool,
    /// Why it is not ready, for people
    pub message: String,
    /// Who gets which part of the requests; parts of 0 % only where they have a tag
    pub split: Vec<Share>,
    /// The release that is under way
    pub canary: Option<Canary>,
    /// What people decided about it: the decision, and who and why
    pub decisions: Vec<(String, String)>,
    /// That all releases of the namespace are stopped: by whom and why
    pub stopped: Option<String>,
}

/// A revision's part of the requests
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub revision: String,
    /// Empty where no release is known that made it
    pub version: String,
    pub percent: u8,
    pub is_canary: bool,
}

/// A release that is under way
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Canary {
    pub version: String,
    pub revision: String,
    pub percent: u8,
    /// When it got its first requests
    pub since: Option<Timestamp>,
    /// The run that holds it
    pub run: String,
}

/// A bento in the store
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bento {
    pub name: String,
    pub version: String,
    /// As the manifest writes it, or when the archive was saved
    pub created: String,
    pub bytes: u64,
    pub framework: String,
    pub labels: BTreeMap<String, String>,
    /// `s3://BUCKET/KEY`
    pub url: String,
    /// Why its manifest could not be read
    pub error: Option<String>,
}

/// What a gate that has not ended knows
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// As in `verdict.json`
    pub summary: serde_json::Value,
    /// Charts and tables of its criteria: markup of the gate's own, every text escaped
    pub cards: String,
    pub looked_at: Timestamp,
    /// Why it could not be looked at
    pub error: Option<String>,
}
