//! Ready-made criteria for a canary of a KServe InferenceService, and the series they can rest on.

use clap::ValueEnum;

use crate::{
    samples::Part,
    spec::{CompareTest, Criterion, SECOND, Test, ValueTest},
};

/// A question that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadyMade {
    /// No container of the canary has restarted
    NoRestarts,
    /// The canary's share of failed requests is not worse than the baseline's
    Errors,
}

/// Whom the ready-made criteria are about.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) namespace: String,
    pub(crate) canary: String,
    pub(crate) baseline: String,
    pub(crate) compare: CompareTest,
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
    /// The ways to ask, best first.
    pub(crate) fn candidates(self, release: &Release) -> Vec<Candidate> {
        match self {
            Self::NoRestarts => no_restarts(release),
            Self::Errors => errors(release),
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
                    name: "no-restarts".to_owned(),
                    // Absolute, not `increase()`: a new revision's pods begin at 0.
                    query: format!("sum({selector})"),
                    window: 0,
                    coverage: 0.9,
                    // kube-state-metrics is often scraped once a minute.
                    max_gap: 90 * SECOND,
                    unit: "restarts".to_owned(),
                    test: Test::Value(ValueTest {
                        when: "value == 0"
                            .parse()
                            .unwrap_or_else(|_| unreachable!("it is a condition")),
                        fail_limit: Some(0),
                        consecutive_fail: None,
                    }),
                },
                probe: selector,
            }
        })
        .into()
}

/// Counters of requests by status code: of what, and how a revision is told apart in them.
struct Source {
    name: &'static str,
    metric: &'static str,
    failed: &'static str,
    /// What else a request must be to count.
    only: &'static str,
}

/// What a queue-proxy and a model say, each of the pod it runs in.
const IN_PODS: [Source; 3] = [
    Source {
        name: "queue-proxy",
        metric: "kn_serving_invocation_duration_seconds_count",
        failed: r#"http_response_status_code=~"5..""#,
        only: "",
    },
    Source {
        name: "queue-proxy before Knative 1.19",
        metric: "revision_app_request_count",
        failed: r#"response_code_class="5xx""#,
        only: "",
    },
    // It counts the kubelet's probes and the pages for people as requests too.
    Source {
        name: "BentoML",
        metric: "bentoml_service_request_total",
        failed: r#"http_response_code=~"5..""#,
        only: r#"endpoint!~"/|/livez|/readyz|/healthz|/metrics|/docs.json|/schema.json|/static_content/.*",http_response_code!="404""#,
    },
];

/// The gateway, which also sees requests that never reached a pod.
const GATEWAY: Source = Source {
    name: "Envoy",
    metric: "envoy_cluster_upstream_rq",
    failed: r#"envoy_response_code=~"5..""#,
    only: "",
};

/// How scrape rules name the revision of a pod: this catalog's way, Knative's, and the pod's own name.
fn in_pod(label: &str, namespace: &str, revision: &str) -> String {
    let namespace = quoted(namespace);
    match label {
        "pod" => format!("namespace={namespace},pod=~{}", pods(revision)),
        label => format!("namespace={namespace},{label}={}", quoted(revision)),
    }
}

fn errors(release: &Release) -> Vec<Candidate> {
    let Release { namespace, canary, baseline, compare } = release;
    let mut ways = Vec::new();
    let [queue_proxy, queue_proxy_before, bentoml] = IN_PODS;
    for source in [queue_proxy, queue_proxy_before, GATEWAY, bentoml] {
        if source.name == GATEWAY.name {
            let cluster = |revision: &str| {
                format!("envoy_cluster_name={}", quoted(&format!("{namespace}/{revision}")))
            };
            ways.push(comparison(&source, &cluster(canary), &cluster(baseline), None, *compare));
            continue;
        }
        for label in ["revision", "revision_name", "pod"] {
            let [canary, baseline] =
                [canary, baseline].map(|revision| in_pod(label, namespace, revision));
            let both = [canary.as_str(), baseline.as_str()];
            ways.push(comparison(&source, &canary, &baseline, Some(both), *compare));
        }
    }
    ways
}

/// All counters in one query, so that one answer shows them at the same moments.
fn comparison(
    source: &Source,
    canary: &str,
    baseline: &str,
    pods: Option<[&str; 2]>,
    compare: CompareTest,
) -> Candidate {
    let select = |metric: &str, matchers: &[&str]| {
        let matchers: Vec<&str> =
            matchers.iter().copied().filter(|matcher| !matcher.is_empty()).collect();
        format!("{metric}{{{}}}", matchers.join(","))
    };
    let total = |side| select(source.metric, &[side, source.only]);
    let failed = |side| select(source.metric, &[side, source.only, source.failed]);
    let mut parts = vec![
        (Part::CanaryTotal, total(canary)),
        (Part::CanaryErrors, failed(canary)),
        (Part::BaselineTotal, total(baseline)),
        (Part::BaselineErrors, failed(baseline)),
    ];
    for side in pods.into_iter().flatten() {
        parts.push((Part::Up, select("up", &[side])));
        parts.push((Part::Started, select("process_start_time_seconds", &[side])));
    }
    let query = parts
        .iter()
        .map(|(part, selector)| labelled(selector, part.label()))
        .collect::<Vec<_>>()
        .join(" or ");
    Candidate {
        source: source.name,
        probe: format!("{} or {}", total(baseline), total(canary)),
        criterion: Criterion {
            name: "errors".to_owned(),
            query,
            window: 0, // each counter belongs to one revision
            coverage: 0.9,
            max_gap: 90 * SECOND,
            unit: String::new(),
            test: Test::Compare(compare),
        },
    }
}

/// A query that answers with the numbers, from 0, of the ways that the server has series for.
pub(crate) fn which_exist(ways: &[Candidate]) -> String {
    let found = ways
        .iter()
        .enumerate()
        .map(|(at, way)| labelled(&format!("count({})", way.probe), &at.to_string()));
    found.collect::<Vec<_>>().join(" or ")
}

/// A selector whose series say which part of the question they are.
pub(crate) fn labelled(selector: &str, part: &str) -> String {
    format!(r#"label_replace({selector},"{}","{part}","","")"#, crate::samples::PART)
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
            baseline: "iris-predictor-00001".to_owned(),
            compare: CompareTest { max_ratio: 1.25, alpha: 0.05, min_requests: 50.0 },
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
        let canary = r#"namespace="models",revision="iris-predictor-00002""#;
        let failed = r#"http_response_status_code=~"5..""#;
        let part = format!(
            r#"label_replace(kn_serving_invocation_duration_seconds_count{{{canary},{failed}}},"gate_part","canary_errors","","")"#
        );
        assert!(query.contains(&part), "{query}");
        assert_eq!(query.matches(" or ").count(), 7, "{query}");
    }

    #[test]
    fn the_closest_source_is_tried_first() {
        let sources: Vec<_> =
            ReadyMade::Errors.candidates(&release()).iter().map(|way| way.source).collect();
        assert_eq!((sources[0], sources[6], sources[7]), ("queue-proxy", "Envoy", "BentoML"));
    }
}
