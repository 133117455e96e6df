//! What this server itself has asked and seen.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Since the server began
#[derive(Debug, Default)]
pub struct Counts {
    /// Changes of objects that watches have brought
    watch_events: AtomicU64,
    store_requests: AtomicU64,
    /// By verb and resource, as rights name them: `list`, `watch`, `get`; `taskruns` …
    api_requests: Mutex<BTreeMap<(&'static str, String), u64>>,
}

impl Counts {
    pub fn watch_event(&self) {
        self.watch_events.fetch_add(1, Ordering::Relaxed);
    }

    pub fn store_request(&self) {
        self.store_requests.fetch_add(1, Ordering::Relaxed);
    }

    pub fn api_request(&self, verb: &'static str, resource: &str) {
        let mut requests = self.api_requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((verb, resource.to_owned())).or_default() += 1;
    }

    pub fn watch_events(&self) -> u64 {
        self.watch_events.load(Ordering::Relaxed)
    }

    pub fn store_requests(&self) -> u64 {
        self.store_requests.load(Ordering::Relaxed)
    }

    /// By verb and resource
    pub fn api_requests(&self) -> BTreeMap<(&'static str, String), u64> {
        self.api_requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
