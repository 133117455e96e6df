//! A place in a store, connected to when it is first asked: at AWS that takes a request.

use std::{sync::Arc, time::Duration};

use bento_retrieve::{
    download::RetryPolicy,
    source::{Access, Location, Store},
};
use release_record::kept::Kept;
use tokio::sync::OnceCell;

use crate::counts::Counts;

/// Longest time without a byte
pub(super) const IDLE: Duration = Duration::from_secs(10);
/// Longest time that one reading of all that is there takes
pub(super) const ROUND: Duration = Duration::from_mins(10);
/// Between two readings
pub(super) const EVERY: Duration = Duration::from_mins(1);
/// The same while the store does not answer
pub(super) const AWAY_EVERY: Duration = Duration::from_secs(10);
/// Characters of an error that are shown
pub(super) const LONGEST: usize = 300;

/// Of what is read again anyway
pub(super) const RETRIES: RetryPolicy = RetryPolicy { idle: IDLE, retries: 2 };

pub(super) struct Place {
    location: Location,
    access: Access,
    store: OnceCell<Store>,
    kept: OnceCell<Kept>,
    pub(super) counts: Arc<Counts>,
}

impl Place {
    pub(super) fn new(location: Location, access: Access, counts: Arc<Counts>) -> Self {
        Self { location, access, store: OnceCell::new(), kept: OnceCell::new(), counts }
    }

    pub(super) async fn store(&self) -> &Store {
        self.store.get_or_init(|| Store::new(self.location.clone(), &self.access)).await
    }

    pub(super) async fn kept(&self) -> &Kept {
        let connect = || Kept::new(self.location.clone(), &self.access, RETRIES);
        self.kept.get_or_init(connect).await
    }
}
