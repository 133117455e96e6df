//! Gates that what is shown is tested with.

use crate::record::{run::Record, summary::Summary};

const SPEC: &str = r#"
timing: {step: 5s, hold: 1m, warmup: 8s, settle: 10s, deadline: 5m}
rollout:
  service: iris
  namespace: models
  canaryRevision: iris-predictor-00002
  baselineRevision: iris-predictor-00001
  canaryImage: registry.example/iris@sha256:3f1c0a5b7d9e2f4860718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7
  baselineImage: registry.example/iris:1.4.0
  canaryVersion: 1.5.0
  baselineVersion: 1.4.0
  percent: 10
  run: iris-1-5-0-promotion-x7k2p
criteria:
- {name: restarts, query: 'sum(restarts{pod=~"iris-predictor-00002-.+"})', when: value == 0, unit: restarts, failLimit: 0}
- {name: errors, compare: {errors: 'requests{code=~"5.."}', total: requests, minRequests: 20}}
- {name: latency, latency: {bucket: seconds_bucket, minRequests: 20}, unit: s}
- {name: memory, query: memory, when: value < 2e9, unit: bytes, role: observe}
"#;

const FAST: [(&str, &str); 4] = [
    ("latency/canary_bucket{le=\"0.25\"}", "0+9x60"),
    ("latency/canary_bucket{le=\"+Inf\"}", "0+10x60"),
    ("latency/baseline_bucket{le=\"0.25\"}", "0+81x60"),
    ("latency/baseline_bucket{le=\"+Inf\"}", "0+90x60"),
];

pub(crate) const PASSING: &[(&str, &str)] = &[
    ("restarts", "0x60"),
    ("errors/canary_total", "0+10x60"),
    ("errors/canary_errors", "0x6 1x60"),
    ("errors/baseline_total", "0+90x60"),
    ("errors/baseline_errors", "0+1x60"),
    ("memory", "1.5e9+1e7x20 1.7e9x60"),
    FAST[0],
    FAST[1],
    FAST[2],
    FAST[3],
];

/// Every request to the canary fails, and there are few of them.
pub(crate) const FAILING: &[(&str, &str)] = &[
    ("restarts", "0x60"),
    ("errors/canary_total", "0x2 1+1x6 13+1x60"),
    ("errors/canary_errors", "0x2 1+1x6 13+1x60"),
    ("errors/baseline_total", "0+9x60"),
    ("errors/baseline_errors", "0x60"),
    ("memory", "1.5e9x7 2.2e9x60"),
    FAST[0],
    FAST[1],
    FAST[2],
    FAST[3],
];

/// Nobody asks the canary, and its memory is not measured any more.
pub(crate) const INCONCLUSIVE: &[(&str, &str)] = &[
    ("restarts", "0x60"),
    ("errors/canary_total", "7x60"),
    ("errors/baseline_total", "0+90x60"),
    ("memory", "1.5e9x10 stale"),
];

pub(crate) fn judged(series: &[(&str, &str)]) -> (Summary, Record) {
    let series: Vec<_> = series.iter().map(|(name, text)| ((*name).to_owned(), *text)).collect();
    crate::cli::simulate::example(SPEC, &series)
}

const ANSWERS: &str = r"
timing: {step: 5s, hold: 1m, warmup: 8s, settle: 10s, deadline: 5m}
rollout: {service: iris, namespace: models, canaryRevision: b, baselineRevision: a, canaryVersion: v2}
criteria: [{preset: answers, minRequests: 20}]
";

/// The canary names every other flower `setosa`, which is a third of them to the baseline.
pub(crate) const CHANGED: &[(&str, &str)] = &[
    ("answers/canary_taken", "0+10x60"),
    ("answers/canary_answered", "0+10x60"),
    ("answers/canary_filled{field=\"/species\"}", "0+10x60"),
    ("answers/canary_filled{field=\"/score\"}", "0+10x60"),
    ("answers/canary_answer{field=\"/species\",answer=\"setosa\"}", "0+7x60"),
    ("answers/canary_answer{field=\"/species\",answer=\"virginica\"}", "0+2x60"),
    ("answers/canary_answer{field=\"/species\",answer=\"<b>x</b>\"}", "0+1x60"),
    ("answers/canary_value{field=\"/score\",le=\"0.5\"}", "0+2x60"),
    ("answers/canary_value{field=\"/score\",le=\"+Inf\"}", "0+10x60"),
    BASELINE[0],
    BASELINE[1],
    BASELINE[2],
    BASELINE[3],
    BASELINE[4],
    BASELINE[5],
    BASELINE[6],
    BASELINE[7],
    BASELINE[8],
];

const BASELINE: [(&str, &str); 9] = [
    ("answers/baseline_taken", "0+90x60"),
    ("answers/baseline_answered", "0+90x60"),
    ("answers/baseline_filled{field=\"/species\"}", "0+90x60"),
    ("answers/baseline_filled{field=\"/score\"}", "0+90x60"),
    ("answers/baseline_answer{field=\"/species\",answer=\"setosa\"}", "0+30x60"),
    ("answers/baseline_answer{field=\"/species\",answer=\"virginica\"}", "0+40x60"),
    ("answers/baseline_answer{field=\"/species\",answer=\"versicolor\"}", "0+20x60"),
    ("answers/baseline_value{field=\"/score\",le=\"0.5\"}", "0+18x60"),
    ("answers/baseline_value{field=\"/score\",le=\"+Inf\"}", "0+90x60"),
];

pub(crate) fn answered(series: &[(&str, &str)]) -> (Summary, Record) {
    let series: Vec<_> = series.iter().map(|(name, text)| ((*name).to_owned(), *text)).collect();
    crate::cli::simulate::example(ANSWERS, &series)
}
