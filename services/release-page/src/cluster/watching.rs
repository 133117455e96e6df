//! One watch: a list, then changes, through cuts and absences, as long as the program runs.

use std::{
    collections::HashSet,
    fmt::Debug,
    hash::{BuildHasher as _, RandomState},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use step::{api_server::cause, text::short};
use tokio::time::{Instant, sleep};

use super::{
    health::{Health, Watched},
    kinds::Kind,
};
use crate::{counts::Counts, shared::Shared};

/// A first list of many objects takes little memory: a `TaskRun` has some 20 kB.
const PAGE: u32 = 50;
/// Of a server that is away, at first and at last
const AWAY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];
/// Of a right or a resource that is missing, which somebody may add
const MISSING: [Duration; 2] = [Duration::from_secs(2), Duration::from_mins(5)];
/// A try that fails later than this after it began has not failed again.
const FAILS_AGAIN: Duration = Duration::from_mins(1);
/// Characters of an error that are shown
const LONGEST: usize = 300;

/// What a watch tells of itself
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) health: Shared<Health>,
    pub(super) counts: Arc<Counts>,
    pub(super) watched: Watched,
}

/// Which of its objects a watch is of
#[derive(Clone, Default)]
pub(super) struct Selected {
    labels: Option<String>,
    fields: Option<String>,
}

impl Selected {
    pub(super) fn by_labels(labels: &str) -> Self {
        Self { labels: Some(labels.to_owned()), fields: None }
    }

    pub(super) fn by_fields(fields: String) -> Self {
        Self { labels: None, fields: Some(fields) }
    }
}

/// Watches until the program ends. `listed` is called when the objects are all there, or are known to be
/// out of reach.
pub(super) async fn watch<K: Kind>(
    api: Api<K::Object>,
    selected: Selected,
    kind: K,
    report: Reporter,
    listed: impl Fn(),
) where
    K::Object: Clone + Debug + DeserializeOwned + Resource + Send + 'static,
{
    let mut config = watcher::Config::default().page_size(PAGE);
    (config.label_selector, config.field_selector) = (selected.labels, selected.fields);
    let mut events = pin!(watcher(api, config));
    let hasher = RandomState::new();
    let hash = |namespace: &str, name: &str| hasher.hash_one((namespace, name));
    let mut seen = HashSet::new();
    let mut waits = Waits::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                report.counts.watch_event();
                match event {
                    Event::Init => seen.clear(),
                    Event::InitApply(object) => {
                        seen.insert(hash(
                            &object.namespace().unwrap_or_default(),
                            &object.name_any(),
                        ));
                        kind.put(object);
                    }
                    Event::InitDone => {
                        kind.retain(report.watched.1.as_deref(), &|namespace, name| {
                            seen.contains(&hash(namespace, name))
                        });
                        seen = HashSet::new();
                        report.health.change(|health| health.listed(&report.watched));
                        listed();
                    }
                    Event::Apply(object) => kind.put(object),
                    Event::Delete(object) => kind.remove(object),
                }
            }
            Err(error) => {
                let is_missing = report.failed(&error);
                if is_missing {
                    listed();
                }
                sleep(waits.next(is_missing)).await;
            }
        }
    }
}

impl Reporter {
    /// Says whether somebody has to do something before it can be read.
    fn failed(&self, error: &watcher::Error) -> bool {
        use watcher::Error::{
            InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
        };
        let watched = &self.watched;
        match error {
            InitialListFailed(error) | WatchStartFailed(error) => {
                let text = short(&cause(error), LONGEST);
                match error {
                    kube::Error::Api(status) if matches!(status.code, 403 | 404) => {
                        let why = if status.code == 404 {
                            "the cluster has no such resource"
                        } else {
                            &text
                        };
                        self.health.change(|health| health.missing(watched, why));
                        return true;
                    }
                    // Too old a place to go on from: it begins anew at once.
                    kube::Error::Api(status) if status.code == 410 => {}
                    _ => self.health.change(|health| health.away(watched, text, Timestamp::now())),
                }
            }
            // The request that follows tells whether the server is there.
            WatchError(_) | WatchFailed(_) | NoResourceVersion => {
                tracing::debug!("watch of {}: {}", watched.0, short(&step::chain(error), LONGEST));
            }
        }
        false
    }
}

/// How long to wait before the next try, longer each time that one fails soon after the one before
#[derive(Default)]
struct Waits(Option<Tries>);

struct Tries {
    is_missing: bool,
    waits: ExponentialBackoff,
    /// When the next one is made
    next: Instant,
}

impl Waits {
    fn next(&mut self, is_missing: bool) -> Duration {
        let [first, last] = if is_missing { MISSING } else { AWAY };
        let goes_on =
            |tries: &Tries| tries.is_missing == is_missing && tries.next.elapsed() < FAILS_AGAIN;
        if !self.0.as_ref().is_some_and(goes_on) {
            let waits = ExponentialBuilder::default().with_min_delay(first).with_max_delay(last);
            let waits = waits.with_jitter().without_max_times().build();
            self.0 = Some(Tries { is_missing, waits, next: Instant::now() });
        }
        let wait = self.0.as_mut().and_then(|tries| {
            let wait = tries.waits.next()?;
            tries.next = Instant::now() + wait;
            Some(wait)
        });
        wait.unwrap_or(last)
    }
}
