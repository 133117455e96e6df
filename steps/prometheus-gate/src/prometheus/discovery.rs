//! Which series there are to ask for, and how they are labelled.

use jiff::Timestamp;
use step::Usage;

use crate::prometheus::{client::Prometheus, error::PrometheusError, text::clean};
use crate::series::{Labels, ROLE, Series};
use crate::spec::candidates::Candidate;
use crate::spec::queries::{Shape, replaced};

/// The best candidate for which there are series.
pub(crate) async fn existing<'a>(
    prometheus: &Prometheus,
    candidates: &'a [Candidate],
    now: Timestamp,
) -> Result<Option<&'a Candidate>, PrometheusError> {
    let found = prometheus.instant(&which_exist(candidates), now).await?;
    let best = found
        .series
        .iter()
        .filter_map(|series| series.labels.get(ROLE)?.parse::<usize>().ok())
        .min();
    Ok(best.and_then(|candidate| candidates.get(candidate)))
}

/// A query that answers with the numbers, from 0, of the candidates that the server has series for.
pub(crate) fn which_exist(candidates: &[Candidate]) -> String {
    let found = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| replaced(&candidate.probe, &at.to_string()));
    found.collect::<Vec<_>>().join(" or ")
}

/// How the series of a candidate are labelled.
pub(crate) async fn shape(
    prometheus: &Prometheus,
    candidate: &Candidate,
    now: Timestamp,
) -> Result<Shape, PrometheusError> {
    let Some(sample) = candidate.sample() else { return Ok(Shape::default()) };
    Ok(candidate.shape(&prometheus.instant(&sample, now).await?.series))
}

/// What there is in place of the series that are wanted, a line each.
pub(crate) async fn labels_there(
    prometheus: &Prometheus,
    candidates: &[Candidate],
    now: Timestamp,
) -> Result<Vec<String>, PrometheusError> {
    let mut metrics: Vec<&str> =
        candidates.iter().map(|candidate| candidate.metric.as_str()).collect();
    metrics.dedup();
    metrics.retain(|metric| !metric.is_empty());
    let query = format!("topk by (__name__) (1, {{__name__=~\"{}\"}})", metrics.join("|"));
    let found = match prometheus.instant(&query, now).await {
        Ok(found) => found.series,
        // It is a courtesy, and not every server has so general a selector.
        Err(PrometheusError::Query(_) | PrometheusError::Execution(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    if found.is_empty() {
        return Ok(vec![format!(
            "Prometheus has none of the series {} yet, of any revision",
            metrics.join(", ")
        )]);
    }
    let line = |Series { labels, .. }: &Series| {
        let mut labels = labels.clone();
        let name = labels.remove("__name__").unwrap_or_default();
        format!(
            "`{name}` is there, and not of these revisions yet; one of its series is {}",
            shown(&labels)
        )
    };
    Ok(found.iter().map(line).collect())
}

/// What is wrong with a question that several series answer.
pub(crate) fn several(name: &str, duplicate_series: &[&Labels]) -> Usage {
    let examples = duplicate_series
        .iter()
        .take(2)
        .map(|labels| shown(labels))
        .collect::<Vec<_>>()
        .join(" and ");
    Usage {
        what: format!(
            "the query of `{name}` gives {} series where one is wanted: {examples}",
            duplicate_series.len()
        ),
        hint: "wrap it in `sum(…)` or `max(…)`, or select one series".to_owned(),
    }
}

fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("`{{{}}}`", clean(&pairs.join(",")))
}
