//! What holds for whatever runs there are.

use proptest::{prelude::*, sample::select};

use super::*;

prop_compose! {
    fn any_task()(
        name in select(vec!["bento-build", "canary-create", "canary-created", "prometheus-gate", "canary-promote", "canary-rollback", "of-the-site"]),
        state in select(vec![State::Succeeded, State::Failed, State::Running]),
        outcome in select(vec!["", "canary", "first", "unchanged", "advanced", "promoted", "changed", "rolled-back", "nothing"]),
        verdict in select(vec!["", "pass", "fail", "inconclusive"]),
        percent in select(vec!["", "0", "10", "50", "100", "many"]),
        started in proptest::option::of(0..60_i64),
    ) -> TaskRecord {
        let results = [("outcome", outcome), ("verdict", verdict), ("percent", percent), ("canary-revision", "r-2")];
        TaskRecord { started: started.map(at), ended: (state != State::Running).then(|| at(61)), ..task(name, state, &results) }
    }
}

prop_compose! {
    fn any_run()(
        pipeline in select(vec!["canary-release", "canary-promotion", "canary-rollback-now"]),
        name in "[a-z]{6}", minute in 0..60_i64,
        (service, version) in (select(vec!["iris", "lotus"]), select(vec!["", "v1", "v2"])),
        correlation in select(vec!["", "c-1", "c-2"]), cancelled in any::<bool>(),
        climbed in select(vec!["", "10@2026-11-24T06:02:00Z"]), percent in select(vec!["", "10", "50"]),
        tasks in proptest::collection::vec(any_task(), 0..4),
        is_over in any::<bool>(),
    ) -> RunRecord {
        let params = [("climbed", climbed), ("percent", percent), ("ladder", "10,50"), ("started-at", "2026-11-24T06:12:00Z")];
        let made = run(pipeline, &name, minute, &params, vec![]);
        let state = if is_over { State::Failed } else { State::Running };
        RunRecord {
            service: service.into(), version: version.into(), correlation: correlation.into(), cancelled, state,
            ended: is_over.then(|| at(62)), ..made
        }
        .with_tasks(tasks)
    }
}

/// Of different names, as in a cluster
fn runs() -> impl Strategy<Value = Vec<RunRecord>> {
    proptest::collection::vec(any_run(), 0..12).prop_map(|mut runs| {
        runs.sort_by(|a, b| a.name.cmp(&b.name));
        runs.dedup_by(|a, b| a.name == b.name);
        runs
    })
}

proptest! {
    #[test]
    fn the_order_of_the_runs_does_not_matter((runs, shuffled) in runs().prop_flat_map(|runs| (Just(runs.clone()), Just(runs).prop_shuffle()))) {
        prop_assert_eq!(releases(&runs), releases(&shuffled));
    }

    #[test]
    fn each_run_is_of_one_release(runs in runs()) {
        let mut names: Vec<_> = releases(&runs).into_iter().flat_map(|release| release.runs).collect();
        names.sort();
        prop_assert_eq!(names, runs.iter().map(|run| run.name.clone()).collect::<Vec<_>>());
    }

    #[test]
    fn stages_runs_and_shares_are_in_order_and_none_is_lost(runs in runs()) {
        let found = releases(&runs);
        for release in &found {
            prop_assert!(release.stages.is_sorted_by_key(|stage| stage.began));
            prop_assert!(release.shares.is_sorted_by_key(|(_, at)| *at));
            prop_assert_eq!(release.ended.is_none(), release.outcome == Outcome::Underway);
        }
        prop_assert!(found.is_sorted_by(|a, b| a.began >= b.began));
        let stages: usize = found.iter().map(|release| release.stages.len()).sum();
        prop_assert_eq!(stages, runs.iter().map(|run| run.tasks.len()).sum::<usize>());
    }

    #[test]
    fn a_release_is_under_way_only_while_a_run_of_it_goes_on(runs in runs()) {
        for release in releases(&runs).iter().filter(|release| release.outcome == Outcome::Underway) {
            let goes_on = |run: &RunRecord| release.runs.contains(&run.name) && run.state == State::Running;
            prop_assert!(runs.iter().any(goes_on));
        }
    }
}
