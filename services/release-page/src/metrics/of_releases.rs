//! How the releases that are known went. They are known for as long as they are kept, so that all of these may
//! fall again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use release_record::release::{Outcome, Release, Step};
use step::metrics::{Family, Text};

use crate::known::Known;

/// Of the change failure ratio
const WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Namespace and service
type Service<'a> = (&'a str, &'a str);

/// What the releases of a service come to
#[derive(Default)]
struct Sums<'a> {
    outcomes: BTreeMap<&'static str, u32>,
    /// Seconds from begin to end, by outcome
    seconds: BTreeMap<&'static str, Vec<f64>>,
    /// Seconds of each part that has ended
    stages: BTreeMap<&'static str, Vec<f64>>,
    rollbacks: BTreeMap<&'a str, u32>,
    /// Seconds at each percent
    shares: BTreeMap<u8, f64>,
    /// Of those that ended within the window: the bad ones, and all
    recent: (u32, u32),
}

/// By namespace and name
type Services<'a> = BTreeMap<Service<'a>, Sums<'a>>;

pub(super) fn write(text: &mut Text, known: &Known, now: Timestamp) {
    let mut services = Services::new();
    for release in &known.releases {
        let service = (release.namespace.as_str(), release.service.as_str());
        services.entry(service).or_default().add(release, now);
    }
    let mut each = |name, kind, help, write: &dyn Fn(&mut Family<'_>, Labels<'_>, &Sums<'_>)| {
        let mut family = text.family(name, kind, help);
        for ((namespace, service), sums) in &services {
            write(&mut family, Labels { namespace, service }, sums);
        }
    };
    let help = "Releases that are known, by how they ended";
    each("kanaria_releases", "gauge", help, &|family, labels, sums| {
        for (outcome, releases) in &sums.outcomes {
            family.sample(&labels.and("outcome", outcome), *releases);
        }
    });
    let help = "Seconds from a release's begin to its end";
    each("kanaria_release_seconds", "summary", help, &|family, labels, sums| {
        for (outcome, seconds) in &sums.seconds {
            family.summary(&labels.and("outcome", outcome), seconds.clone());
        }
    });
    let help = "Seconds that a part of a release took, of those that have ended";
    each("kanaria_release_stage_seconds", "summary", help, &|family, labels, sums| {
        for (stage, seconds) in &sums.stages {
            family.summary(&labels.and("stage", stage), seconds.clone());
        }
    });
    let help = "Releases that are known and were taken back, by the word of their event";
    each("kanaria_rollbacks", "gauge", help, &|family, labels, sums| {
        for (cause, releases) in &sums.rollbacks {
            family.sample(&labels.and("cause", cause), *releases);
        }
    });
    let help = "Seconds that canaries had a percent of the requests, until their release ended";
    each("kanaria_release_share_seconds", "gauge", help, &|family, labels, sums| {
        for (percent, seconds) in &sums.shares {
            family.sample(&labels.and("percent", &percent.to_string()), *seconds);
        }
    });
    let help = "Share of the releases that ended within the window which were taken back or failed";
    each("kanaria_change_failure_ratio", "gauge", help, &|family, labels, sums| {
        if let (bad, all @ 1..) = sums.recent {
            family.sample(&labels.and("window", "30d"), f64::from(bad) / f64::from(all));
        }
    });
}

#[derive(Clone, Copy)]
struct Labels<'a> {
    namespace: &'a str,
    service: &'a str,
}

impl<'a> Labels<'a> {
    fn and(self, name: &'a str, value: &'a str) -> [(&'a str, &'a str); 3] {
        [("namespace", self.namespace), ("service", self.service), (name, value)]
    }
}

impl<'a> Sums<'a> {
    fn add(&mut self, release: &'a Release, now: Timestamp) {
        let outcome = word(release.outcome);
        *self.outcomes.entry(outcome).or_default() += 1;
        if let Some(ended) = release.ended {
            self.seconds.entry(outcome).or_default().push(seconds(release.began, ended));
            if now.duration_since(ended) <= WINDOW {
                let is_bad = matches!(release.outcome, Outcome::RolledBack | Outcome::Failed);
                self.recent = (self.recent.0 + u32::from(is_bad), self.recent.1 + 1);
            }
        }
        if release.outcome == Outcome::RolledBack {
            *self.rollbacks.entry(&release.cause).or_default() += 1;
        }
        for stage in &release.stages {
            if let (Some(name), Some(ended)) = (part(stage.step), stage.ended) {
                self.stages.entry(name).or_default().push(seconds(stage.began, ended));
            }
        }
        let until = release.ended.unwrap_or(now);
        let ends = release.shares.iter().skip(1).map(|(_, next)| *next).chain([until]);
        for ((percent, since), end) in release.shares.iter().zip(ends) {
            *self.shares.entry(*percent).or_default() += seconds(*since, end);
        }
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Underway => "underway",
        Outcome::Promoted => "promoted",
        Outcome::RolledBack => "rolled-back",
        Outcome::Failed => "failed",
    }
}

/// What takes time; an event takes none, and of a task that a site has added nobody knows what it is.
const fn part(step: Step) -> Option<&'static str> {
    match step {
        Step::Image => Some("image"),
        Step::Canary => Some("canary"),
        Step::Gate(_) => Some("gate"),
        Step::Promote(_) => Some("promote"),
        Step::Rollback => Some("rollback"),
        Step::Event | Step::Other => None,
    }
}

/// Clocks of several nodes may differ.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
