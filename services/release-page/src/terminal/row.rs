//! What is known of one service.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use release_record::{
    release::{Outcome, Release, Step},
    run::State,
};
use serde_json::Value;

use crate::{
    known::{Gate, Known, Service},
    terminal::words::{age, decisions, label, listed, outcome},
};

/// A service, or one whose first release is under way.
pub(crate) struct Row<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) service: Option<&'a Arc<Service>>,
    pub(crate) under_way: Option<&'a Arc<Release>>,
    /// The newest that has ended
    pub(crate) last: Option<&'a Arc<Release>>,
    /// What the gate sees that decides about it now
    pub(crate) gate: Option<&'a Arc<Gate>>,
}

/// All of them, by namespace and name.
pub(crate) fn rows(known: &Known) -> Vec<Row<'_>> {
    let services = known.services.iter().map(|service| (&service.namespace[..], &service.name[..]));
    let under_way = known.releases.iter().filter(|release| release.outcome == Outcome::Underway);
    let begin = under_way.map(|release| (&release.namespace[..], &release.service[..]));
    let all: BTreeSet<_> = services.chain(begin).collect();
    all.into_iter().map(|(namespace, name)| row(known, namespace, name)).collect()
}

fn row<'a>(known: &'a Known, namespace: &'a str, name: &'a str) -> Row<'a> {
    let newest = |is_under_way| {
        let has_ended =
            move |release: &&Arc<Release>| (release.outcome == Outcome::Underway) == is_under_way;
        known.releases_of(namespace, name).find(has_ended)
    };
    let under_way = newest(true);
    Row {
        namespace,
        name,
        service: known.service(namespace, name),
        under_way,
        last: newest(false),
        gate: under_way
            .and_then(|release| gate_run(release))
            .and_then(|run| known.gate(namespace, run)),
    }
}

/// The run whose gate decides now.
fn gate_run(release: &Release) -> Option<&str> {
    let mut running = release.stages.iter().filter(|stage| stage.state == State::Running);
    let gate = running.rfind(|stage| matches!(stage.step, Step::Gate(_)));
    gate.map(|stage| stage.run.as_str())
}

impl Row<'_> {
    /// Whether a gate decides about it now.
    pub(crate) fn runs_gate(&self) -> bool {
        self.under_way.is_some_and(|release| gate_run(release).is_some())
    }

    /// `canary 25 % for 3m, gate: 40 of 50 requests, held by ada: p99 is up`
    pub(crate) fn state(&self, now: Timestamp) -> String {
        let so_long = |since: Timestamp| format!("for {}", age(now.duration_since(since)));
        let canary = self.service.and_then(|service| service.canary.as_ref());
        let goes_on = self.under_way.and_then(|release| {
            let stage = release.stages.iter().rfind(|stage| stage.state == State::Running)?;
            Some((release, stage))
        });
        let how_far = match (canary, goes_on, self.under_way) {
            (Some(canary), ..) => {
                let since = canary.since.map(|since| format!(" {}", so_long(since)));
                format!("canary {} %{}", canary.percent, since.unwrap_or_default())
            }
            (None, Some((release, stage)), _) => {
                format!("{}: {} {}", release.version, label(stage), so_long(stage.began))
            }
            (None, None, Some(release)) => {
                format!("{}: {} {}", release.version, release.reason, so_long(release.began))
            }
            (None, None, None) => String::new(),
        };
        let broken = self.service.filter(|service| !service.is_ready);
        let not_ready = broken.map(|service| match service.message.as_str() {
            "" => "not ready".to_owned(),
            why => format!("not ready: {why}"),
        });
        let gate = self.gate.map(|gate| format!("gate: {}", seen(gate)));
        let decided = self.service.map(|service| decisions(service)).unwrap_or_default();
        let all = [how_far, gate.unwrap_or_default(), not_ready.unwrap_or_default(), decided];
        let words: Vec<_> = all.into_iter().filter(|words| !words.is_empty()).collect();
        match self.state_name() {
            "stable" => listed(["stable".to_owned()].into_iter().chain(words)),
            _ => words.join(", "),
        }
    }

    /// The same for programs.
    pub(crate) fn state_name(&self) -> &'static str {
        match (self.service, self.under_way) {
            (Some(service), _) if service.canary.is_some() => "canary",
            (_, Some(_)) => "releasing",
            (Some(service), None) if !service.is_ready => "not-ready",
            _ => "stable",
        }
    }

    /// `v2 promoted 3d ago`, with why where it was not
    pub(crate) fn last_release(&self, now: Timestamp) -> String {
        let Some(release) = self.last else { return "none known".into() };
        let ago = release.ended.map(|ended| format!(" {} ago", age(now.duration_since(ended))));
        let why = match (release.outcome, release.cause.as_str(), release.reason.as_str()) {
            (Outcome::Promoted, ..) | (_, "", "") => String::new(),
            (_, "", why) | (_, why, "") => format!(": {why}"),
            (_, cause, reason) => format!(": {cause}: {reason}"),
        };
        let (version, outcome) = (&release.version, outcome(release.outcome));
        format!("{version} {outcome}{}{why}", ago.unwrap_or_default())
    }
}

/// What a gate waits for, in a few words.
fn seen(gate: &Gate) -> String {
    let criteria = gate.summary["criteria"].as_array().map(Vec::as_slice).unwrap_or_default();
    let missing = |criterion: &Value| {
        let missing = criterion["missingRequests"].as_f64().filter(|missing| *missing > 0.0)?;
        Some((missing, criterion["evidence"]["canary"]["total"].as_f64().unwrap_or(0.0)))
    };
    let most = criteria.iter().filter_map(missing).max_by(|(a, _), (b, _)| a.total_cmp(b));
    let words = |value: &Value| value.as_str().map(str::to_owned);
    let held = criteria.iter().filter_map(|criterion| criterion["heldSeconds"].as_f64());
    if let Some((missing, requests)) = most {
        return format!("{requests:.0} of {:.0} requests", requests + missing.ceil());
    }
    if let Some(waiting) = words(&gate.summary["waiting"]["for"]) {
        return waiting;
    }
    match (held.reduce(f64::min), &gate.error) {
        (Some(held), _) => format!("held for {held:.0}s"),
        (None, Some(error)) => format!("cannot be looked at: {error}"),
        (None, None) => "running".to_owned(),
    }
}
