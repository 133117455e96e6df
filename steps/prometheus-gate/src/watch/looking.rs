//! A gate that is looked at from outside: it asks what the gate asks, and nobody hears of it.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::output::terminal::View;
use crate::record::run::Record;
use crate::watch::gate::Gate;
use crate::watch::state::{Round, Watch};

pub(crate) struct Looking {
    watch: Watch,
    /// How long one look may take.
    within: Duration,
}

impl Looking {
    pub(crate) fn new(gate: Gate, within: Duration) -> Self {
        let mut watch = Watch::shown_by(View::silent(gate.timing), gate);
        watch.record.forget();
        Self { watch, within }
    }

    /// Asks for the points that have become final, as far as there is time; what is left is asked for by the
    /// next look. Says why there was no answer. An error is what will not heal.
    pub(crate) async fn look(&mut self) -> Result<Option<String>> {
        Ok(match timeout(self.within, self.watch.ask()).await {
            Ok(Ok(Round::Failed(error))) => Some(error.to_string()),
            Ok(round) => round.map(|_| None)?,
            Err(_) => Some("Prometheus takes long to answer".to_owned()),
        })
    }

    pub(crate) const fn record(&mut self) -> &mut Record {
        &mut self.watch.record
    }

    pub(crate) const fn address(&self) -> &str {
        self.watch.gate.address.as_str()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.watch.now()
    }
}
