//! One gate that is looked at.

use std::time::Duration;

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use kube::Client;
use prometheus_gate::{Observer, ObserverOptions, Seen};
use step::{chain, text::short};
use tokio::time::{Instant, timeout};

use super::{
    running::{Prometheus, Running},
    task_run::asked,
};
use crate::known::Gate;

/// The observer gives up sooner by itself.
const WITHIN: Duration = Duration::from_secs(8);
/// Of what does not heal by looking again, somebody may mend the cause.
const AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Characters of an error that are shown
const LONGEST: usize = 300;

#[derive(Default)]
pub(super) struct Watched {
    /// None until it was made, and after it has failed
    observer: Option<Observer>,
    /// As it stood last
    stands: Gate,
    not_before: Option<Instant>,
}

impl Watched {
    /// How the gate stands; where that cannot be told, how it stood, and why.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        gate: &Running,
        whom: &Prometheus,
    ) -> Gate {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return self.stands.clone();
        }
        let late = |_| Err(anyhow!("no answer within {} s", WITHIN.as_secs()));
        match timeout(WITHIN, self.ask(client, gate, whom)).await.unwrap_or_else(late) {
            Ok(Seen { summary, cards, error, .. }) => {
                let error = error.map(|error| short(&error, LONGEST));
                self.stands = Gate { summary, cards, looked_at: Timestamp::now(), error };
            }
            Err(error) => {
                self.observer = None;
                self.not_before = Some(Instant::now() + AGAIN_AFTER);
                self.stands.error = Some(short(&chain(error.as_ref()), LONGEST));
                self.stands.looked_at = Timestamp::now();
            }
        }
        self.stands.clone()
    }

    async fn ask(&mut self, client: &Client, gate: &Running, whom: &Prometheus) -> Result<Seen> {
        let observer = match &mut self.observer {
            Some(observer) => observer,
            empty => {
                let asked = asked(client, gate).await?;
                let options = ObserverOptions {
                    namespace: gate.namespace.clone(),
                    began: asked.began,
                    prometheus_url: whom.url.clone(),
                    prometheus_at: whom.at.clone(),
                    credentials: whom.credentials.clone(),
                };
                empty.insert(Observer::new(&asked.args, options)?)
            }
        };
        observer.look().await
    }
}
