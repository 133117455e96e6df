//! Ready-made criteria for a canary of a KServe InferenceService, and the series they can rest on.

use clap::ValueEnum;
use serde::Deserialize;

use crate::{
    samples::{PART, Part},
    spec::{CompareTest, Criterion, LatencyTest, Role, SECOND, SloTest, Test, ValueTest},
};

/// A question that has a name
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReadyMade {
    /// No container of the canary has restarted
    NoRestarts,
    /// The canary's share of failed requests is not worse than the baseline's
    Errors,
    /// The canary's requests are not more often slow than the baseline's, at any bound
    Latency,
    /// The canary's share of failed requests keeps to `--objective`, and enough requests prove it
    Slo,
}

/// Whom the ready-made criteria are about, and what they go by.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) namespace: String,
    pub(crate) canary: String,
    pub(crate) baseline: Option<String>,
    pub(crate) max_ratio: f64,
    pub(crate) alpha: f64,
    pub(crate) min_requests: f64,
    /// Share of errors that is allowed, 0 to 1.
    pub(crate) objective: f64,
}

/// One way to ask a ready-made question, by the series of one source.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Whose series they are.
    pub(crate) source: &'static str,
    /// A selector that finds a series exactly when this way works.
    pub(crate) probe: String,
    pub(crate) criterion: Criterion,
}

impl ReadyMade {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoRestarts => "no-restarts",
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Slo => "slo",
        }
    }

    /// The ways to ask, best first.
    pub(crate) fn candidates(self, release: &Release) -> Vec<Candidate> {
        if self == Self::NoRestarts {
            return no_restarts(release);
        }
        let mut ways = Vec::new();
        for source in &SOURCES {
            for labels in source.revision_labels {
                let side = |revision: &String| matchers(labels, &release.namespace, revision);
                let sides = (side(&release.canary), release.baseline.as_ref().map(side));
                ways.push(self.way(release, source, &sides));
            }
        }
        ways
    }

    fn way(self, release: &Release, source: &Source, sides: &Sides) -> Candidate {
        let Release { max_ratio, alpha, min_requests, objective, .. } = *release;
        let total = selector(source.total, &[source.only]);
        let failed = selector(source.total, &[source.only, source.failed]);
        let bucket = selector(source.bucket, &[source.bucket_only]);
        let (probe, query, test, unit) = match self {
            Self::Latency => {
                let test = LatencyTest { max_ratio, alpha, min_requests, thresholds: Vec::new() };
                (&bucket, matched(&[("bucket", &bucket)], sides), Test::Latency(test), source.unit)
            }
            Self::Slo => {
                let test =
                    SloTest { fail: Some(objective), pass: Some(objective), alpha, beta: 0.05 };
                (&total, counters(&failed, &total, sides), Test::Slo(test), "")
            }
            Self::Errors | Self::NoRestarts => {
                let test = CompareTest { max_ratio, alpha, min_requests };
                (&total, counters(&failed, &total, sides), Test::Compare(test), "")
            }
        };
        let probes: Vec<String> = [Some(&sides.0), sides.1.as_ref()]
            .into_iter()
            .flatten()
            .map(|side| merged(probe, side))
            .collect();
        Candidate {
            source: source.name,
            probe: probes.join(" or "),
            criterion: Criterion {
                name: self.name().to_owned(),
                query,
                presence: None,
                role: Role::Gate,
                window: 0, // each counter belongs to one revision
                coverage: 0.9,
                max_gap: 90 * SECOND,
                unit: unit.to_owned(),
                test,
            },
        }
    }
}

fn no_restarts(release: &Release) -> Vec<Candidate> {
    let Release { namespace, canary, .. } = release;
    // With `honor_labels: false` Prometheus keeps what kube-state-metrics says under `exported_…`.
    ["", "exported_"]
        .map(|prefix| {
            let labels =
                format!("{prefix}namespace={},{prefix}pod=~{}", quoted(namespace), pods(canary));
            let selector = format!("kube_pod_container_status_restarts_total{{{labels}}}");
            Candidate {
                source: "kube-state-metrics",
                criterion: Criterion {
                    name: ReadyMade::NoRestarts.name().to_owned(),
                    // Absolute, not `increase()`: a new revision's pods begin at 0.
                    query: format!("sum({selector})"),
                    presence: None,
                    role: Role::Gate,
                    window: 0,
                    coverage: 0.9,
                    // kube-state-metrics is often scraped once a minute.
                    max_gap: 90 * SECOND,
                    unit: "restarts".to_owned(),
                    test: Test::Value(ValueTest::zero()),
                },
                probe: selector,
            }
        })
        .into()
}

/// Counters and histograms of requests: of whom, and how a revision is told apart in them.
struct Source {
    name: &'static str,
    total: &'static str,
    /// Which of the requests failed.
    failed: &'static str,
    /// What else a request must be to count.
    only: &'static str,
    bucket: &'static str,
    bucket_only: &'static str,
    /// Of the buckets.
    unit: &'static str,
    revision_labels: &'static [&'static str],
}

/// How scrape rules name the revision of a pod: this catalog's way, Knative's, and the pod's own name.
const OF_A_POD: &[&str] = &["revision", "revision_name", "pod"];

/// The closest to the model first; the gateway also sees requests that never reached a pod.
const SOURCES: [Source; 4] = [
    Source {
        name: "queue-proxy",
        total: "kn_serving_invocation_duration_seconds_count",
        failed: r#"http_response_status_code=~"5..""#,
        only: "",
        bucket: "kn_serving_invocation_duration_seconds_bucket",
        bucket_only: "",
        unit: "s",
        revision_labels: OF_A_POD,
    },
    Source {
        name: "queue-proxy before Knative 1.19",
        total: "revision_app_request_count",
        failed: r#"response_code_class="5xx""#,
        only: "",
        bucket: "revision_app_request_latencies_bucket",
        bucket_only: "",
        unit: "ms",
        revision_labels: OF_A_POD,
    },
    Source {
        name: "Envoy",
        total: "envoy_cluster_upstream_rq",
        failed: r#"envoy_response_code=~"5..""#,
        only: "",
        bucket: "envoy_cluster_upstream_rq_time_bucket",
        bucket_only: "",
        unit: "ms",
        revision_labels: &["envoy_cluster_name"],
    },
    // It counts the kubelet's probes and the pages for people as requests too.
    Source {
        name: "BentoML",
        total: "bentoml_service_request_total",
        failed: r#"http_response_code=~"5..""#,
        only: r#"endpoint!~"/|/livez|/readyz|/healthz|/metrics|/docs.json|/schema.json|/static_content/.*",http_response_code!="404""#,
        bucket: "bentoml_service_request_duration_seconds_bucket",
        bucket_only: r#"endpoint!~"/|/livez|/readyz|/healthz|/metrics|/docs.json|/schema.json|/static_content/.*",http_response_code!="404""#,
        unit: "s",
        revision_labels: OF_A_POD,
    },
];

fn matchers(label: &str, namespace: &str, revision: &str) -> String {
    match label {
        "envoy_cluster_name" => format!("{label}={}", quoted(&format!("{namespace}/{revision}"))),
        "pod" => format!("namespace={},pod=~{}", quoted(namespace), pods(revision)),
        label => format!("namespace={},{label}={}", quoted(namespace), quoted(revision)),
    }
}

/// The canary's label matchers, and the baseline's where there is one.
type Sides = (String, Option<String>);

/// A query for the counters of errors and of all requests, on both sides.
pub(crate) fn counters(errors: &str, total: &str, sides: &Sides) -> String {
    matched(&[("total", total), ("errors", errors)], sides)
}

/// One query for all series of a comparison, so that one answer shows them at the same moments. Each
/// says by a label which part it is. With them come signs of which processes were known before.
pub(crate) fn matched(selectors: &[(&str, &str)], sides: &Sides) -> String {
    let mut parts = Vec::new();
    for (side, matchers) in [("canary", Some(&sides.0)), ("baseline", sides.1.as_ref())] {
        let Some(matchers) = matchers else { continue };
        for (what, selector) in selectors {
            parts.push(labelled(&merged(selector, matchers), &format!("{side}_{what}")));
        }
        parts.push(labelled(&merged("up", matchers), Part::Up.label()));
        parts
            .push(labelled(&merged("process_start_time_seconds", matchers), Part::Started.label()));
    }
    parts.join(" or ")
}

/// A query that answers with the numbers, from 0, of the ways that the server has series for.
pub(crate) fn which_exist(ways: &[Candidate]) -> String {
    let found = ways
        .iter()
        .enumerate()
        .map(|(at, way)| labelled(&format!("count({})", way.probe), &at.to_string()));
    found.collect::<Vec<_>>().join(" or ")
}

/// A selector with more matchers than it has.
fn merged(selector: &str, matchers: &str) -> String {
    match selector.trim().strip_suffix('}') {
        Some(open) if open.trim_end().ends_with(['{', ',']) => format!("{open}{matchers}}}"),
        Some(open) => format!("{open},{matchers}}}"),
        None => format!("{}{{{matchers}}}", selector.trim()),
    }
}

fn selector(metric: &str, matchers: &[&str]) -> String {
    let matchers: Vec<&str> =
        matchers.iter().copied().filter(|matcher| !matcher.is_empty()).collect();
    if matchers.is_empty() {
        metric.to_owned()
    } else {
        format!("{metric}{{{}}}", matchers.join(","))
    }
}

/// An expression whose series say which part of the question they are.
fn labelled(expression: &str, part: &str) -> String {
    format!(r#"label_replace({expression},"{PART}","{part}","","")"#)
}

fn pods(revision: &str) -> String {
    quoted(&format!("{}-deployment-.+", revision.replace('.', "\\.")))
}

/// A string of the query language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        Release {
            namespace: "models".to_owned(),
            canary: "iris-predictor-00002".to_owned(),
            baseline: Some("iris-predictor-00001".to_owned()),
            max_ratio: 1.25,
            alpha: 0.05,
            min_requests: 50.0,
            objective: 0.02,
        }
    }

    #[test]
    fn restarts_are_asked_for_as_an_absolute_number() {
        let candidates = ReadyMade::NoRestarts.candidates(&release());
        assert_eq!(
            candidates[0].criterion.query,
            r#"sum(kube_pod_container_status_restarts_total{namespace="models",pod=~"iris-predictor-00002-deployment-.+"})"#
        );
    }

    #[test]
    fn all_counters_of_a_comparison_come_in_one_answer() {
        let candidates = ReadyMade::Errors.candidates(&release());
        let query = &candidates[0].criterion.query;
        let part = r#"label_replace(kn_serving_invocation_duration_seconds_count{http_response_status_code=~"5..",namespace="models",revision="iris-predictor-00002"},"gate_part","canary_errors","","")"#;
        assert!(query.contains(part), "{query}");
        assert_eq!(query.matches(" or ").count(), 7, "{query}");
    }

    #[test]
    fn the_closest_source_is_tried_first() {
        let sources: Vec<_> =
            ReadyMade::Errors.candidates(&release()).iter().map(|way| way.source).collect();
        assert_eq!((sources[0], sources[6], sources[7]), ("queue-proxy", "Envoy", "BentoML"));
    }

    #[test]
    fn matchers_are_added_to_those_that_are_there() {
        assert_eq!(merged("x", "a=\"b\""), "x{a=\"b\"}");
        assert_eq!(merged("x{c=\"d\"}", "a=\"b\""), "x{c=\"d\",a=\"b\"}");
        assert_eq!(merged(" x{} ", "a=\"b\""), "x{a=\"b\"}");
        assert_eq!(merged("x{c=\"d\",}", "a=\"b\""), "x{c=\"d\",a=\"b\"}");
    }

    #[test]
    fn an_objective_needs_no_baseline() {
        let alone = Release { baseline: None, ..release() };
        let query = &ReadyMade::Slo.candidates(&alone)[0].criterion.query;
        assert!(!query.contains("baseline"), "{query}");
        assert!(query.contains("canary_total"), "{query}");
    }
}
