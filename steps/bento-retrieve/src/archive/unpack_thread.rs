//! The thread that unpacks while the network's task fetches.

use std::{
    io::BufRead,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use tokio::task::JoinHandle;

use crate::{
    archive::{
        error::ArchiveError,
        limits::Limits,
        unpack::unpack,
        writer::{Folder, Unpacked},
    },
    progress::Progress,
};

/// An archive that is being unpacked. It must end before its folder is removed: see [`UnpackThread::stop`].
pub struct UnpackThread {
    thread: JoinHandle<Result<Unpacked, ArchiveError>>,
    progress: Arc<Progress>,
}

impl UnpackThread {
    /// Starts the thread; it works as fast as the archive comes.
    pub fn start(
        archive: impl BufRead + Send + 'static,
        folder: &Path,
        limits: Limits,
        progress: Arc<Progress>,
    ) -> Self {
        let (folder, shared) = (Folder::new(folder), Arc::clone(&progress));
        let thread =
            tokio::task::spawn_blocking(move || unpack(archive, &folder, &limits, &shared));
        Self { thread, progress }
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<Unpacked, ArchiveError> {
        // A thread that panicked has ended the process, or in a test is told like damage.
        (&mut self.thread)
            .await
            .unwrap_or_else(|error| Err(ArchiveError::Damaged(error.to_string())))
    }

    /// Makes it end, and waits until nothing writes to the folder any more.
    pub async fn stop(&mut self) {
        self.progress.stop.store(true, Ordering::Relaxed);
        if !self.thread.is_finished() {
            let _ = (&mut self.thread).await;
        }
    }
}
