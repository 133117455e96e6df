//! What the parts of a cluster would tell Prometheus about two revisions, `m-00001` and `m-00002`.

use std::{fmt::Write as _, time::Duration};

/// Requests a second to one revision, by what becomes of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) good: f64,
    pub(crate) failed: f64,
    pub(crate) rejected: f64,
    /// Answered with 503 by the gateway, which no pod hears of.
    pub(crate) refused: f64,
    /// Never answered, by clients that wait.
    pub(crate) hanging: f64,
    /// Never answered, by clients that soon give up.
    pub(crate) given_up: f64,
    pub(crate) restarts: u32,
    /// Takes half a second for each answer, not a tenth of it.
    pub(crate) slow: bool,
    /// Is no longer there after this time.
    pub(crate) stops_after: Option<Duration>,
    /// The part of its good answers that is `setosa`; the others are `virginica`.
    pub(crate) setosa: f64,
}

pub(crate) const FINE: Rate = Rate {
    good: 20.0,
    failed: 0.0,
    rejected: 0.0,
    refused: 0.0,
    hanging: 0.0,
    given_up: 0.0,
    restarts: 0,
    slow: false,
    stops_after: None,
    setosa: 0.3,
};

/// Who counts the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Envoy, for both revisions
    Gateway,
    /// The queue-proxy beside each pod, its outermost measure
    QueueProxy,
    /// The queue-proxy, what the container answered
    Container,
}

/// How a site names the labels of its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Labels {
    Usual,
    OpenTelemetry,
}

/// The page of a gateway after so long.
pub(crate) fn gateway(revisions: [(&str, Rate); 2], since: Duration) -> String {
    let mut page = String::new();
    for (revision, rate) in revisions {
        let cluster = format!("envoy_cluster_name=\"models/{revision}\"");
        let count = |per_second: f64| (per_second * since.as_secs_f64()).floor();
        let mut ended = 0.0;
        let failed = rate.failed + rate.refused;
        for (code, per_second) in [(200, rate.good), (503, failed), (422, rate.rejected)] {
            ended += count(per_second);
            if count(per_second) > 0.0 {
                let _ = writeln!(
                    page,
                    "envoy_cluster_upstream_rq{{{cluster},envoy_response_code=\"{code}\"}} {}",
                    count(per_second)
                );
            }
        }
        let (hanging, given_up) = (count(rate.hanging), count(rate.given_up));
        let _ = writeln!(
            page,
            "envoy_cluster_upstream_rq_total{{{cluster}}} {}\nenvoy_cluster_upstream_rq_active{{{cluster}}} {hanging}",
            ended + hanging + given_up
        );
        let quick = if rate.slow { 0.0 } else { ended };
        for (le, count) in [("100", quick), ("1000", ended), ("+Inf", ended)] {
            let _ = writeln!(
                page,
                "envoy_cluster_upstream_rq_time_bucket{{{cluster},le=\"{le}\"}} {count}"
            );
        }
    }
    page
}

/// The page of answer-counter after so long, which started at this time; the baseline is `v1`, the canary `v2`.
pub(crate) fn answers(rates: [Rate; 2], since: Duration, started: f64) -> String {
    let mut page = format!("process_start_time_seconds {started}\n");
    for (rate, version) in rates.into_iter().zip(["v1", "v2"]) {
        let labels = format!("namespace=\"models\",service=\"m\",version=\"{version}\"");
        let taken = (rate.good * since.as_secs_f64()).floor();
        let setosa = (taken * rate.setosa).floor();
        let _ = writeln!(page, "kanaria_answer_events_total{{{labels},outcome=\"taken\"}} {taken}");
        let _ =
            writeln!(page, "kanaria_answer_fields_total{{{labels},field=\"/species\"}} {taken}");
        for (answer, count) in [("setosa", setosa), ("virginica", taken - setosa)] {
            let what = format!("field=\"/species\",answer=\"{answer}\"");
            let _ = writeln!(page, "kanaria_answers_total{{{labels},{what}}} {count}");
        }
    }
    page
}

/// The page of a pod's queue-proxy after so long; a counter comes into being with its first request.
/// What a client gave up it counts as 200, and without a status between itself and the container.
pub(crate) fn queue_proxy(metric: &str, rate: Rate, since: Duration) -> String {
    let mut page = String::new();
    let given_up = (rate.given_up * since.as_secs_f64()).floor();
    if given_up > 0.0 {
        let _ = writeln!(page, "http_client_request_duration_seconds_count {given_up}");
    }
    let answered = rate.good + rate.given_up;
    for (code, per_second) in [(200, answered), (503, rate.failed), (422, rate.rejected)] {
        let count = (per_second * since.as_secs_f64()).floor();
        if count <= 0.0 {
            continue;
        }
        let label = format!("http_response_status_code=\"{code}\"");
        let _ = writeln!(page, "{metric}_count{{{label}}} {count}");
        let quick = if rate.slow { 0.0 } else { count };
        for (le, count) in [("0.1", quick), ("1", count), ("+Inf", count)] {
            let _ = writeln!(page, "{metric}_bucket{{{label},le=\"{le}\"}} {count}");
        }
    }
    page
}

/// What kube-state-metrics would say of a pod.
pub(crate) fn restarts(rate: Rate) -> String {
    format!("kube_pod_container_status_restarts_total{{container=\"c\"}} {}\n", rate.restarts)
}
