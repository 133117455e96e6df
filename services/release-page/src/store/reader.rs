//! What a page asks for by itself: a manifest, a gate's report. Read when it is asked for.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use bento_retrieve::{
    bento::{Details, PeekError, Tag, peek, store_layout::conventional},
    download::RetryPolicy,
    hints,
    source::{Source, SourceError},
};
use release_record::key::{KeptFile, RunKey};
use step::Failure;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{bentos::Shelf, place::Place};
use crate::shared::Shared;

/// A person waits for it.
const WITHIN: Duration = Duration::from_secs(5);
const RETRIES: RetryPolicy = RetryPolicy { idle: Duration::from_secs(4), retries: 1 };
/// Manifests that are not read again for a while
const REMEMBERED: usize = 8;
const REMEMBERED_FOR: Duration = Duration::from_mins(1);
/// A peek takes some 16 MiB, and a pod has little: others wait for their turn, as long as any answer.
const AT_ONCE: usize = 2;
/// Bytes of a manifest; a longer one is read each time, so that memory stays small.
const LARGEST_REMEMBERED: usize = 64 << 10;

/// Reads single objects, each within a few seconds; a clone is the same. Errors have their hint.
#[derive(Clone)]
pub struct Reader {
    bentos: Option<Arc<Place>>,
    releases: Option<Arc<Place>>,
    shelf: Shared<Shelf>,
    /// Newest last
    remembered: Arc<Mutex<VecDeque<Remembered>>>,
    turns: Arc<Semaphore>,
}

struct Remembered {
    key: String,
    read_at: Instant,
    details: Arc<Details>,
}

impl Reader {
    pub(super) fn new(
        bentos: Option<Arc<Place>>,
        releases: Option<Arc<Place>>,
        shelf: Shared<Shelf>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { bentos, releases, shelf, remembered: Arc::default(), turns }
    }

    /// What the manifest says; nothing where the store has no such version (any more).
    pub async fn details(&self, name: &str, version: &str) -> Result<Option<Arc<Details>>> {
        let Some(place) = &self.bentos else { return Ok(None) };
        let (Ok(tag), listed) =
            (Tag::new(name, version), self.shelf.with(|shelf| shelf.key(name, version)))
        else {
            return Ok(None);
        };
        let read = async {
            let _turn = self.turns.acquire().await?;
            let store = place.store().await;
            // One that was saved within the last minute is not listed yet.
            let object = listed.map_or_else(|| conventional(store, &tag), |key| store.object(key));
            if let Some(details) = self.remembered(&object.key) {
                return Ok(Some(details));
            }
            place.counts.store_request();
            let source = Source::Object(object.clone());
            let what = || format!("failed to read the manifest of `{source}`");
            let files = match peek(&source, RETRIES).await {
                Err(PeekError::Source(SourceError::NoObject)) => return Ok(None),
                files => files.map_err(|error| hints::peek(error, what()))?,
            };
            let details =
                Arc::new(Details::read(&files).map_err(|error| hints::bento(error, what()))?);
            if files.manifest.len() <= LARGEST_REMEMBERED {
                self.remember(object.key, &details);
            }
            Ok(Some(details))
        };
        in_time(Box::pin(read)).await
    }

    /// What the gate of a run left; nothing where that is not kept.
    pub async fn evidence(&self, run: &RunKey, file: KeptFile) -> Result<Option<Vec<u8>>> {
        let Some(place) = &self.releases else { return Ok(None) };
        place.counts.store_request();
        in_time(Box::pin(async { place.kept().await.evidence(run, file).await })).await
    }

    fn remembered(&self, key: &str) -> Option<Arc<Details>> {
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|found| found.read_at.elapsed() < REMEMBERED_FOR);
        all.iter().find(|found| found.key == key).map(|found| Arc::clone(&found.details))
    }

    fn remember(&self, key: String, details: &Arc<Details>) {
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back(Remembered { key, read_at: Instant::now(), details: Arc::clone(details) });
    }
}

async fn in_time<T>(read: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(WITHIN, read).await.unwrap_or_else(|_| {
        let failure = Failure {
            what: format!("the store has not answered within {} s", WITHIN.as_secs()),
            hint: "try again; the page shows whether the store answers at all".into(),
        };
        Err(failure.into())
    })
}
