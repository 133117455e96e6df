//! The gates that are deciding just now, of services that somebody looks at.
//!
//! - `running`: a gate that has begun and not ended, and whom it may ask
//! - `task_run`: what a gate was asked, by its TaskRun
//! - `watched`: one gate that is looked at
//! - this file: which are looked at, and when

mod running;
mod task_run;
mod watched;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use kube::Client;
use tokio::time::{Instant, sleep_until, timeout_at};

pub(crate) use self::running::Prometheus;
use self::{
    running::{GATE, Running},
    watched::Watched,
};
use crate::{interest::Interest, known::Gate, runs::Runs, shared::Shared};

const EVERY: Duration = Duration::from_secs(5);
/// However many begin to look, one after the other
const SOONEST: Duration = Duration::from_secs(1);
/// Each asks Prometheus as much as the gate itself.
const AT_ONCE: usize = 4;
/// Services with gates that are looked at; who opens more pages than these sees the first.
const MOST: usize = 32;

/// By the namespace and the name of their run
pub(crate) type Gates = BTreeMap<(String, String), Arc<Gate>>;

/// Looks at gates.
pub(crate) struct Looking {
    pub(crate) client: Client,
    pub(crate) interest: Interest,
    pub(crate) runs: Shared<Runs>,
    pub(crate) gates: Shared<Gates>,
    pub(crate) whom: Prometheus,
}

impl Looking {
    /// Looks while somebody does, until the runtime ends.
    pub(crate) async fn look_again(self) {
        let mut watched = BTreeMap::<Running, Watched>::new();
        loop {
            let (soonest, next) = (Instant::now() + SOONEST, Instant::now() + EVERY);
            let running = self.running();
            watched.retain(|gate, _| running.contains(gate));
            for gate in running {
                watched.entry(gate).or_default();
            }
            self.gates.change(|gates| {
                let before = gates.len();
                gates.retain(|(namespace, run), _| {
                    watched.keys().any(|gate| gate.namespace == *namespace && gate.run == *run)
                });
                gates.len() != before
            });
            let look = |(gate, watched)| self.look(gate, watched);
            stream::iter(&mut watched).for_each_concurrent(AT_ONCE, look).await;
            if self.interest.services().is_empty() {
                self.interest.begins().await;
            } else {
                // Who begins to look need not wait.
                let _ = timeout_at(next, self.interest.begins()).await;
            }
            sleep_until(soonest).await;
        }
    }

    fn running(&self) -> Vec<Running> {
        let services = self.interest.services();
        let mut running = self.runs.with(|runs| {
            let of = |(namespace, service): (String, String)| {
                let tasks = runs.running(&namespace, &service, GATE).into_iter();
                let gate =
                    move |(run, task_run)| Running { namespace: namespace.clone(), run, task_run };
                tasks.map(gate).collect::<Vec<_>>()
            };
            services.into_iter().flat_map(of).collect::<Vec<_>>()
        });
        running.truncate(MOST);
        running
    }

    async fn look(&self, gate: &Running, watched: &mut Watched) {
        let found = watched.look(&self.client, gate, &self.whom).await;
        let key = (gate.namespace.clone(), gate.run.clone());
        self.gates.change(|gates| {
            let is_new = gates.get(&key).is_none_or(|before| **before != found);
            gates.insert(key, Arc::new(found));
            is_new
        });
    }
}
