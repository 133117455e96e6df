//! Events of Kubernetes about what was refused, on the EventListener: where somebody looks whose
//! event came to nothing. None of them delays or changes an answer.

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use step::{chain, text::within};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};

const NAME: &str = "cloudevent-interceptor";

/// More that wait than this are not recorded: each has its line in the log.
const QUEUE: usize = 32;
/// A person at work makes no more mistakes than this at a time; a broken sender makes thousands.
const BURST: u32 = 20;
const THEN_EVERY: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The API server takes no longer message; in bytes.
const LONGEST_MESSAGE: usize = 1000;

/// Where what is to be recorded goes in.
pub(crate) struct EventRecorder(Sender<String>);

impl EventRecorder {
    pub(crate) fn start(listener: String) -> Self {
        let (sender, receiver) = channel(QUEUE);
        tokio::spawn(record_all(receiver, listener));
        Self(sender)
    }

    /// Never waits.
    pub(crate) fn record(&self, message: &str) {
        // A full queue: the log has it.
        let _ = self.0.try_send(message.to_owned());
    }
}

async fn record_all(mut messages: Receiver<String>, listener: String) {
    let mut pace = Pace::new(Instant::now());
    let mut client = None;
    let mut failing = false;
    while let Some(message) = messages.recv().await {
        if !pace.allows(Instant::now()) {
            continue;
        }
        let written = async {
            let client = match &client {
                Some(client) => client,
                None => client.insert(connect()?),
            };
            write(client, &listener, message).await
        };
        let written = timeout(ANSWER_WITHIN, written).await.unwrap_or_else(|late| Err(late.into()));
        if let Err(error) = &written
            && !failing
        {
            tracing::warn!(
                "failed to write an Event, so this log alone tells of what is refused: {}",
                chain(error.as_ref())
            );
        }
        failing = written.is_err();
    }
}

/// So many at once, and then one after each pause.
struct Pace {
    left: u32,
    since: Instant,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    fn allows(&mut self, now: Instant) -> bool {
        while self.left < BURST && now.duration_since(self.since) >= THEN_EVERY {
            self.left += 1;
            self.since += THEN_EVERY;
        }
        if self.left == BURST {
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

fn connect() -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = kube::Config::incluster().context("failed to find a Kubernetes cluster")?;
    Client::try_from(config).context("failed to start a client for the cluster")
}

async fn write(client: &Client, listener: &str, message: String) -> Result<()> {
    let namespace = client.default_namespace().to_owned();
    let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let now = Timestamp::now();
    let event = Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{listener}.")),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("triggers.tekton.dev/v1beta1".into()),
            kind: Some("EventListener".into()),
            name: Some(listener.to_owned()),
            namespace: Some(namespace),
            ..ObjectReference::default()
        },
        type_: Some("Warning".into()),
        reason: Some("EventRefused".into()),
        action: Some("Refuse".into()),
        message: Some(within(&message, LONGEST_MESSAGE)),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        event_time: Some(MicroTime(now)),
        source: Some(EventSource { component: Some(NAME.into()), ..EventSource::default() }),
        reporting_component: Some(format!("kanaria.dev/{NAME}")),
        reporting_instance: Some(env::var("HOSTNAME").unwrap_or_else(|_| NAME.into())),
        ..Event::default()
    };
    events.create(&PostParams::default(), &event).await.context("failed to create it")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_recorded_at_a_pace() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut recorded = |from: u64, seconds: u64| {
            let moments = (0..seconds * 10).map(|tenth| {
                start + Duration::from_secs(from) + Duration::from_millis(100 * tenth)
            });
            moments.filter(|now| pace.allows(*now)).count()
        };
        assert_eq!(recorded(0, 30), 29, "20 at once, then one every 3 s");
        assert_eq!(recorded(1000, 1), 10, "a pause fills it again");
    }
}
