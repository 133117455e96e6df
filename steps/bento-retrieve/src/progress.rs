//! How far the work is, for whoever shows it, and the switch that ends it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// Shared by the download, the unpacking thread and the terminal.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the archive that came
    pub fetched: AtomicU64,
    /// Entries read
    pub entries: AtomicU64,
    stop: AtomicBool,
    stopping: Notify,
}

impl Progress {
    /// Ends the work, as soon as whoever does it looks here.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.stopping.notify_waiters();
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Resolves when the work is to end, for a sink that waits for something else meanwhile.
    pub async fn stopped(&self) {
        let stopping = self.stopping.notified(); // from here on no call is missed
        if !self.is_stopped() {
            stopping.await;
        }
    }
}
