//! What all requests share, and what holds for one.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::server::{settings::Settings, shown::Shown};

/// What all requests share
pub(super) struct Front {
    pub(super) shown: Shown,
    pub(super) settings: Settings,
    pub(super) streams: Arc<Semaphore>,
    pub(super) files: Arc<Semaphore>,
    /// True when streams have to end
    pub(super) stopping: watch::Receiver<bool>,
}

/// What holds for one request
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) base: String,
    pub(super) is_signed_in: bool,
    pub(super) is_https: bool,
}
