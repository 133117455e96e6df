//! What happened, on the time line.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use release_record::{
    release::{Outcome, Release, Stage},
    run::State,
};

use crate::{
    known::Source,
    terminal::{
        follow::{Event, Waiting},
        timeline::{self, Timeline},
        words::{age, decisions, label, length, listed, outcome, split},
    },
};

/// Most names of services that a hint has.
pub(crate) const MOST_NAMES: usize = 20;

/// What is shown of the releases that are followed.
#[derive(Default)]
pub struct Shown {
    /// With the newest state of each
    open: BTreeMap<(String, String), (timeline::Stage, String)>,
    /// The newest whose name was shown
    run: String,
}

impl Shown {
    pub fn show(&mut self, timeline: &mut Timeline, event: Event, now: Timestamp) {
        match event {
            Event::Waiting(waiting) => timeline.remark(&waits(&waiting, now)),
            Event::Begun(release) => {
                let Release { service, version, .. } = &*release;
                timeline.chapter(&format!("{service} {version}"), &about(&release, now));
            }
            Event::StageBegun(stage) => self.begin(timeline, &stage, now),
            Event::StageState { stage, detail } => {
                if let Some((_, seen)) = self.open.get_mut(&(stage.run, stage.task)) {
                    *seen = detail;
                }
            }
            Event::StageEnded(stage) => self.end(timeline, &stage),
            Event::Split(shares) => timeline.remark(&format!("the route has {}", split(&shares))),
            Event::Decided(service) => timeline.remark(&match decisions(&service) {
                none if none.is_empty() => "no decision counts any more".to_owned(),
                decided => decided,
            }),
            Event::ApiServer(Source::Away { error, .. }) => {
                timeline.remark(&format!("the API server is away, and is asked again: {error}"));
            }
            Event::ApiServer(_) => timeline.remark("the API server answers again"),
            Event::Ended(release) => {
                timeline.conclude(release.outcome == Outcome::Promoted, &end(&release));
            }
        }
        self.refresh(timeline);
    }

    /// Shows what stages see that go on; elsewhere than on a terminal now and then.
    pub fn refresh(&mut self, timeline: &mut Timeline) {
        for (stage, seen) in self.open.values_mut() {
            timeline.tell(stage, seen);
        }
    }

    fn begin(&mut self, timeline: &mut Timeline, stage: &Stage, now: Timestamp) {
        if stage.run != self.run {
            timeline.remark(&format!("run {}", stage.run));
            self.run.clone_from(&stage.run);
        }
        let since = took(stage.began, now);
        let key = (stage.run.clone(), stage.task.clone());
        self.open.insert(key, (timeline.begin_since(&label(stage), since), String::new()));
    }

    fn end(&mut self, timeline: &mut Timeline, stage: &Stage) {
        let key = (stage.run.clone(), stage.task.clone());
        if let Some((open, _)) = self.open.remove(&key) {
            let took = stage.ended.map_or(Duration::ZERO, |ended| took(stage.began, ended));
            timeline.end_after(open, took, stage.state == State::Succeeded, &stage.detail);
        }
    }
}

fn took(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// What is waited for, and what was last.
fn waits(Waiting { service, version, last, others }: &Waiting, now: Timestamp) -> String {
    let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let waits = format!("waiting for a release of {service}{version} to begin");
    match (last, others) {
        (Some(last), _) => format!("{waits}; the last, {}", ended_ago(last, now)),
        (None, Some(others)) if others.is_empty() => format!("{waits}; there is no service yet"),
        (None, Some(others)) => {
            format!("{waits}; there is no service of this name, but {}", names(others))
        }
        (None, None) => waits,
    }
}

/// Some of them, and how many more there are.
pub(crate) fn names(all: &[String]) -> String {
    let more = all.len().saturating_sub(MOST_NAMES);
    let shown = listed(all.iter().take(MOST_NAMES));
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// `v2, promoted 3m ago`
pub(crate) fn ended_ago(release: &Release, now: Timestamp) -> String {
    let ago = release.ended.map(|ended| format!(" {} ago", age(now.duration_since(ended))));
    let (version, outcome) = (&release.version, outcome(release.outcome));
    format!("{version}, {outcome}{}", ago.unwrap_or_default())
}

/// When it began, where that is a while ago, and what it climbs.
fn about(release: &Release, now: Timestamp) -> String {
    let since = now.duration_since(release.began);
    let began = (since.as_secs() >= 10).then(|| format!("began {} ago", age(since)));
    let climbs = (!release.ladder.is_empty()).then(|| {
        format!("climbs {}", listed(release.ladder.iter().map(|rung| format!("{rung} %"))))
    });
    listed(began.into_iter().chain(climbs))
}

/// `iris v2 was rolled back after 12m 3s: gate-failed: 7 of 7 requests failed`
fn end(release: &Release) -> String {
    let Release { service, version, began, ended, cause, reason, .. } = release;
    let took = length(ended.unwrap_or(*began).duration_since(*began));
    let was = match release.outcome {
        Outcome::Failed => "failed".to_owned(),
        other => format!("was {}", outcome(other)),
    };
    let why = [cause, reason].into_iter().filter(|why| !why.is_empty());
    let why: String = why.flat_map(|why| [": ", why]).collect();
    format!("{service} {version} {was} after {took}{why}")
}

#[cfg(test)]
mod tests;
