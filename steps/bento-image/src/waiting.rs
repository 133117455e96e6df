//! Waits for a registry, and no longer than anybody wants the answer.

use std::sync::Arc;

use bento_retrieve::progress::Progress;
use registry::RegistryError;
use step::Terminated;
use tokio::runtime::Handle;

/// Waits until an answer is there, or the reading is to end.
#[derive(Clone, Debug)]
pub struct Waiting {
    handle: Handle,
    progress: Arc<Progress>,
}

impl Waiting {
    /// For a reading with this progress; to be made on the runtime.
    pub(crate) fn new(progress: &Arc<Progress>) -> Self {
        Self { handle: Handle::current(), progress: Arc::clone(progress) }
    }

    /// The answer. The error of a reading that was stopped is not shown.
    pub(crate) fn wait<T, E: From<RegistryError>>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.handle.block_on(async {
            tokio::select! {
                answer = answer => answer,
                () = self.progress.stopped() => Err(RegistryError::Ended("stopped".into()).into()),
            }
        })
    }
}

/// What is wanted, unless a signal ends it.
pub async fn unless<T>(terminated: &mut Terminated, wanted: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        found = wanted => Some(found),
        () = terminated.wait() => None,
    }
}
