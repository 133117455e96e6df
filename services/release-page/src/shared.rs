//! What one task changes and another reads, with word of each change.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A value behind a lock; a clone is the same.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    value: Arc<Mutex<T>>,
    changed: Arc<Notify>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), changed: Arc::clone(&self.changed) }
    }
}

impl<T> Shared<T> {
    /// Whoever waits for `changed` is told of changes.
    pub(crate) fn new(value: T, changed: &Arc<Notify>) -> Self {
        Self { value: Arc::new(Mutex::new(value)), changed: Arc::clone(changed) }
    }

    /// Changes it; what is done says whether anything that is shown has changed.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T) -> bool) {
        if self.with(change) {
            self.changed.notify_one();
        }
    }

    /// Looks at it, and tells nobody.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
