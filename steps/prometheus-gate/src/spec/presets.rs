//! Presets: criteria for a canary of a KServe InferenceService that know which series to ask for.

use clap::ValueEnum;
use serde::Deserialize;

use crate::spec::queries::{Own, Query, Sides, matchers};
use crate::spec::request_metrics::{SOURCES, Source};
use crate::spec::resolved::{
    CompareTest, Counted, Criterion, LatencyTest, MOSTLY, SloTest, Test, ValueTest,
};
use crate::spec::{candidates::Candidate, status_codes::Codes};

/// A criterion that has a name
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preset {
    /// No container of the canary has restarted
    NoRestarts,
    /// The canary's share of failed requests is not worse than the baseline's: 5xx, 429, resets, timeouts, and requests
    /// that do not end
    Errors,
    /// The canary's share of requests that are refused as the client's mistake (4xx) or sent elsewhere (3xx) is not worse
    /// than the baseline's
    Rejections,
    /// The canary's requests are not more often slow than the baseline's, at any bound
    Latency,
    /// The canary's share of failed requests keeps to `--objective`, and enough requests prove it
    Slo,
    /// The canary gives each answer as often as the baseline does, as answer-counter counts them: no share is proven to have
    /// changed by more than `--max-answer-ratio` tolerates
    Answers,
}

/// What is asked where nothing else is.
pub(crate) const DEFAULT: [Preset; 4] =
    [Preset::NoRestarts, Preset::Errors, Preset::Rejections, Preset::Latency];

/// The revisions that a preset compares, and by which numbers.
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
    /// The canary's part of the traffic, 0 to 1, where it is known.
    pub(crate) weight: Option<f64>,
    pub(crate) codes: Codes,
}

impl Preset {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(crate) const fn needs_baseline(self) -> bool {
        matches!(self, Self::Errors | Self::Rejections | Self::Latency)
    }

    /// The candidates to ask, best first.
    pub(crate) fn candidates(self, release: &Release) -> Vec<Candidate> {
        if self == Self::NoRestarts {
            return no_restarts(release);
        }
        let mut candidates = Vec::new();
        for source in &SOURCES {
            for labels in source.labels {
                let side = |revision: &String| labels.matchers(&release.namespace, revision);
                let sides = Sides {
                    canary: side(&release.canary),
                    baseline: release.baseline.as_ref().map(side),
                };
                candidates.push(self.candidate(release, source, sides));
            }
        }
        candidates
    }

    fn candidate(self, release: &Release, source: &Source, sides: Sides) -> Candidate {
        let Release { max_ratio, alpha, min_requests, objective, weight, ref codes, .. } = *release;
        let counted = if self == Self::Rejections { Counted::Rejected } else { Counted::Failed };
        let errors = match counted {
            Counted::Rejected => codes.rejected(source.code),
            _ => codes.failed(source.code),
        };
        let counts_starts = source.starts.is_some() && self == Self::Errors;
        let compare = CompareTest {
            max_ratio,
            alpha,
            min_requests,
            counted,
            absolute: (counted == Counted::Failed).then_some(MOSTLY),
            weight,
            counts_starts,
        };
        let latency = LatencyTest { max_ratio, alpha, min_requests, thresholds: Vec::new() };
        let slo = SloTest { fail: Some(objective), pass: Some(objective), alpha, beta: 0.05 };
        let (test, metric, unit) = match self {
            Self::Latency => (Test::Latency(latency), source.bucket, source.unit),
            Self::Slo => (Test::Slo(slo), source.total, ""),
            _ => (Test::Compare(compare), source.total, ""),
        };
        let query = Query {
            bucket: (self == Self::Latency).then(|| source.selector(source.bucket, "")),
            total: source.selector(source.total, ""),
            errors: source.selector(source.total, &errors),
            inner: source
                .inner
                .filter(|_| counted == Counted::Failed)
                .map(|inner| source.selector(inner, &errors)),
            under_way: source.starts.filter(|_| counts_starts),
            own: Own::Known(source.own),
            sides,
        };
        Candidate {
            source: source.name,
            metric: metric.to_owned(),
            probe: query.probe(),
            criterion: Criterion {
                past: query.past(""),
                source: source.name.to_owned(),
                notes: self.notes(source, weight, codes),
                unit: unit.to_owned(),
                ..Criterion::new(&self.name(), query.text(""), test)
            },
            query: Some(query),
            answers: None,
        }
    }

    /// What a reader of the verdict has to know about the source.
    fn notes(self, source: &Source, weight: Option<f64>, codes: &Codes) -> Vec<String> {
        let misses = if self == Self::Latency { source.misses_of_latency } else { source.misses };
        let mut notes: Vec<String> = Vec::new();
        if !misses.is_empty() {
            notes.push(format!("{} does not see {misses}", source.name));
        }
        if self == Self::Rejections {
            notes.extend(codes.unjudged());
        }
        if self == Self::Errors && source.starts.is_none() {
            notes.push(match weight {
                Some(_) => format!(
                    "{} counts requests when they end; those that do not are missed by the canary's part of the traffic",
                    source.name
                ),
                None => format!(
                    "{} counts requests when they end; give `percent`, the canary's part of the traffic, so that those that do not are missed",
                    source.name
                ),
            });
        }
        notes
    }
}

/// Asks for restarts as an absolute number, not by `increase()`: a new revision's pods begin at 0.
fn no_restarts(release: &Release) -> Vec<Candidate> {
    const METRIC: &str = "kube_pod_container_status_restarts_total";
    let Release { namespace, canary, .. } = release;
    // With `honor_labels: false` Prometheus keeps what kube-state-metrics says under `exported_…`.
    let labels = [
        ("namespace", "pod", "container"),
        ("exported_namespace", "exported_pod", "exported_container"),
        ("k8s_namespace_name", "k8s_pod_name", "k8s_container_name"),
    ];
    let candidate = |(namespaces, pods, containers): (&str, &str, &str)| {
        let selector = format!("{METRIC}{{{}}}", matchers(namespaces, pods, namespace, canary));
        // A container that two jobs scrape has restarted once.
        let query = format!("sum(max by ({pods},{containers}) ({selector}))");
        Candidate {
            source: "kube-state-metrics",
            metric: METRIC.to_owned(),
            probe: format!("count({selector})"),
            query: None,
            answers: None,
            criterion: Criterion {
                source: "kube-state-metrics".to_owned(),
                unit: "restarts".to_owned(),
                ..Criterion::new(&Preset::NoRestarts.name(), query, Test::Value(ValueTest::zero()))
            },
        }
    };
    labels.map(candidate).into()
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
            weight: Some(0.1),
            codes: Codes::default(),
        }
    }

    #[test]
    fn restarts_are_asked_for_as_an_absolute_number() {
        let candidates = Preset::NoRestarts.candidates(&release());
        assert_eq!(
            candidates[0].criterion.query,
            r#"sum(max by (pod,container) (kube_pod_container_status_restarts_total{namespace="models",pod=~"iris-predictor-00002-deployment-.+"}))"#
        );
    }

    #[test]
    fn what_came_back_at_the_gateway_is_counted_first_and_what_the_model_counts_last() {
        let mut sources: Vec<_> = Preset::Errors
            .candidates(&release())
            .iter()
            .map(|candidate| candidate.source)
            .collect();
        sources.dedup();
        assert_eq!(
            sources,
            [
                "Envoy",
                "Envoy, of which starts are not scraped,",
                "queue-proxy",
                "queue-proxy before Knative 1.19",
                "the container's own count",
                "the container's own count before Knative 1.19",
                "BentoML"
            ]
        );
    }

    #[test]
    fn a_source_that_misses_something_says_so() {
        for preset in [Preset::Errors, Preset::Rejections, Preset::Latency, Preset::Slo] {
            for candidate in preset.candidates(&release()) {
                let silent = candidate.criterion.notes.is_empty();
                let sees_all = candidate.source.starts_with("Envoy")
                    && (preset != Preset::Errors || candidate.source == "Envoy");
                assert_eq!(silent, sees_all, "{preset:?} by {}", candidate.source);
            }
        }
    }

    #[test]
    fn an_objective_needs_no_baseline() {
        let alone = Release { baseline: None, ..release() };
        let candidate = &Preset::Slo.candidates(&alone)[0];
        let query = candidate.query.as_ref().unwrap().text("instance");
        assert!(!query.contains("baseline"), "{query}");
        assert!(query.contains("canary_total"), "{query}");
    }

    #[test]
    fn restarts_are_no_longer_hidden_by_labels_of_another_collector() {
        let found: Vec<String> = Preset::NoRestarts
            .candidates(&release())
            .into_iter()
            .map(|candidate| candidate.probe)
            .collect();
        assert!(found.iter().any(|probe| probe.contains("exported_pod=~")), "{found:?}");
        assert!(found.iter().any(|probe| probe.contains("k8s_pod_name=~")), "{found:?}");
    }
}
