//! How releases end.

use super::*;

fn is(runs: &[RunRecord], outcome: Outcome, cause: &str, reason: &str) {
    assert_eq!(ending_of(runs), (outcome, cause.into(), reason.into()));
}

fn undo(minute: i64, version: &str, tasks: Vec<TaskRecord>) -> RunRecord {
    let params = [("by", "ada"), ("reason", "it sorts roses under tulips")];
    let undo = run("canary-rollback-now", &format!("undo-{minute}"), minute, &params, tasks);
    RunRecord { version: version.into(), correlation: "c-undo".into(), ..undo }
}

/// The promotion to 100 % in the twentieth minute
fn promoted() -> RunRecord {
    let tasks = vec![
        passed(),
        done(
            "canary-promote",
            &[("outcome", "promoted"), ("percent", "100"), ("started-at", "2026-11-24T06:21:30Z")],
        ),
        done("canary-promoted", &[]),
    ];
    let params = [
        ("ladder", "10,50,100"),
        ("percent", "50"),
        ("started-at", "2026-11-24T06:12:00Z"),
        ("climbed", "10@2026-11-24T06:02:00Z"),
    ];
    run("canary-promotion", "promotion-2", 20, &params, tasks)
}

#[test]
fn a_first_version_is_promoted_at_once() {
    for (outcome, reason) in
        [("first", "there was no version before"), ("unchanged", "it served all requests already")]
    {
        let created = done(
            "canary-create",
            &[("outcome", outcome), ("percent", "100"), ("started-at", "2026-11-24T06:01:30Z")],
        );
        let run =
            run("canary-release", "release-1", 0, &[("ladder", "10,50")], vec![build(), created]);
        is(std::slice::from_ref(&run), Outcome::Promoted, "", reason);
        let release = only(&[run]);
        assert_eq!(release.ladder, Vec::<u8>::new(), "there was nothing to climb");
        assert_eq!(release.ended, Some(at(2)));
        assert_eq!(release.shares, [(100, "2026-11-24T06:01:30Z".parse().unwrap())]);
    }
}

#[test]
fn a_canary_that_climbed_all_rungs_is_promoted() {
    is(&[release(), promoted()], Outcome::Promoted, "", "hold: held for 60s");
}

#[test]
fn a_canary_that_bakes_at_100_is_promoted_when_its_gate_there_has_passed() {
    let advanced = |percent: &'static str| {
        vec![
            passed(),
            done(
                "canary-promote",
                &[
                    ("outcome", "advanced"),
                    ("percent", percent),
                    ("started-at", "2026-11-24T06:12:00Z"),
                ],
            ),
        ]
    };
    let to_bake = promotion(advanced("100"));
    is(
        &[release(), to_bake.clone()],
        Outcome::RolledBack,
        "cancelled",
        "run `promotion-1` gave it 100 %, and no run came to judge it there, or it was deleted",
    );
    let params = [
        ("percent", "100"),
        ("started-at", "2026-11-24T06:12:00Z"),
        ("climbed", "10@2026-11-24T06:02:00Z"),
    ];
    let bake = |tasks| run("canary-promotion", "promotion-2", 20, &params, tasks);
    let goes_on = bake(vec![task("prometheus-gate", State::Running, &[])]);
    is(
        &[release(), to_bake.clone(), goes_on],
        Outcome::Underway,
        "",
        "the gate decides about 100 %",
    );
    let ended = bake(vec![
        passed(),
        done(
            "canary-promote",
            &[("outcome", "promoted"), ("percent", "100"), ("started-at", "2026-11-24T06:12:00Z")],
        ),
    ]);
    let release = only(&[release(), to_bake, ended]);
    assert_eq!(release.outcome, Outcome::Promoted);
    assert_eq!(release.shares, [(10, at(2)), (100, at(12))]);
}

#[test]
fn a_gate_s_no_takes_it_back() {
    for (verdict, reason, cause) in [
        ("fail", "errors: too many", "gate-failed"),
        ("inconclusive", "nodata: no requests", "gate-inconclusive"),
        ("fail", "override: ada aborts it: wrong model", "manual"),
        ("inconclusive", "not-approved: within 24h", "manual"),
    ] {
        let gate =
            task("prometheus-gate", State::Failed, &[("verdict", verdict), ("reason", reason)]);
        is(
            &[release(), promotion(vec![gate.clone(), rolled_back()])],
            Outcome::RolledBack,
            cause,
            reason,
        );
        let rollback = task("canary-rollback", State::Running, &[]);
        is(
            &[release(), promotion(vec![gate, rollback])],
            Outcome::Underway,
            cause,
            &format!("it is taken back: {reason}"),
        );
    }
}

#[test]
fn a_rollback_whose_event_was_not_sent_has_rolled_back_all_the_same() {
    let rollback = task("canary-rollback", State::Failed, &[("outcome", "rolled-back")]);
    is(
        &[release(), promotion(vec![failed_gate(), rollback])],
        Outcome::RolledBack,
        "gate-failed",
        "errors: too many",
    );
}

#[test]
fn a_promotion_whose_event_was_not_sent_is_taken_back() {
    let promote = task(
        "canary-promote",
        State::Failed,
        &[("outcome", "promoted"), ("percent", "100"), ("error", "failed to send")],
    );
    let back =
        promotion(vec![passed(), promote.clone(), task("canary-rollback", State::Running, &[])]);
    is(&[release(), back], Outcome::Underway, "error", "it is taken back: failed to send");
    let back = promotion(vec![passed(), promote, rolled_back()]);
    is(&[release(), back], Outcome::RolledBack, "error", "failed to send");
}

#[test]
fn a_release_without_a_run_goes_on_while_its_canary_is_there_and_one_that_was_ended_does_not() {
    let between_its_runs = only(&[release()]);
    assert_eq!(between_its_runs.outcome, Outcome::RolledBack, "its runs say no more");
    let goes_on = between_its_runs.with_its_canary();
    assert_eq!((goes_on.outcome, goes_on.ended), (Outcome::Underway, None));
    assert_eq!(goes_on.cause, "");
    assert_eq!(goes_on.reason, "its canary is there: its next run, or the sweep, goes on with it");
    for ended in [
        vec![release(), promotion(vec![failed_gate(), rolled_back()])],
        vec![release(), promoted()],
    ] {
        let ended = only(&ended);
        assert_eq!(ended.clone().with_its_canary(), ended, "what is read of its canary is older");
    }
}

#[test]
fn a_canary_that_never_became_ready_is_taken_back() {
    let create = |reason: &str, error: &str| TaskRecord {
        reason: reason.into(),
        ..task(
            "canary-create",
            State::Failed,
            &[("canary-revision", "iris-predictor-00002"), ("error", error)],
        )
    };
    let run =
        |create| run("canary-release", "release-1", 0, &[], vec![build(), create, rolled_back()]);
    is(
        &[run(create("Failed", "the model crashes"))],
        Outcome::RolledBack,
        "error",
        "the model crashes",
    );
    is(&[run(create("TaskRunTimeout", ""))], Outcome::RolledBack, "timeout", "exited with code 1");
}

#[test]
fn a_release_without_a_canary_has_failed() {
    let nothing = || done("canary-rollback", &[("outcome", "nothing")]);
    let run = |tasks| run("canary-release", "release-1", 0, &[], tasks);
    let no_build = task("bento-build", State::Failed, &[]);
    is(&[run(vec![no_build.clone(), nothing()])], Outcome::Failed, "error", "exited with code 1");
    is(&[run(vec![no_build])], Outcome::Failed, "error", "exited with code 1");
    let busy = task("canary-create", State::Failed, &[("error", "another canary is in progress")]);
    is(
        &[run(vec![build(), busy, nothing()])],
        Outcome::Failed,
        "error",
        "another canary is in progress",
    );
}

#[test]
fn a_canary_whose_place_a_newer_one_took_is_replaced() {
    let old = promotion(vec![
        task("prometheus-gate", State::Failed, &[("verdict", "inconclusive"), ("reason", "gone")]),
        done("canary-rollback", &[("outcome", "nothing")]),
    ]);
    let canary = [("outcome", "canary"), ("canary-revision", "iris-predictor-00003")];
    let newer =
        run("canary-release", "release-2", 9, &[], vec![build(), done("canary-create", &canary)]);
    let newer = RunRecord { version: "v3".into(), correlation: "c-3".into(), ..newer };
    let found = releases(&[release(), old.clone(), newer]);
    let old_one = found.iter().find(|found| found.version == "v2").unwrap();
    assert_eq!((old_one.outcome, old_one.cause.as_str()), (Outcome::Failed, "replaced"));
    assert_eq!(old_one.reason, "a newer release, v3, has taken its place");
    is(&[release(), old], Outcome::Failed, "gate-inconclusive", "gone");
}

#[test]
fn a_release_whose_runs_all_ended_without_an_end_is_over() {
    let cancelled = RunRecord {
        cancelled: true,
        ..promotion(vec![task("prometheus-gate", State::Failed, &[])])
    };
    is(
        &[release(), cancelled],
        Outcome::RolledBack,
        "cancelled",
        "run `promotion-1` was cancelled",
    );
    let why = "run `promotion-1` cannot go on: its container was killed";
    let stuck = RunRecord {
        cancelled: true,
        cannot_go_on: why.into(),
        ..promotion(vec![task("prometheus-gate", State::Failed, &[])])
    };
    is(&[release(), stuck], Outcome::RolledBack, "error", why);
    let late = RunRecord {
        state: State::Failed,
        reason: "PipelineRunTimeout".into(),
        ..promotion(vec![])
    };
    is(
        &[release(), late],
        Outcome::RolledBack,
        "timeout",
        "run `promotion-1` took longer than its timeout",
    );
    is(
        &[release()],
        Outcome::RolledBack,
        "cancelled",
        "run `release-1` gave it 10 %, and no run came to judge it there, or it was deleted",
    );
    let early = RunRecord {
        cancelled: true,
        ..run("canary-release", "release-1", 0, &[], vec![task("bento-build", State::Failed, &[])])
    };
    is(&[early], Outcome::Failed, "cancelled", "run `release-1` was cancelled");
}

#[test]
fn an_undo_takes_back_the_last_promotion_and_keeps_its_time_line() {
    let undone = [release(), promoted(), undo(40, "", vec![rolled_back()])];
    is(&undone, Outcome::RolledBack, "manual", "ada asked for it: it sorts roses under tulips");
    let undone = only(&undone);
    assert_eq!(undone.runs, ["release-1", "promotion-2", "undo-40"]);
    assert_eq!(undone.ended, Some(at(41)));
    let goes_on = undo(40, "v2", vec![task("canary-rollback", State::Running, &[])]);
    is(&[release(), promoted(), goes_on], Outcome::Promoted, "", "hold: held for 60s");
    let refused = undo(40, "v2", vec![task("canary-rollback", State::Failed, &[("outcome", "")])]);
    is(&[release(), promoted(), refused], Outcome::Promoted, "", "hold: held for 60s");
}

#[test]
fn an_undo_is_of_the_newest_promoted_release_of_its_version() {
    let other = RunRecord { version: "v1".into(), correlation: "c-1".into(), ..promoted() };
    let other = RunRecord {
        name: "promotion-of-v1".into(),
        uid: "u".into(),
        created: Some(at(-90)),
        ..other
    };
    let found = releases(&[other, release(), promoted(), undo(40, "v1", vec![rolled_back()])]);
    let outcomes: Vec<_> =
        found.iter().map(|found| (found.version.as_str(), found.outcome)).collect();
    assert_eq!(outcomes, [("v2", Outcome::Promoted), ("v1", Outcome::RolledBack)]);
}

#[test]
fn an_undo_of_what_is_not_known_stands_alone() {
    let alone = undo(40, "v9", vec![rolled_back()]);
    is(&[alone], Outcome::RolledBack, "manual", "ada asked for it: it sorts roses under tulips");
}
