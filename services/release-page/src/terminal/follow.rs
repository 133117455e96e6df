//! What is new of one release, from what is known of it now: a pure function of what was told so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use release_record::{
    release::{Outcome, Release, Stage, Step},
    run::State,
};

use crate::known::{Known, Service, Share, Source};

/// Something that happened, and is told once.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// There is none to follow yet
    Waiting(Waiting),
    Begun(Arc<Release>),
    StageBegun(Stage),
    /// What a stage that goes on sees now
    StageState {
        stage: Stage,
        detail: String,
    },
    StageEnded(Stage),
    /// Who gets which part of the requests
    Split(Vec<Share>),
    /// What people decided about it, all that counts now
    Decided(Arc<Service>),
    /// Whether the API server answers
    ApiServer(Source),
    Ended(Arc<Release>),
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub service: String,
    /// The one version that will do
    pub version: Option<String>,
    /// The newest release, which has ended
    pub last: Option<Arc<Release>>,
    /// The namespace's services, where none has this name
    pub others: Option<Vec<String>>,
}

/// A stage is one task of one run.
type Key = (String, String);

fn key(stage: &Stage) -> Key {
    (stage.run.clone(), stage.task.clone())
}

/// Which release is followed, and what was told of it.
pub(crate) struct Followed {
    service: String,
    version: Option<String>,
    /// Runs of releases that had ended when it began to look: these are not waited for
    past: Option<BTreeSet<String>>,
    /// All runs of the followed release that were seen; from then on it is that release
    runs: BTreeSet<String>,
    is_waiting: bool,
    /// Stages that were told to begin, and not to end
    open: BTreeMap<Key, Stage>,
    ended: BTreeSet<Key>,
    states: BTreeMap<Key, String>,
    split: Vec<Share>,
    /// Decisions, and who stopped all releases
    decided: (Vec<(String, String)>, Option<String>),
    is_away: bool,
    is_over: bool,
}

impl Followed {
    /// The newest release of a service that has not ended; where all have, the next one. Of a version that is
    /// named also one that has ended.
    pub(crate) fn new(service: &str, version: Option<&str>) -> Self {
        Self {
            service: service.into(),
            version: version.map(Into::into),
            past: None,
            runs: BTreeSet::new(),
            is_waiting: false,
            open: BTreeMap::new(),
            ended: BTreeSet::new(),
            states: BTreeMap::new(),
            split: Vec::new(),
            decided: (Vec::new(), None),
            is_away: false,
            is_over: false,
        }
    }

    /// What was not told yet, in the order in which it happened; times that are the same keep the order of
    /// the release. Of any number of pictures the last decides: each stage of it is told to begin and to end once.
    pub(crate) fn changes(&mut self, known: &Known) -> Vec<Event> {
        let mut events: Vec<_> = self.api_server(known).into_iter().collect();
        // Before all lists were read, what is newest is not known, and what is missing is not gone.
        let is_first = self.past.is_none() && self.runs.is_empty();
        if is_first && known.api_server != Source::Current {
            return events;
        }
        let Some(release) = self.find(known) else {
            events.extend(self.wait(known));
            return events;
        };
        if self.runs.is_empty() {
            events.push(Event::Begun(Arc::clone(&release)));
        }
        self.runs.extend(release.runs.iter().cloned());
        events.extend(self.stages(&release));
        events.extend(self.route(known, &release));
        events.extend(self.live(known, &release));
        events.extend(self.end(release));
        events
    }

    /// Whether the followed release is gone: its runs were deleted, and nothing of it was kept.
    pub(crate) fn is_gone(&self, known: &Known) -> bool {
        !self.runs.is_empty() && known.api_server == Source::Current && self.find(known).is_none()
    }

    /// The release that is followed, as it is now.
    pub(crate) fn release(&self, known: &Known) -> Option<Arc<Release>> {
        if self.runs.is_empty() { None } else { self.find(known) }
    }

    /// The release that is followed; before there is one, the one that will be.
    fn find(&self, known: &Known) -> Option<Arc<Release>> {
        let of_service = known.releases.iter().filter(|release| release.service == self.service);
        if !self.runs.is_empty() {
            let is_same =
                |release: &&Arc<Release>| release.runs.iter().any(|run| self.runs.contains(run));
            return of_service.clone().find(is_same).cloned();
        }
        let version = self.version.as_ref();
        let wanted = of_service
            .filter(|release| version.is_none_or(|version| *version == release.version))
            .filter(|release| !release.runs.is_empty());
        let newest = |releases: &mut dyn Iterator<Item = &Arc<Release>>| {
            releases.max_by_key(|release| release.began).cloned()
        };
        let under_way =
            newest(&mut wanted.clone().filter(|release| release.outcome == Outcome::Underway));
        under_way.or_else(|| {
            let past = self.past.as_ref();
            let is_new = |release: &&Arc<Release>| {
                version.is_some()
                    || past.is_some_and(|past| release.runs.iter().all(|run| !past.contains(run)))
            };
            newest(&mut wanted.clone().filter(is_new))
        })
    }

    /// Remembers which releases had ended, and tells once that it waits.
    fn wait(&mut self, known: &Known) -> Option<Event> {
        let of_service = || known.releases.iter().filter(|release| release.service == self.service);
        if self.past.is_none() {
            let runs = of_service().flat_map(|release| release.runs.iter().cloned()).collect();
            self.past = Some(runs);
        }
        if self.is_waiting || !self.runs.is_empty() {
            return None;
        }
        self.is_waiting = true;
        let names = || known.services.iter().map(|service| service.name.clone());
        let last = of_service().max_by_key(|release| release.began).cloned();
        let is_known = last.is_some() || names().any(|name| name == self.service);
        Some(Event::Waiting(Waiting {
            service: self.service.clone(),
            version: self.version.clone(),
            last,
            others: (!is_known).then(|| names().collect()),
        }))
    }

    fn api_server(&mut self, known: &Known) -> Option<Event> {
        let is_away = matches!(known.api_server, Source::Away { .. });
        if is_away == self.is_away {
            return None;
        }
        self.is_away = is_away;
        Some(Event::ApiServer(known.api_server.clone()))
    }

    /// Begins and ends, in the order of their times.
    fn stages(&mut self, release: &Release) -> Vec<Event> {
        let mut events: Vec<(Timestamp, Event)> = Vec::new();
        for stage in &release.stages {
            let key = key(stage);
            if self.ended.contains(&key) {
                continue;
            }
            let running = || {
                let (ended, state, detail) = (None, State::Running, String::new());
                Stage { ended, state, detail, ..stage.clone() }
            };
            if !self.open.contains_key(&key) {
                self.open.insert(key.clone(), running());
                events.push((stage.began, Event::StageBegun(running())));
            }
            if let Some(ended) = stage.ended.filter(|_| stage.state != State::Running) {
                self.open.remove(&key);
                self.ended.insert(key);
                // Clocks of two machines may have it end before it began.
                events.push((ended.max(stage.began), Event::StageEnded(stage.clone())));
            }
        }
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// Who gets requests, and what people decided, where that is other than before.
    fn route(&mut self, known: &Known, release: &Release) -> Vec<Event> {
        let Some(service) = known.service(&release.namespace, &release.service) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        let split: Vec<_> =
            service.split.iter().filter(|share| share.percent > 0).cloned().collect();
        if split != self.split && !split.is_empty() {
            self.split.clone_from(&split);
            events.push(Event::Split(split));
        }
        let decided = (service.decisions.clone(), service.stopped.clone());
        if decided != self.decided {
            self.decided = decided;
            events.push(Event::Decided(Arc::clone(service)));
        }
        events
    }

    /// What stages that go on see now.
    fn live(&mut self, known: &Known, release: &Release) -> Vec<Event> {
        let mut events = Vec::new();
        for stage in &release.stages {
            let key = key(stage);
            if self.ended.contains(&key) {
                continue;
            }
            let detail = live_state(known, release, stage);
            if !detail.is_empty() && self.states.get(&key) != Some(&detail) {
                self.states.insert(key, detail.clone());
                events.push(Event::StageState { stage: stage.clone(), detail });
            }
        }
        events
    }

    /// Its end, once all stages that it shows have ended. One that is not shown any more ends with it.
    fn end(&mut self, release: Arc<Release>) -> Vec<Event> {
        let is_open = |stage: &Stage| self.open.contains_key(&key(stage));
        let goes_on = release.outcome == Outcome::Underway || release.stages.iter().any(is_open);
        if goes_on || std::mem::replace(&mut self.is_over, true) {
            return Vec::new();
        }
        let at = release.ended.unwrap_or(release.began);
        let close = |stage: Stage| {
            let (ended, detail) = (Some(at.max(stage.began)), "its end was not seen".to_owned());
            Event::StageEnded(Stage { ended, state: State::Failed, detail, ..stage })
        };
        let gone = std::mem::take(&mut self.open);
        gone.into_values().map(close).chain([Event::Ended(release)]).collect()
    }
}

/// What a gate's look at Prometheus says, or else what the record says of the stage.
fn live_state(known: &Known, release: &Release, stage: &Stage) -> String {
    let gate = matches!(stage.step, Step::Gate(_))
        .then(|| known.gate(&release.namespace, &stage.run))
        .flatten();
    match gate {
        Some(gate) => match (&gate.error, gate.summary["message"].as_str()) {
            (_, Some(message)) => message.to_owned(),
            (Some(error), None) => format!("what it sees cannot be read from here: {error}"),
            (None, None) => stage.detail.clone(),
        },
        None => stage.detail.clone(),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
