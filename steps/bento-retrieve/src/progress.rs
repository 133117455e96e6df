//! How far the work is, for whoever shows it, and the switch that ends it.

use std::sync::atomic::{AtomicBool, AtomicU64};

/// Shared by the download, the unpacking thread and the terminal.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the archive that came
    pub fetched: AtomicU64,
    /// Entries read
    pub entries: AtomicU64,
    pub stop: AtomicBool,
}
