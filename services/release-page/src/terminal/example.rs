//! A release and what is known of it at each moment, for tests.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use release_record::{
    release::{Outcome, Release, Stage, Step},
    run::State,
};
use serde_json::json;

use crate::known::{Canary, Gate, Known, Service, Share, Source};

/// So many seconds after the release began.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let began: Timestamp = "2026-11-24T09:30:00Z".parse().unwrap();
    began + SignedDuration::from_secs(seconds)
}

pub(crate) fn stage(
    step: Step,
    [task, run]: [&str; 2],
    [began, ended]: [i64; 2],
    state: State,
    detail: &str,
) -> Stage {
    Stage {
        step,
        task: task.into(),
        run: run.into(),
        began: at(began),
        ended: Some(at(ended)),
        state,
        detail: detail.into(),
    }
}

/// What begins at 0 and has ended at the last end of these.
pub(crate) fn release(outcome: Outcome, [cause, reason]: [&str; 2], stages: Vec<Stage>) -> Release {
    let mut runs: Vec<_> = stages.iter().map(|stage| stage.run.clone()).collect();
    runs.dedup();
    Release {
        namespace: "models".into(),
        service: "iris".into(),
        version: "v2".into(),
        began: at(0),
        ended: stages.iter().filter_map(|stage| stage.ended).max(),
        outcome,
        cause: cause.into(),
        reason: reason.into(),
        ladder: vec![10, 50, 100],
        revision: "iris-predictor-00002".into(),
        baseline_revision: "iris-predictor-00001".into(),
        image: "r/iris@sha256:b7e7".into(),
        bento_sha256: String::new(),
        bento: "iris:v2".into(),
        is_given_up: false,
        stages,
        runs,
        shares: Vec::new(),
    }
}

/// Two rungs, of which the canary fails the second.
pub(crate) fn rolled_back() -> Release {
    let (first, second, third) = ("iris-v2-a1", "iris-v2-b2", "iris-v2-c3");
    let done = State::Succeeded;
    let stages = vec![
        stage(Step::Image, ["bento-build", first], [2, 73], done, "layers onto an environment"),
        stage(Step::Canary, ["canary-create", first], [73, 91], done, "10 % of the requests"),
        stage(Step::Event, ["canary-created", first], [91, 93], done, ""),
        stage(Step::Gate(10), ["prometheus-gate", second], [95, 155], done, "pass: hold"),
        stage(
            Step::Promote(50),
            ["canary-promote", second],
            [155, 160],
            done,
            "50 % of the requests",
        ),
        stage(
            Step::Gate(50),
            ["prometheus-gate", third],
            [162, 201],
            State::Failed,
            "fail: evidence",
        ),
        stage(
            Step::Rollback,
            ["canary-rollback", third],
            [201, 207],
            done,
            "all requests are the version's before again",
        ),
    ];
    release(
        Outcome::RolledBack,
        ["gate-failed", "errors: 7 of 7 requests to the canary failed"],
        stages,
    )
}

/// What a release shows at a moment: what has begun by then, and has ended.
pub(crate) fn until(release: &Release, seconds: i64) -> Release {
    let moment = at(seconds);
    let mut seen = release.clone();
    seen.stages.retain(|stage| stage.began <= moment);
    for stage in &mut seen.stages {
        if stage.ended.is_some_and(|ended| ended > moment) {
            (stage.ended, stage.state) = (None, State::Running);
            stage.detail = String::new();
        }
    }
    let mut runs: Vec<_> = seen.stages.iter().map(|stage| stage.run.clone()).collect();
    runs.dedup();
    seen.runs = if runs.is_empty() { release.runs[..1].to_vec() } else { runs };
    if release.ended > Some(moment) {
        (seen.ended, seen.outcome) = (None, Outcome::Underway);
        (seen.cause, seen.reason) = (String::new(), "it goes on".into());
    }
    seen
}

pub(crate) fn share(version: &str, number: u8, percent: u8) -> Share {
    Share {
        revision: format!("iris-predictor-{number:05}"),
        version: version.into(),
        percent,
        is_canary: number == 2,
    }
}

/// The service, whose canary has this percent.
pub(crate) fn service(percent: u8) -> Service {
    let split = [share("v1", 1, 100 - percent), share("v2", 2, percent)];
    Service {
        namespace: "models".into(),
        name: "iris".into(),
        url: "http://iris.models.example.com".into(),
        is_ready: true,
        split: split.into_iter().filter(|share| share.percent > 0).collect(),
        canary: (percent > 0).then(|| Canary {
            version: "v2".into(),
            revision: "iris-predictor-00002".into(),
            percent,
            since: Some(at(91)),
            run: "iris-v2-b2".into(),
        }),
        ..Service::default()
    }
}

pub(crate) fn known(services: Vec<Service>, releases: Vec<Release>) -> Known {
    Known {
        services: services.into_iter().map(Arc::new).collect(),
        releases: releases.into_iter().map(Arc::new).collect(),
        api_server: Source::Current,
        store: Source::Absent,
        ..Known::default()
    }
}

/// A gate that still wants requests.
pub(crate) fn gate(requests: u32, missing: u32) -> Arc<Gate> {
    let message = format!("errors: 0 of {requests} requests failed; {missing} more are needed");
    let criterion = json!({
        "name": "errors", "missingRequests": missing, "heldSeconds": 20.0,
        "evidence": { "canary": { "errors": 0.0, "total": requests } },
    });
    Arc::new(Gate {
        summary: json!({ "verdict": "pending", "message": message, "criteria": [criterion] }),
        ..Gate::default()
    })
}

/// All of the release above, at a moment.
pub(crate) fn story(seconds: i64) -> Known {
    let percent = match seconds {
        ..90 | 205.. => 0,
        90..159 => 10,
        _ => 50,
    };
    let mut service = service(percent);
    if (120..140).contains(&seconds) {
        service.decisions = vec![("hold".into(), "ada: p99 is up".into())];
    }
    let mut known = known(vec![service], vec![until(&rolled_back(), seconds)]);
    if (100..155).contains(&seconds) {
        let run = ("models".to_owned(), "iris-v2-b2".to_owned());
        let seen = if seconds < 130 { gate(12, 38) } else { gate(40, 10) };
        known.gates.insert(run, seen);
    }
    if (165..170).contains(&seconds) {
        let error = "connection refused".into();
        known.api_server = Source::Away { since: at(165), error };
    }
    known
}
