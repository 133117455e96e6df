//! What is shown, from its sources.

use std::sync::Arc;

use anyhow::Result;
use bento_retrieve::bento::Details;
use futures::future::BoxFuture;
use release_record::key::{KeptFile, RunKey};
use tokio::sync::watch;

use crate::{counts::Counts, interest::Interest, known::Known, sources::Sources, store::Reader};

/// What is shown
#[derive(Clone)]
pub struct Shown {
    pub known: watch::Receiver<Arc<Known>>,
    /// None without a store
    pub store: Option<Arc<dyn Archive>>,
    pub interest: Interest,
    pub counts: Arc<Counts>,
}

impl From<Sources> for Shown {
    fn from(Sources { known, store, interest, counts }: Sources) -> Self {
        let store = store.map(|reader| Arc::new(reader) as Arc<dyn Archive>);
        Self { known, store, interest, counts }
    }
}

/// What is read from the store when somebody asks for it. None is what is not there, or not any more.
pub trait Archive: Send + Sync {
    fn details<'a>(
        &'a self,
        name: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Details>>>>;
    fn evidence<'a>(
        &'a self,
        run: &'a RunKey,
        file: KeptFile,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
}

impl Archive for Reader {
    fn details<'a>(
        &'a self,
        name: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Details>>>> {
        Box::pin(self.details(name, version))
    }

    fn evidence<'a>(
        &'a self,
        run: &'a RunKey,
        file: KeptFile,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(self.evidence(run, file))
    }
}
