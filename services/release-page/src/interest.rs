//! Which services somebody looks at: only their gates ask Prometheus.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// After the last look
const LASTS: Duration = Duration::from_mins(1);

/// Who looked at which service last; a clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    looks: Arc<Mutex<BTreeMap<(String, String), Instant>>>,
    begins: Arc<Notify>,
}

impl Interest {
    /// Has the service's gate looked at for a minute. To be called at each request and, while a stream of
    /// events is open, at least every half minute.
    pub fn look(&self, namespace: &str, service: &str) {
        let service = (namespace.to_owned(), service.to_owned());
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.insert(service, Instant::now()).is_none() {
            self.begins.notify_one();
        }
    }

    /// The services that somebody looked at within the last minute, by namespace and name.
    pub(crate) fn services(&self) -> Vec<(String, String)> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, at| at.elapsed() < LASTS);
        looks.keys().cloned().collect()
    }

    /// Resolves when somebody looks at a service that nobody looked at.
    pub(crate) async fn begins(&self) {
        self.begins.notified().await;
    }
}
