//! A site with everything that can happen in it, also what nobody hopes for.

#![allow(
    dead_code,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "its functions are tables, of which each of those who include it takes a part"
)]

pub(crate) mod gates;
pub(crate) mod manifests;
pub(crate) mod releases;

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use release_page::{
    known::{Bento, Canary, Known, Service, Share, Source},
    page::view::Site,
};

/// A bento of this name harms nobody.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>";
/// Quotes, a link that acts, and marks that turn the direction of writing
pub(crate) const LABEL: &str = "\"'><img src=x onerror=alert(2)>\u{202e}javascript:alert(3)";

/// So long before a moment.
pub(crate) fn before(now: Timestamp, seconds: i64) -> Timestamp {
    now - SignedDuration::from_secs(seconds)
}

pub(crate) fn site() -> Site {
    Site {
        event_listener: "http://el-canary:8080".into(),
        store: "s3://bentos".into(),
        s3_endpoint: "http://s3.local:9000".into(),
    }
}

pub(crate) fn sample(now: Timestamp) -> Known {
    let mut known = Known {
        services: services(now).into_iter().map(Arc::new).collect(),
        releases: releases::releases(now).into_iter().map(Arc::new).collect(),
        bentos: bentos(now).into_iter().map(Arc::new).collect(),
        gates: gates::gates(now),
        api_server: Source::Current,
        store: Source::Current,
        missing: Vec::new(),
        reports: Arc::default(),
    };
    let runs = known.releases.iter().flat_map(|release| {
        release.runs.iter().map(|run| (release.namespace.clone(), run.clone()))
    });
    known.reports = Arc::new(runs.filter(|(_, run)| run.starts_with("promotion-iris")).collect());
    known.services.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    known.releases.sort_by_key(|release| std::cmp::Reverse(release.began));
    known
}

fn share(revision: &str, version: &str, percent: u8, is_canary: bool) -> Share {
    Share { revision: revision.into(), version: version.into(), percent, is_canary }
}

fn service(namespace: &str, name: &str, split: Vec<Share>) -> Service {
    Service {
        namespace: namespace.into(),
        name: name.into(),
        url: format!("http://{name}.{namespace}.example.com"),
        is_ready: true,
        split,
        ..Service::default()
    }
}

fn services(now: Timestamp) -> Vec<Service> {
    let iris = Service {
        canary: Some(Canary {
            version: "v3".into(),
            revision: "iris-predictor-00003".into(),
            percent: 25,
            since: Some(before(now, 412)),
            run: "promotion-iris-v3-25".into(),
        }),
        ..service(
            "models",
            "iris",
            vec![
                share("iris-predictor-00002", "v2", 75, false),
                share("iris-predictor-00003", "v3", 25, true),
            ],
        )
    };
    let fraud = Service {
        canary: Some(Canary {
            version: "2026.11.2".into(),
            revision: "fraud-predictor-00041".into(),
            percent: 50,
            since: Some(before(now, 9000)),
            run: "promotion-fraud-50".into(),
        }),
        decisions: vec![("hold".into(), "2026.11.2 ada: wait until the campaign is over".into())],
        ..service(
            "risk",
            "fraud",
            vec![
                share("fraud-predictor-00040", "2026.11.1", 50, false),
                share("fraud-predictor-00041", "2026.11.2", 50, true),
            ],
        )
    };
    let broken = Service {
        is_ready: false,
        message: "Revision \"churn-predictor-00007\" failed: container exits with 1: ModuleNotFoundError: No module named 'xgboost'".into(),
        ..service("risk", "churn", vec![share("churn-predictor-00006", "v6", 100, false)])
    };
    let hostile = Service {
        message: LABEL.repeat(300),
        url: "javascript:alert(4)".into(),
        decisions: vec![(HOSTILE.into(), LABEL.into())],
        stopped: Some("ada: incident 42".into()),
        canary: Some(Canary {
            version: HOSTILE.into(),
            revision: LABEL.into(),
            percent: 255,
            since: Some(before(now, -90)),
            run: HOSTILE.into(),
        }),
        ..service(
            "zoo",
            HOSTILE,
            vec![
                share(LABEL, HOSTILE, 200, false),
                share("r2", &"x".repeat(10_000), 255, true),
                share("r3", "", 0, false),
            ],
        )
    };
    vec![
        iris,
        fraud,
        broken,
        hostile,
        service("models", "digits", vec![share("digits-predictor-00001", "v1", 100, false)]),
        service(
            "models",
            "sentiment",
            vec![
                share("sentiment-predictor-00011", "v11", 100, false),
                share("sentiment-predictor-00010", "", 0, false),
            ],
        ),
        Service {
            is_ready: false,
            message: "no revision is ready yet".into(),
            ..service("models", "new", vec![])
        },
    ]
}

fn bentos(now: Timestamp) -> Vec<Bento> {
    let bento = |name: &str,
                 version: &str,
                 seconds: i64,
                 bytes: u64,
                 framework: &str,
                 labels: &[(&str, &str)]| Bento {
        name: name.into(),
        version: version.into(),
        created: before(now, seconds).to_string(),
        bytes,
        framework: framework.into(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        url: format!("s3://bentos/{name}/{version}.bento"),
        error: None,
    };
    vec![
        bento(
            "iris",
            "v3",
            1300,
            48_300_000,
            "sklearn",
            &[("team", "flowers"), ("stage", "candidate")],
        ),
        bento(
            "fraud",
            "2026.11.2",
            16_000,
            812_000_000,
            "xgboost",
            &[("team", "risk"), ("pii", "no")],
        ),
        bento("iris", "v2", 90_000, 48_100_000, "sklearn", &[("team", "flowers")]),
        Bento {
            error: Some(
                "failed to read `s3://bentos/spam/v1.bento`: the archive ends too early".into(),
            ),
            ..bento("spam", "v1", 100_000, 12, "", &[])
        },
        bento(HOSTILE, LABEL, 200_000, u64::MAX, HOSTILE, &[(LABEL, HOSTILE)]),
        Bento {
            created: "yesterday\n<b>".into(),
            ..bento("churn", &"y".repeat(10_000), 0, 0, "lightgbm,sklearn", &[])
        },
        bento("sentiment", "v11", 900_000, 1_420_000_000, "transformers", &[("team", "language")]),
        bento("digits", "v1", 4_000_000, 9_900_000, "torch", &[("team", "vision")]),
        bento("iris", "v1", 5_000_000, 47_000_000, "sklearn", &[("team", "flowers")]),
    ]
}
