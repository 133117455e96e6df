//! Which series there are to ask for, and how they are labelled.

use step::Usage;

use crate::{
    counters::ROLE,
    presets::Candidate,
    prometheus::{Prometheus, Trouble, clean},
    queries::{Shape, which_exist},
    samples::{Labels, Series},
    spec::Ms,
};

/// The best way to ask for which there are series.
pub(crate) async fn existing<'a>(
    prometheus: &Prometheus,
    ways: &'a [Candidate],
    now: Ms,
) -> Result<Option<&'a Candidate>, Trouble> {
    let found = prometheus.instant(&which_exist(ways), now).await?;
    let best = found
        .series
        .iter()
        .filter_map(|series| series.labels.get(ROLE)?.parse::<usize>().ok())
        .min();
    Ok(best.and_then(|way| ways.get(way)))
}

/// How the series of a way are labelled.
pub(crate) async fn shape(
    prometheus: &Prometheus,
    way: &Candidate,
    now: Ms,
) -> Result<Shape, Trouble> {
    let Some(query) = &way.query else { return Ok(Shape::default()) };
    let series = prometheus.instant(&query.sample(), now).await?.series;
    Ok(Shape::of(&series, query.own))
}

/// What there is in place of the series that are wanted, a line each.
pub(crate) async fn labels_there(
    prometheus: &Prometheus,
    ways: &[Candidate],
    now: Ms,
) -> Result<Vec<String>, Trouble> {
    let mut metrics: Vec<&str> = ways.iter().map(|way| way.metric.as_str()).collect();
    metrics.dedup();
    metrics.retain(|metric| !metric.is_empty());
    let query = format!("topk by (__name__) (1, {{__name__=~\"{}\"}})", metrics.join("|"));
    let found = match prometheus.instant(&query, now).await {
        Ok(found) => found.series,
        // It is a courtesy, and not every server has so general a selector.
        Err(Trouble::Query(_) | Trouble::Execution(_)) => Vec::new(),
        Err(trouble) => return Err(trouble),
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
pub(crate) fn several(name: &str, crowd: &[&Labels]) -> Usage {
    let examples =
        crowd.iter().take(2).map(|labels| shown(labels)).collect::<Vec<_>>().join(" and ");
    Usage {
        what: format!(
            "the query of `{name}` gives {} series where one is wanted: {examples}",
            crowd.len()
        ),
        hint: "wrap it in `sum(…)` or `max(…)`, or select one series".to_owned(),
    }
}

fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("`{{{}}}`", clean(&pairs.join(",")))
}
