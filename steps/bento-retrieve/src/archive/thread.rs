//! The thread that unpacks while the network's task fetches.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use tokio::task::JoinHandle;

use crate::{
    archive::limits::{Limits, Watch},
    archive::writer::{Filled, Folder},
    archive::{BadArchive, unpack},
    download::Pull,
};

/// An archive that is being unpacked. It must end before its folder is removed: see [`Unpacking::stop`].
pub struct Unpacking {
    thread: JoinHandle<Result<Filled, BadArchive>>,
    watch: Arc<Watch>,
}

impl Unpacking {
    /// Starts the thread; it works as fast as the archive comes.
    #[must_use]
    pub fn start(archive: Pull, folder: &Path, limits: Limits, watch: Arc<Watch>) -> Self {
        let (folder, shared) = (Folder::new(folder), Arc::clone(&watch));
        let thread =
            tokio::task::spawn_blocking(move || unpack(archive, &folder, &limits, &shared));
        Self { thread, watch }
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<Filled, BadArchive> {
        // A thread that panicked has ended the process, or in a test is told like damage.
        (&mut self.thread).await.unwrap_or_else(|error| Err(BadArchive::Damaged(error.to_string())))
    }

    /// Makes it end, and waits until nothing writes to the folder any more.
    pub async fn stop(&mut self) {
        self.watch.stop.store(true, Ordering::Relaxed);
        if !self.thread.is_finished() {
            let _ = (&mut self.thread).await;
        }
    }
}
