//! The bentos of the store, and what is kept beside them of releases.
//!
//! - `place`: a place in a store, connected to when it is first asked
//! - `health`: whether what is known of the store is all that there is
//! - `bentos`: which bentos there are, and what they say of themselves
//! - `kept_runs`: the runs whose `PipelineRuns` may be gone
//! - `reader`: what a page asks for by itself: a manifest, a gate's report

mod bentos;
mod health;
mod kept_runs;
mod place;
mod reader;

use std::sync::Arc;

use anyhow::Result;
use bento_retrieve::{
    request::{AccessArgs, RetryArgs, access, location},
    source::Location,
};
use tokio::sync::Notify;

use self::place::Place;
pub use self::reader::Reader;
pub(crate) use self::{bentos::Shelf, health::Health, kept_runs::KeptRuns};
use crate::{cluster::Scope, counts::Counts, runs::Runs, shared::Shared};

/// Below the store of the bentos, where release-record keeps runs unless it is told otherwise
const RELEASES: &str = "releases";

/// What is known of the store
pub(crate) struct Store {
    pub(crate) shelf: Shared<Shelf>,
    pub(crate) kept: Shared<KeptRuns>,
    pub(crate) health: Shared<Health>,
}

/// Where bentos are, and what is kept of releases; either may be left out
pub(crate) struct Places {
    bentos: Option<Location>,
    releases: Option<Location>,
}

impl Places {
    /// From what was typed.
    pub(crate) fn new(store: Option<&str>, releases: Option<&str>) -> Result<Self> {
        let bentos = store.map(|store| location("store", store)).transpose()?;
        let beside = bentos
            .as_ref()
            .map(|bentos| Location { bucket: bentos.bucket.clone(), prefix: bentos.key(RELEASES) });
        let typed = releases.map(|releases| location("releases", releases)).transpose()?;
        Ok(Self { bentos, releases: typed.or(beside) })
    }

    /// Begins to read again and again what is there, until the runtime ends. None for no place.
    pub(crate) async fn start(
        self,
        args: &AccessArgs,
        scope: Scope,
        runs: Shared<Runs>,
        counts: &Arc<Counts>,
        changed: &Arc<Notify>,
    ) -> Result<Option<(Store, Reader)>> {
        let Self { bentos, releases } = self;
        if bentos.is_none() && releases.is_none() {
            return Ok(None);
        }
        let retries = RetryArgs { timeout: place::ROUND, idle_timeout: place::IDLE, retries: 2 };
        let access = access(args, retries).await?;
        let place = |location| Arc::new(Place::new(location, access.clone(), Arc::clone(counts)));
        let (bentos, releases) = (bentos.map(place), releases.map(place));
        let store = Store {
            shelf: Shared::new(Shelf::default(), changed),
            kept: Shared::new(KeptRuns::default(), changed),
            health: Shared::new(Health::new(bentos.is_some(), releases.is_some()), changed),
        };
        if let Some(place) = bentos.clone() {
            tokio::spawn(bentos::read_again(place, store.shelf.clone(), store.health.clone()));
        }
        if let Some(place) = releases.clone() {
            let kept = kept_runs::Reading { place, scope, runs, kept: store.kept.clone() };
            tokio::spawn(kept.read_again(store.health.clone()));
        }
        let reader = Reader::new(bentos, releases, store.shelf.clone());
        Ok(Some((store, reader)))
    }
}
