//! The runs whose `PipelineRuns` may be gone: listed each minute, and read when they are new.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Result, anyhow};
use bento_retrieve::source::SourceError;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use release_record::{
    kept::Kept,
    key::{KeptFile, RunKey},
};
use step::{chain, text::short};
use tokio::time::{sleep, timeout};

use super::{
    health::{Health, Part},
    place::{AWAY_EVERY, EVERY, LONGEST, Place, ROUND},
};
use crate::{cluster::Scope, runs::Runs, shared::Shared};

/// Records that are read at once, of a few kB each
const AT_ONCE: usize = 4;

/// What is kept of releases
#[derive(Debug, Default)]
pub(crate) struct KeptRuns {
    reports: Arc<BTreeSet<(String, String)>>,
}

impl KeptRuns {
    /// Namespace and name of each run whose gate's report is kept
    pub(crate) fn reports(&self) -> Arc<BTreeSet<(String, String)>> {
        Arc::clone(&self.reports)
    }
}

pub(super) struct Reading {
    pub(super) place: Arc<Place>,
    /// Others may keep their runs in the same store.
    pub(super) scope: Scope,
    pub(super) runs: Shared<Runs>,
    pub(super) kept: Shared<KeptRuns>,
}

impl Reading {
    /// Reads each minute, until the runtime ends.
    pub(super) async fn read_again(self, health: Shared<Health>) {
        let mut round = 0;
        let mut broken = BTreeSet::new();
        let kept = self.place.kept().await;
        loop {
            round += 1;
            let late = |_| {
                Err(anyhow!("failed to read what is kept of releases within {} s", ROUND.as_secs()))
            };
            let read = timeout(ROUND, self.read(kept, round, &mut broken)).await;
            let wait = match read.unwrap_or_else(late) {
                Ok(()) => {
                    health.change(|health| health.current(Part::Releases));
                    EVERY
                }
                Err(error) => {
                    let error = short(&chain(error.as_ref()), LONGEST);
                    health.change(|health| health.away(Part::Releases, &error, Timestamp::now()));
                    AWAY_EVERY
                }
            };
            sleep(wait).await;
        }
    }

    /// `broken` are those that were read before, and are no records: they are not read again.
    async fn read(&self, kept: &Kept, round: u32, broken: &mut BTreeSet<RunKey>) -> Result<()> {
        self.place.counts.store_request();
        let mut found = kept.runs().await?;
        found.retain(|key, _| self.scope.has(&key.namespace));
        broken.retain(|key| found.contains_key(key));
        let with = |file: KeptFile| found.iter().filter(move |(_, run)| run.files.contains(&file));
        let reports =
            with(KeptFile::Report).map(|(key, _)| (key.namespace.clone(), key.run.clone()));
        let reports: BTreeSet<_> = reports.collect();
        self.kept.change(|kept| {
            let is_new = *kept.reports != reports;
            if is_new {
                kept.reports = Arc::new(reports);
            }
            is_new
        });
        let new: Vec<RunKey> = self.runs.with(|runs| {
            let is_new = |key: &&RunKey| !runs.mark_kept(&key.namespace, &key.run, round);
            with(KeptFile::Run).map(|(key, _)| key).filter(is_new).cloned().collect()
        });
        drop(found);
        let new = new.into_iter().filter(|key| !broken.contains(key)).collect::<Vec<_>>();
        let read = async |key: RunKey| (kept.record(&key).await, key);
        let mut records = std::pin::pin!(stream::iter(new).map(read).buffer_unordered(AT_ONCE));
        while let Some((record, key)) = records.next().await {
            self.place.counts.store_request();
            match record {
                Ok(Some(record)) if RunKey::of(&record).folder() == key.folder() => {
                    self.runs.change(|runs| runs.put_kept(record, round));
                }
                Ok(None) => {} // its time was over
                Ok(Some(_)) => {
                    broken.insert(key);
                }
                Err(error) if error.is::<SourceError>() => return Err(error),
                Err(error) => {
                    tracing::warn!("{}", short(&chain(error.as_ref()), LONGEST));
                    broken.insert(key);
                }
            }
        }
        self.runs.change(|runs| runs.end_round(round));
        Ok(())
    }
}
