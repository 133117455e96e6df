//! The thread that unpacks while the network's task fetches.

use std::{io::BufRead, sync::Arc};

use tokio::task::JoinHandle;

use crate::{
    archive::{error::ArchiveError, limits::Limits, read::read, sink::Sink},
    progress::Progress,
};

/// An archive that is being unpacked into a sink, which is gone when the thread has ended: see [`UnpackThread::stop`].
pub struct UnpackThread<Output> {
    thread: JoinHandle<Result<Output, ArchiveError>>,
    progress: Arc<Progress>,
}

impl<Output: Send + 'static> UnpackThread<Output> {
    /// Starts the thread; it works as fast as the archive comes.
    pub fn start(
        archive: impl BufRead + Send + 'static,
        sink: impl Sink<Output = Output> + Send + 'static,
        limits: Limits,
        progress: Arc<Progress>,
    ) -> Self {
        let shared = Arc::clone(&progress);
        let thread = tokio::task::spawn_blocking(move || read(archive, sink, &limits, &shared));
        Self { thread, progress }
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<Output, ArchiveError> {
        // A thread that panicked has ended the process, or in a test is told like damage.
        (&mut self.thread)
            .await
            .unwrap_or_else(|error| Err(ArchiveError::Damaged(error.to_string())))
    }

    /// Makes it end, and waits until nothing works on the sink any more.
    pub async fn stop(&mut self) {
        self.progress.stop();
        if !self.thread.is_finished() {
            let _ = (&mut self.thread).await;
        }
    }
}
