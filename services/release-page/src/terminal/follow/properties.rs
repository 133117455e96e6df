//! Whatever is seen on the way, what is told in the end is the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::subsequence};

use super::*;
use crate::terminal::example::{at, known, release, service, stage, until};

/// Stages that follow each other or run side by side, of up to three runs.
fn releases() -> impl Strategy<Value = Release> {
    let times = vec((0_i64..20, 0_i64..30, 0_usize..3, any::<bool>()), 1..12);
    times.prop_map(|times| {
        let mut began = 0;
        let stages = times.into_iter().enumerate().map(|(number, (gap, took, run, is_good))| {
            began += gap;
            let state = if is_good { State::Succeeded } else { State::Failed };
            let (task, run) = (format!("task-{number}"), format!("run-{run}"));
            stage(Step::Gate(10), [&task, &run], [began, began + took], state, "done")
        });
        release(Outcome::Promoted, ["", ""], stages.collect())
    })
}

/// A look at a moment, or one at a part of it, or none: lists that are read anew show less for a while.
fn looks(release: Release) -> impl Strategy<Value = (Release, Vec<Known>)> {
    let all = release.stages.clone();
    let partial = subsequence(all.clone(), 0..=all.len());
    let look = (0_i64..400, partial, 0_u8..6).prop_map({
        let release = release.clone();
        move |(seconds, part, kind)| {
            let mut seen = until(&release, seconds);
            // The end of a release is its last look.
            (seen.outcome, seen.ended) = (Outcome::Underway, None);
            match kind {
                0 => return known(vec![], vec![]),
                1 => return Known { api_server: Source::Loading, ..known(vec![], vec![seen]) },
                2 => seen.stages.retain(|stage| part.iter().any(|kept| key(kept) == key(stage))),
                _ => {}
            }
            known(vec![service(10)], vec![seen])
        }
    });
    vec(look, 0..20).prop_map(move |looks| (release.clone(), looks))
}

/// Looks in the order of time, as they are without faults.
fn in_time(release: Release) -> impl Strategy<Value = (Release, Vec<Known>)> {
    vec(0_i64..400, 0..20).prop_map(move |mut moments| {
        moments.sort_unstable();
        let look = |seconds| {
            let seen = until(&release, seconds);
            known(
                vec![service(10)],
                vec![Release { outcome: Outcome::Underway, ended: None, ..seen }],
            )
        };
        (release.clone(), moments.into_iter().map(look).collect())
    })
}

fn told(release: &Release, looks: &[Known]) -> Vec<Event> {
    let mut followed = Followed::new("iris", Some("v2"));
    let end = known(vec![service(0)], vec![release.clone()]);
    let mut told: Vec<_> = looks.iter().flat_map(|known| followed.changes(known)).collect();
    told.extend(followed.changes(&end));
    assert_eq!(followed.changes(&end), [], "nothing is told twice");
    told
}

proptest! {
    #[test]
    fn each_stage_begins_once_and_then_ends_once_whatever_is_seen_on_the_way(
        (release, looks) in releases().prop_flat_map(looks)
    ) {
        let told = told(&release, &looks);
        let mut open = BTreeSet::new();
        let mut ended = BTreeMap::new();
        for event in &told {
            match event {
                Event::StageBegun(stage) => {
                    prop_assert!(open.insert(key(stage)) && !ended.contains_key(&key(stage)));
                }
                Event::StageEnded(stage) => {
                    prop_assert!(open.remove(&key(stage)));
                    ended.insert(key(stage), stage.clone());
                }
                _ => {}
            }
        }
        let all: BTreeMap<_, _> = release.stages.iter().map(|stage| (key(stage), stage.clone())).collect();
        prop_assert_eq!(ended, all);
        let begins = |event: &&Event| matches!(event, Event::Begun(_));
        let ends = |event: &&Event| matches!(event, Event::Ended(_));
        prop_assert_eq!(told.iter().filter(begins).count(), 1);
        prop_assert_eq!(told.iter().filter(ends).count(), 1);
        prop_assert!(matches!(told.last(), Some(Event::Ended(_))));
    }

    #[test]
    fn looks_in_the_order_of_time_are_told_in_the_order_of_time_however_many_there_were(
        (release, looks) in releases().prop_flat_map(in_time)
    ) {
        let times = |told: Vec<Event>| -> Vec<_> {
            told.into_iter()
                .filter_map(|event| match event {
                    Event::StageBegun(stage) => Some((stage.began, key(&stage), false)),
                    Event::StageEnded(stage) => Some((stage.ended?, key(&stage), true)),
                    _ => None,
                })
                .collect()
        };
        let told_of = times(told(&release, &looks));
        prop_assert!(told_of.is_sorted_by_key(|(at, ..)| *at));
        // One look at the end tells the same in the same order, but for what happened at one moment.
        let mut sorted = told_of;
        let mut at_once = times(told(&release, &[]));
        sorted.sort();
        at_once.sort();
        prop_assert_eq!(sorted, at_once);
        prop_assert!(release.began == at(0));
    }
}
