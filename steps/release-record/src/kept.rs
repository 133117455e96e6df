//! What a store has of releases, and reads and writes of it.
//!
//! Everything below the prefix that has another layout is somebody else's, and is passed over.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use anyhow::{Context as _, Result};
use bento_retrieve::{
    download::RetryPolicy,
    hints,
    source::{Access, Listed, Location, Object, SourceError, Store},
};
use bytes::Bytes;
use step::Failure;

use crate::{
    key::{KeptFile, RunKey},
    run::RunRecord,
};

/// Bytes of a file. A larger one is neither kept nor read.
pub const LARGEST: u64 = 16 << 20;
/// Keys that are asked for at once.
const PAGE: usize = 1_000;

/// A place in a store at which runs are kept. Errors have their hint.
#[derive(Clone, Debug)]
pub struct Kept {
    store: Store,
    retries: RetryPolicy,
}

/// What is there of a run
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptRun {
    pub files: BTreeSet<KeptFile>,
    /// When the last of them was written, by the store's clock
    pub newest: Option<SystemTime>,
}

impl Kept {
    pub async fn new(location: Location, access: &Access, retries: RetryPolicy) -> Self {
        Self { store: Store::new(location, access).await, retries }
    }

    pub fn location(&self) -> &Location {
        &self.store.location
    }

    /// All runs that are kept, by their keys alone.
    pub async fn runs(&self) -> Result<BTreeMap<RunKey, KeptRun>> {
        let root = self.store.location.key("");
        let mut runs = BTreeMap::<RunKey, KeptRun>::new();
        self.each_below(&root, |listed| {
            let below = listed.key.strip_prefix(&root).unwrap_or_default();
            let Some((key, name)) = RunKey::parse(below) else { return };
            let run = runs.entry(key).or_default();
            run.files.extend(KeptFile::ALL.into_iter().find(|file| file.name() == name));
            run.newest = run.newest.max(listed.modified);
        })
        .await
        .map_err(|error| {
            hints::source(error, format!("failed to list `{}`", self.store.location))
        })?;
        Ok(runs)
    }

    /// What is kept of a run itself; nothing where it is not there (any more).
    pub async fn record(&self, key: &RunKey) -> Result<Option<RunRecord>> {
        let Some(bytes) = self.read(key, KeptFile::Run).await? else { return Ok(None) };
        let object = self.object(key, KeptFile::Run.name());
        let record = RunRecord::from_json(&bytes).with_context(|| Failure {
            what: format!("failed to read `{object}`"),
            hint: "it is damaged, or of a later release of kanaria; delete it if nobody reads it"
                .into(),
        })?;
        Ok(Some(record))
    }

    /// What a gate left; nothing where it is not there (any more).
    pub async fn evidence(&self, key: &RunKey, file: KeptFile) -> Result<Option<Vec<u8>>> {
        self.read(key, file).await
    }

    async fn read(&self, key: &RunKey, file: KeptFile) -> Result<Option<Vec<u8>>> {
        let object = self.object(key, file.name());
        match self.retries.ask(|| object.read(LARGEST)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(SourceError::NoObject) => Ok(None),
            Err(error) => Err(hints::source(error, format!("failed to read `{object}`"))),
        }
    }

    /// Writes a file, or replaces it as a whole.
    pub async fn put(&self, key: &RunKey, file: KeptFile, bytes: Bytes) -> Result<()> {
        let object = self.object(key, file.name());
        let put =
            self.retries.ask(|| Box::pin(object.put(bytes.clone(), file.content_type()))).await;
        put.map_err(|error| hints::source(error, format!("failed to write `{object}`")))
    }

    /// Deletes all that is kept of a run. Killed on the way, it leaves files that are as old as they were.
    pub async fn delete(&self, key: &RunKey) -> Result<()> {
        let folder = self.store.location.key(&format!("{}/", key.folder()));
        let failed = |error| {
            hints::source(
                error,
                format!("failed to delete `s3://{}/{folder}`", self.store.location.bucket),
            )
        };
        let mut keys = Vec::new();
        self.each_below(&folder, |listed| keys.push(listed.key)).await.map_err(failed)?;
        for key in keys {
            let object = self.store.object(key);
            self.retries.ask(|| object.delete()).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn each_below(
        &self,
        prefix: &str,
        mut each: impl FnMut(Listed),
    ) -> Result<(), SourceError> {
        let mut after = None;
        loop {
            let page = self.retries.ask(|| self.store.page(prefix, after.clone(), PAGE)).await?;
            page.objects.into_iter().for_each(&mut each);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn object(&self, key: &RunKey, name: &str) -> Object {
        self.store.object(self.store.location.key(&format!("{}/{name}", key.folder())))
    }
}
