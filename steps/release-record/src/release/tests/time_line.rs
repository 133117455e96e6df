//! Which runs make a release, and its time line.

use super::*;

#[test]
fn the_time_line_has_each_task_in_its_own_words() {
    let advanced = promotion(vec![
        passed(),
        done(
            "canary-promote",
            &[("outcome", "advanced"), ("percent", "50"), ("started-at", "2026-11-24T06:12:00Z")],
        ),
    ]);
    let params = [
        ("ladder", "10,50,100"),
        ("percent", "50"),
        ("started-at", "2026-11-24T06:12:00Z"),
        ("climbed", "10@2026-11-24T06:02:00Z"),
    ];
    let second = run(
        "canary-promotion",
        "promotion-2",
        20,
        &params,
        vec![failed_gate(), rolled_back(), done("of-the-site", &[])],
    );
    let release = only(&[second, advanced, release()]);
    let line: Vec<_> =
        release.stages.iter().map(|stage| (stage.step, stage.detail.as_str())).collect();
    assert_eq!(
        line,
        [
            (Step::Image, "layers onto an environment that was there"),
            (Step::Canary, "10 % of the requests"),
            (Step::Event, ""),
            (Step::Gate(10), "pass: hold: held for 60s"),
            (Step::Promote(50), "50 % of the requests"),
            (Step::Gate(50), "fail: errors: too many"),
            (Step::Rollback, "all requests are the version's before again"),
            (Step::Other, ""),
        ]
    );
    assert_eq!(release.runs, ["release-1", "promotion-1", "promotion-2"]);
    assert_eq!(release.shares, [(10, at(2)), (50, at(12))]);
    assert_eq!(release.ladder, [10, 50, 100]);
    assert_eq!((release.began, release.ended), (at(0), Some(at(22))));
    assert_eq!(release.image, "r/iris@sha256:cd34");
    assert_eq!((release.bento.as_str(), release.bento_sha256.as_str()), ("iris:v2", "ab12"));
    assert_eq!(
        (release.revision.as_str(), release.baseline_revision.as_str()),
        ("iris-predictor-00002", "iris-predictor-00001")
    );
}

#[test]
fn the_ladder_is_the_one_that_the_canary_took() {
    let create = done("canary-create", &[("outcome", "canary"), ("ladder", "10,25,50,100")]);
    let of = |params: &[(&str, &str)]| {
        only(&[run("canary-release", "release-1", 0, params, vec![build(), create.clone()])]).ladder
    };
    assert_eq!(of(&[]), [10, 25, 50, 100], "none was given");
    assert_eq!(of(&[("ladder", "")]), [10, 25, 50, 100]);
    assert_eq!(only(&[release()]).ladder, [10, 50, 100]);
}

#[test]
fn a_task_that_failed_without_a_word_has_that_of_its_condition() {
    let run =
        run("canary-release", "release-1", 0, &[], vec![task("bento-build", State::Failed, &[])]);
    assert_eq!(only(&[run]).stages[0].detail, "exited with code 1");
}

#[test]
fn what_a_release_waits_for_is_its_reason() {
    let waits = |tasks| ending_of(&[run("canary-release", "release-1", 0, &[], tasks)]).2;
    let running = |name| task(name, State::Running, &[]);
    assert_eq!(waits(vec![running("bento-build")]), "its image is made");
    assert_eq!(waits(vec![build(), running("canary-create")]), "its canary starts");
    assert_eq!(
        ending_of(&[release(), promotion(vec![passed(), running("canary-promote")])]).2,
        "it gets 50 %"
    );
    let pending = RunRecord {
        state: State::Running,
        reason: "PipelineRunPending".into(),
        tasks: vec![],
        ..release()
    };
    assert_eq!(ending_of(&[pending]).2, "run `release-1` waits to be started");
}

#[test]
fn a_release_that_no_event_started_has_the_promotions_that_follow_it() {
    let by_hand = RunRecord { correlation: String::new(), ..release() };
    let again = RunRecord {
        name: "release-0".into(),
        uid: "u-0".into(),
        created: Some(at(-60)),
        ..by_hand.clone()
    };
    let found = releases(&[by_hand, promotion(vec![passed()]), again]);
    let runs: Vec<_> = found.iter().map(|found| found.runs.join(" ")).collect();
    assert_eq!(runs, ["release-1 promotion-1", "release-0"]);
}

#[test]
fn promotions_whose_release_run_is_gone_make_a_release_with_what_they_were_told() {
    let params = [
        ("ladder", "10,50,100"),
        ("percent", "50"),
        ("started-at", "2026-11-24T06:12:00Z"),
        ("climbed", "10@2026-11-24T06:02:00Z"),
        ("canary-image", "r/iris@sha256:cd34"),
        ("canary-revision", "iris-predictor-00002"),
    ];
    let alone =
        run("canary-promotion", "promotion-2", 20, &params, vec![failed_gate(), rolled_back()]);
    let found = only(&[alone]);
    assert_eq!(found.shares, [(10, at(2)), (50, at(12))]);
    assert_eq!(
        (found.image.as_str(), found.revision.as_str()),
        ("r/iris@sha256:cd34", "iris-predictor-00002")
    );
    assert_eq!(found.outcome, Outcome::RolledBack);
}

#[test]
fn a_run_that_is_kept_and_still_in_the_cluster_counts_once() {
    let earlier = RunRecord { state: State::Running, ended: None, tasks: vec![], ..release() };
    assert_eq!(releases(&[earlier.clone(), release()]), releases(&[release()]));
    assert_eq!(releases(&[release(), earlier]), releases(&[release()]));
}
