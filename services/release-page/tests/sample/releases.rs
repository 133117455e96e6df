//! Releases of every outcome.

use jiff::Timestamp;
use release_record::{
    release::{Outcome, Release, Stage, Step},
    run::State,
};

use super::{HOSTILE, LABEL, before};

/// A stage that began so many seconds after the release, and took so many.
type Part = (Step, &'static str, i64, Option<i64>, State, &'static str);

struct Told {
    service: (&'static str, &'static str),
    version: &'static str,
    /// Seconds ago
    began: i64,
    parts: Vec<Part>,
    shares: Vec<(u8, i64)>,
    outcome: Outcome,
    cause: &'static str,
    reason: &'static str,
}

fn release(now: Timestamp, told: Told) -> Release {
    let began = before(now, told.began);
    let after = |seconds: i64| before(began, -seconds);
    let (namespace, service) = told.service;
    let end = told.parts.iter().filter_map(|part| Some(part.2 + part.3?)).max();
    let run = |task: &str, number: usize| match number {
        0..3 => format!("release-{service}-{}", told.version),
        _ if task == "rollback" => format!("promotion-{service}-{}-{}", told.version, number),
        number => format!(
            "promotion-{service}-{}-{}",
            told.version,
            [10, 25, 50, 100][((number - 3) / 2).min(3)]
        ),
    };
    let stages: Vec<Stage> = told
        .parts
        .iter()
        .enumerate()
        .map(|(number, (step, task, from, took, state, detail))| Stage {
            step: *step,
            task: (*task).into(),
            run: run(task, number),
            began: after(*from),
            ended: took.map(|took| after(from + took)),
            state: *state,
            detail: (*detail).into(),
        })
        .collect();
    let mut runs: Vec<String> = stages.iter().map(|stage| stage.run.clone()).collect();
    runs.dedup();
    Release {
        namespace: namespace.into(),
        service: service.into(),
        version: told.version.into(),
        began,
        ended: (told.outcome != Outcome::Underway).then(|| after(end.unwrap_or_default())),
        outcome: told.outcome,
        cause: told.cause.into(),
        reason: told.reason.into(),
        ladder: vec![10, 25, 50, 100],
        revision: format!("{service}-predictor-00003"),
        baseline_revision: format!("{service}-predictor-00002"),
        image: format!("registry.local:5000/models/{service}@sha256:{}", "3c".repeat(32)),
        bento_sha256: "7f".repeat(32),
        bento: format!("{service}:{}", told.version),
        is_given_up: false,
        stages,
        runs,
        shares: told.shares.into_iter().map(|(percent, at)| (percent, after(at))).collect(),
    }
}

fn beginning() -> Vec<Part> {
    vec![
        (
            Step::Image,
            "bento-build",
            2,
            Some(131),
            State::Succeeded,
            "registry.local:5000/models/iris@sha256:3c3c…",
        ),
        (
            Step::Canary,
            "canary-create",
            134,
            Some(38),
            State::Succeeded,
            "10 % to iris-predictor-00003",
        ),
        (Step::Event, "cloudevent-send", 173, Some(2), State::Succeeded, "canary.created.v1"),
    ]
}

pub(crate) fn releases(now: Timestamp) -> Vec<Release> {
    let iris = ("models", "iris");
    let with = |more: &[Part]| [beginning(), more.to_vec()].concat();
    let under_way = Told {
        service: iris,
        version: "v3",
        began: 780,
        parts: with(&[
            (
                Step::Gate(10),
                "prometheus-gate",
                176,
                Some(186),
                State::Succeeded,
                "pass · hold: held for 1m",
            ),
            (Step::Promote(25), "canary-promote", 362, Some(6), State::Succeeded, "25 %"),
            (Step::Gate(25), "prometheus-gate", 370, None, State::Running, ""),
        ]),
        shares: vec![(10, 172), (25, 368)],
        outcome: Outcome::Underway,
        cause: "",
        reason: "the gate at 25 % is judging",
    };
    let promoted = Told {
        service: iris,
        version: "v2",
        began: 89_000,
        parts: with(&[
            (
                Step::Gate(10),
                "prometheus-gate",
                176,
                Some(86),
                State::Succeeded,
                "pass · hold: held for 1m",
            ),
            (Step::Promote(25), "canary-promote", 262, Some(6), State::Succeeded, "25 %"),
            (
                Step::Gate(25),
                "prometheus-gate",
                270,
                Some(80),
                State::Succeeded,
                "pass · hold: held for 1m",
            ),
            (Step::Promote(50), "canary-promote", 350, Some(5), State::Succeeded, "50 %"),
            (
                Step::Gate(50),
                "prometheus-gate",
                358,
                Some(200),
                State::Succeeded,
                "pass · hold: held for 1m",
            ),
            (Step::Promote(100), "canary-promote", 559, Some(8), State::Succeeded, "100 %"),
        ]),
        shares: vec![(10, 172), (25, 268), (50, 355), (100, 567)],
        outcome: Outcome::Promoted,
        cause: "",
        reason: "held on every rung; it serves all requests",
    };
    let rolled_back = Told {
        service: iris,
        version: "v2-rc1",
        began: 172_000,
        parts: with(&[
            (
                Step::Gate(10),
                "prometheus-gate",
                176,
                Some(54),
                State::Failed,
                "fail · evidence: errors: 31 of 212 requests failed, 2 of 1,904 of the baseline",
            ),
            (
                Step::Rollback,
                "rollback",
                231,
                Some(12),
                State::Succeeded,
                "all requests to iris-predictor-00001",
            ),
        ]),
        shares: vec![(10, 172)],
        outcome: Outcome::RolledBack,
        cause: "gate-fail",
        reason: "errors: the canary fails more requests than its baseline, and chance does not explain it",
    };
    let failed = Told {
        service: ("risk", "churn"),
        version: "v7",
        began: 4000,
        parts: vec![
            beginning()[0],
            (
                Step::Canary,
                "canary-create",
                134,
                Some(600),
                State::Failed,
                "failed to start revision `churn-predictor-00007`: container exits with 1: ModuleNotFoundError: No module named 'xgboost'",
            ),
        ],
        shares: vec![],
        outcome: Outcome::Failed,
        cause: "canary-failed",
        reason: "the canary did not start: container exits with 1",
    };
    let held = Told {
        service: ("risk", "fraud"),
        version: "2026.11.2",
        began: 15_800,
        parts: with(&[
            (
                Step::Gate(10),
                "prometheus-gate",
                176,
                Some(3600),
                State::Succeeded,
                "pass · hold: held for 1h",
            ),
            (Step::Promote(50), "canary-promote", 6790, Some(10), State::Succeeded, "50 %"),
            (Step::Gate(50), "prometheus-gate", 6805, None, State::Running, ""),
        ]),
        shares: vec![(10, 172), (50, 6800)],
        outcome: Outcome::Underway,
        cause: "",
        reason: "held by ada: wait until the campaign is over",
    };
    let mut all: Vec<Release> =
        [under_way, promoted, rolled_back, failed, held].map(|told| release(now, told)).into();
    all[4].ladder = vec![10, 50, 100];
    all[4].runs =
        vec!["release-fraud".into(), "promotion-fraud-10".into(), "promotion-fraud-50".into()];
    for stage in &mut all[4].stages {
        stage.run = match stage.step {
            Step::Gate(50) => "promotion-fraud-50".into(),
            Step::Gate(_) | Step::Promote(_) => "promotion-fraud-10".into(),
            _ => "release-fraud".into(),
        };
    }
    for stage in &mut all[0].stages {
        if stage.step == Step::Gate(25) {
            stage.run = "promotion-iris-v3-25".into();
        }
    }
    all[0].runs = vec![
        "release-iris-v3".into(),
        "promotion-iris-v3-10".into(),
        "promotion-iris-v3-25".into(),
    ];
    all.push(hostile(now));
    all
}

fn hostile(now: Timestamp) -> Release {
    let stage = |step, state| Stage {
        step,
        task: LABEL.into(),
        run: HOSTILE.into(),
        began: before(now, -5000),
        ended: Some(Timestamp::MIN),
        state,
        detail: LABEL.repeat(400),
    };
    Release {
        namespace: "zoo".into(),
        service: HOSTILE.into(),
        version: HOSTILE.into(),
        began: before(now, 300),
        ended: Some(Timestamp::MIN),
        outcome: Outcome::Failed,
        cause: HOSTILE.into(),
        reason: LABEL.repeat(400),
        ladder: vec![255, 3, 3],
        revision: LABEL.into(),
        baseline_revision: HOSTILE.into(),
        image: LABEL.into(),
        bento_sha256: HOSTILE.into(),
        bento: format!("{HOSTILE}:{LABEL}"),
        is_given_up: false,
        stages: vec![stage(Step::Gate(255), State::Failed), stage(Step::Image, State::Running)],
        runs: vec![HOSTILE.into(), LABEL.into()],
        shares: vec![(255, Timestamp::MAX), (0, Timestamp::MIN)],
    }
}
