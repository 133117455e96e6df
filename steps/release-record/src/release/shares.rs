//! When a release got which percent of the requests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ladder::{Climbed, Ladder};

use crate::run::{RunRecord, TaskRecord};

/// The percents of a ladder as params write it; none of what is no ladder.
pub(super) fn percents(ladder: &str) -> Vec<u8> {
    let Ok(ladder) = ladder.parse::<Ladder>() else { return Vec::new() };
    let mut percents = vec![ladder.first()];
    while let Some(last) = percents.last().copied().filter(|last| *last < 100) {
        percents.push(ladder.above(last));
    }
    percents
}

/// The percent that comes after one.
pub(super) fn above(ladder: &str, percent: u8) -> u8 {
    ladder.parse().map_or(100, |ladder: Ladder| ladder.above(percent))
}

/// Each percent and when it got it, the first time that a run tells; also by what later runs were told, since the
/// run that gave it may be gone.
pub(super) fn shares(runs: &[&RunRecord]) -> Vec<(u8, Timestamp)> {
    let mut shares: BTreeMap<u8, Timestamp> = BTreeMap::new();
    let mut got = |percent: &str, at: Option<Timestamp>| {
        if let (Some(percent), Some(at)) = (percent_of(percent), at) {
            let known = shares.entry(percent).or_insert(at);
            *known = at.min(*known);
        }
    };
    for run in runs {
        let climbed = run.param("climbed").parse::<Climbed>().unwrap_or_default();
        for rung in climbed.0 {
            got(&rung.percent.to_string(), Some(rung.started_at));
        }
        got(run.param("percent"), run.param("started-at").parse().ok());
        for task in &run.tasks {
            match (task.task.as_str(), task.result("outcome")) {
                ("canary-create", "canary" | "first" | "unchanged")
                | ("canary-promote", "advanced" | "promoted") => {
                    got(task.result("percent"), given_at(task));
                }
                _ => {}
            }
        }
    }
    let mut shares: Vec<_> = shares.into_iter().collect();
    shares.sort_by_key(|(percent, at)| (*at, *percent));
    shares
}

fn given_at(task: &TaskRecord) -> Option<Timestamp> {
    task.result("started-at").parse().ok().or(task.ended)
}

/// A percent as params and results write it.
pub(super) fn percent_of(text: &str) -> Option<u8> {
    text.parse().ok().filter(|percent| *percent <= 100)
}
