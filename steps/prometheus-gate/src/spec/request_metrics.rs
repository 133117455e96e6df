//! Whose counters of requests there are, and how a revision is told apart in them.

use crate::spec::queries::{UnderWay, matchers, quoted};

/// Counters and histograms of requests.
pub(crate) struct Source {
    pub(crate) name: &'static str,
    /// Requests that have ended.
    pub(crate) total: &'static str,
    /// The label of their status.
    pub(crate) code: &'static str,
    /// What else a request must be to count.
    only: &'static str,
    /// The same requests, counted between proxy and container: those that were given up or timed out
    /// have no status there, where the proxy calls some of them 200.
    pub(crate) inner: Option<&'static str>,
    /// Where those that begin are counted too.
    pub(crate) starts: Option<UnderWay>,
    pub(crate) bucket: &'static str,
    /// Of the buckets.
    pub(crate) unit: &'static str,
    /// The labels by which the source itself splits its counts; all others say who scraped it.
    pub(crate) own: &'static [&'static str],
    pub(crate) labels: &'static [Labels],
    /// Requests that it does not count, as the end of a sentence.
    pub(crate) misses: &'static str,
    pub(crate) misses_of_latency: &'static str,
}

/// The labels that tell a revision.
#[derive(Clone, Copy)]
pub(crate) enum Labels {
    /// Labels of the namespace and of the revision's name.
    Name(&'static str, &'static str),
    /// Labels of the namespace and of the pod's name, which begins with the revision's.
    Pod(&'static str, &'static str),
    /// One label, `NAMESPACE/REVISION`.
    Cluster(&'static str),
}

impl Labels {
    pub(crate) fn matchers(self, namespace: &str, revision: &str) -> String {
        match self {
            Self::Name(namespaces, revisions) => {
                format!("{namespaces}={},{revisions}={}", quoted(namespace), quoted(revision))
            }
            Self::Pod(namespaces, pods) => matchers(namespaces, pods, namespace, revision),
            Self::Cluster(label) => {
                format!("{label}={}", quoted(&format!("{namespace}/{revision}")))
            }
        }
    }
}

/// The candidates in which sites label what they scrape from pods: this catalog's, Prometheus's own,
/// Knative's before 1.19, OpenTelemetry's.
const OF_A_POD: &[Labels] = &[
    Labels::Name("namespace", "revision"),
    Labels::Name("namespace", "revision_name"),
    Labels::Name("namespace_name", "revision_name"),
    Labels::Name("namespace", "kn_revision_name"),
    Labels::Name("k8s_namespace_name", "kn_revision_name"),
    Labels::Pod("namespace", "pod"),
    Labels::Pod("namespace", "pod_name"),
    Labels::Pod("namespace_name", "pod_name"),
    Labels::Pod("k8s_namespace_name", "k8s_pod_name"),
    Labels::Pod("kubernetes_namespace", "kubernetes_pod_name"),
    Labels::Pod("exported_namespace", "exported_pod"),
];

/// What splits OpenTelemetry's counts of HTTP requests.
const OTEL: &[&str] = &[
    "http_response_status_code",
    "http_request_method",
    "http_route",
    "url_scheme",
    "server_address",
    "server_port",
    "network_protocol_name",
    "network_protocol_version",
    "error_type",
    "kn_route_tag",
];

const REFUSED_BEFORE: &str = "requests that were refused or broken off before the container, by the queue-proxy, the activator or the gateway, and counts those that clients gave up or that timed out as answered";
const BROKEN_BEFORE: &str = "requests that were refused or broken off before the pod, by the activator or the gateway, and answers that were cut short";
const WAITING: &str = "the time that requests wait before the container";
const ON_THE_WAY: &str = "the time that requests wait before the pod";
const PROBES: &str =
    r#"endpoint!~"/|/livez|/readyz|/healthz|/metrics|/docs.json|/schema.json|/static_content/.*""#;

const ENVOY: Source = Source {
    name: "Envoy",
    total: "envoy_cluster_upstream_rq",
    code: "envoy_response_code",
    only: "",
    inner: None,
    starts: Some(UnderWay {
        starts: "envoy_cluster_upstream_rq_total",
        active: "envoy_cluster_upstream_rq_active",
    }),
    bucket: "envoy_cluster_upstream_rq_time_bucket",
    unit: "ms",
    own: &["envoy_response_code"],
    labels: &[Labels::Cluster("envoy_cluster_name")],
    misses: "",
    misses_of_latency: "",
};

const QUEUE_PROXY: Source = Source {
    name: "queue-proxy",
    total: "http_server_request_duration_seconds_count",
    code: "http_response_status_code",
    inner: Some("http_client_request_duration_seconds_count"),
    starts: None,
    bucket: "http_server_request_duration_seconds_bucket",
    unit: "s",
    own: OTEL,
    labels: OF_A_POD,
    misses: BROKEN_BEFORE,
    misses_of_latency: ON_THE_WAY,
    ..ENVOY
};

const OLD_QUEUE_PROXY: Source = Source {
    name: "queue-proxy before Knative 1.19",
    total: "revision_request_count",
    code: "response_code",
    inner: None,
    bucket: "revision_request_latencies_bucket",
    unit: "ms",
    own: &["response_code", "response_code_class", "tag"],
    ..QUEUE_PROXY
};

/// The closest to the client first: what came back at the gateway is what the client got.
pub(crate) const SOURCES: [Source; 7] = [
    ENVOY,
    Source { name: "Envoy, of which starts are not scraped,", starts: None, ..ENVOY },
    QUEUE_PROXY,
    OLD_QUEUE_PROXY,
    Source {
        name: "the container's own count",
        total: "kn_serving_invocation_duration_seconds_count",
        inner: None,
        bucket: "kn_serving_invocation_duration_seconds_bucket",
        misses: REFUSED_BEFORE,
        misses_of_latency: WAITING,
        ..QUEUE_PROXY
    },
    Source {
        name: "the container's own count before Knative 1.19",
        total: "revision_app_request_count",
        bucket: "revision_app_request_latencies_bucket",
        misses: REFUSED_BEFORE,
        misses_of_latency: WAITING,
        ..OLD_QUEUE_PROXY
    },
    // It counts the kubelet's probes and the pages for people as requests too.
    Source {
        name: "BentoML",
        total: "bentoml_service_request_total",
        code: "http_response_code",
        only: PROBES,
        inner: None,
        bucket: "bentoml_service_request_duration_seconds_bucket",
        own: &["http_response_code", "endpoint", "service_name", "service_version", "runner_name"],
        misses: REFUSED_BEFORE,
        misses_of_latency: WAITING,
        ..QUEUE_PROXY
    },
];

impl Source {
    /// A selector of one of its metrics.
    pub(crate) fn selector(&self, metric: &str, more: &str) -> String {
        let matchers: Vec<&str> =
            [self.only, more].into_iter().filter(|matcher| !matcher.is_empty()).collect();
        if matchers.is_empty() {
            metric.to_owned()
        } else {
            format!("{metric}{{{}}}", matchers.join(","))
        }
    }
}
