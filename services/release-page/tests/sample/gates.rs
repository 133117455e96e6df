//! What gates see, and what they have left.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use release_page::known::Gate;
use serde_json::json;

use super::{HOSTILE, LABEL, before};

/// A real report, without its style.
const PASSES: &str = include_str!(
    "../../../../steps/prometheus-gate/src/output/report/snapshots/prometheus_gate__output__report__tests__the_page_of_a_gate_that_passes.snap"
);
const FAILS: &str = include_str!(
    "../../../../steps/prometheus-gate/src/output/report/snapshots/prometheus_gate__output__report__tests__the_page_of_a_gate_that_fails.snap"
);
const STYLE: &str = include_str!("../../../../steps/prometheus-gate/src/output/report/report.css");

pub(crate) fn report(passes: bool) -> String {
    let text = if passes { PASSES } else { FAILS };
    let page = text.split_once("<!doctype").unwrap().1;
    format!("<!doctype{}", page.replacen('…', &[prometheus_gate::STYLE, STYLE].concat(), 1))
}

fn cards() -> String {
    let between =
        |from: &str, to: &str| PASSES.split_once(from).unwrap().1.split_once(to).unwrap().0;
    format!(
        "<div class=\"gate cards\"><svg class=\"hatches\"{}</svg>{}</div>",
        between("<svg class=\"hatches\"", "</svg>"),
        between("<main class=\"cards\">", "</main>")
    )
}

pub(crate) fn gates(now: Timestamp) -> BTreeMap<(String, String), Arc<Gate>> {
    let criterion = |name: &str, state: &str, log_e: f64, missing: f64| {
        json!({
            "name": name, "state": state,
            "points": { "good": 38, "bad": 1, "missing": 0, "unknown": 2, "warmup": 3 },
            "evidence": { "logE": log_e, "threshold": 6.22 }, "missingRequests": missing,
        })
    };
    let iris = Gate {
        summary: json!({
            "verdict": "pending", "reason": "pending",
            "message": "errors: held for 41 s of 1m; latency: 120 more requests to the canary are needed",
            "criteria": [
                json!({ "name": "no-restarts", "state": "held", "points": { "good": 41, "bad": 0, "missing": 0, "unknown": 0, "warmup": 2 } }),
                criterion("errors", "holding", 0.84, 0.0),
                criterion("latency", "warmup", 3.9, 120.0),
            ],
        }),
        cards: cards(),
        looked_at: before(now, 3),
        error: None,
    };
    let fraud = Gate {
        summary: json!({
            "verdict": "pending", "reason": "pending", "message": "all criteria hold; held by ada: wait until the campaign is over",
            "waiting": { "since": before(now, 6000).to_string(), "for": "held by ada: wait until the campaign is over" },
            "criteria": [criterion("errors", "held", -0.4, 0.0)],
        }),
        error: Some(
            "failed to query Prometheus `http://prometheus:9090`: connection refused".into(),
        ),
        looked_at: before(now, 70),
        ..Gate::default()
    };
    let hostile = Gate {
        summary: json!({
            "verdict": HOSTILE, "message": LABEL.repeat(500), "waiting": { "for": HOSTILE, "since": LABEL },
            "criteria": [{ "name": HOSTILE, "state": LABEL, "points": { "good": u64::MAX, "bad": -1 },
                "evidence": { "logE": 1e300, "threshold": -1e-300 }, "missingRequests": 1e18 }, 7, null, []],
        }),
        ..Gate::default()
    };
    let of =
        |namespace: &str, run: &str, gate| ((namespace.to_owned(), run.to_owned()), Arc::new(gate));
    BTreeMap::from([
        of("models", "promotion-iris-v3-25", iris),
        of("risk", "promotion-fraud-50", fraud),
        of("zoo", HOSTILE, hostile),
    ])
}
