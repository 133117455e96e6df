//! Whether a second source counts the same of the canary's failures as the one that decides.
//!
//! Both count the same requests at different places, so a difference that chance does not explain
//! says where requests fail: between the two. It changes no verdict, and its reason mentions it.

use jiff::{SignedDuration, Timestamp};

use crate::judge::{counter_increase::counts, counters::Counters, counts::Side};
use crate::prometheus::discovery::{existing, shape};
use crate::prometheus::{client::Prometheus, error::PrometheusError};
use crate::spec::candidates::Candidate;
use crate::spec::queries::{Query, Sides};
use crate::time::Grid;

/// Standard errors beyond which two shares differ by more than chance: one release in 15,000.
const BY_CHANCE: f64 = 4.0;
/// Shares that differ by less are no news to anybody.
const WORTH_TELLING: f64 = 0.01;

/// What another source than the one that was used counts of the canary from one moment to another,
/// where that is something else.
pub(crate) async fn disagreement(
    prometheus: &Prometheus,
    others: &[Candidate],
    (used, counted): (&str, Side),
    (from, to): (Timestamp, Timestamp),
) -> Result<Option<String>, PrometheusError> {
    let Some(candidate) = existing(prometheus, others, to).await? else { return Ok(None) };
    let Some(query) = &candidate.query else { return Ok(None) };
    let process = shape(prometheus, candidate, to).await?.process;
    let sides = Sides { canary: query.sides.canary.clone(), baseline: None };
    let alone = Query { sides, ..query.clone() }.text(process);
    let step = to.duration_since(from).max(SignedDuration::from_millis(1));
    let grid = Grid { from, to, step };
    let answer = prometheus.range(&alone, grid).await?;
    let mut counters = Counters::new(from, SignedDuration::MAX);
    counters.add(grid, &answer.series);
    let Some(growth) = counters.at(to) else { return Ok(None) };
    Ok(sentence((used, counted), (candidate.source, counts(growth).canary)))
}

fn sentence((used, a): (&str, Side), (other, b): (&str, Side)) -> Option<String> {
    let apart = a.share()? - b.share()?;
    let pooled = (a.errors + b.errors) / (a.total + b.total);
    let error = (pooled * (1.0 - pooled) * (1.0 / a.total + 1.0 / b.total)).sqrt();
    (apart.abs() > WORTH_TELLING && apart.abs() > BY_CHANCE * error).then(|| {
        format!(
            "by {other}, {} of {} requests to the canary failed, and by {used}, {} of {}: look between the two",
            b.errors, b.total, a.errors, a.total
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(a: (f64, f64), b: (f64, f64)) -> Option<String> {
        let side = |(errors, total)| Side { errors, total };
        sentence(("Envoy", side(a)), ("queue-proxy", side(b)))
    }

    #[test]
    fn failures_that_one_source_does_not_see_are_told() {
        assert_eq!(
            described((489.0, 635.0), (0.0, 144.0)).unwrap(),
            "by queue-proxy, 0 of 144 requests to the canary failed, and by Envoy, 489 of 635: look between the two"
        );
    }

    #[test]
    fn what_chance_explains_is_not_told() {
        assert_eq!(described((3.0, 100.0), (1.0, 98.0)), None);
        assert_eq!(described((50.0, 1000.0), (49.0, 998.0)), None);
        assert_eq!(described((0.0, 0.0), (0.0, 0.0)), None);
        assert_eq!(
            described((5.0, 100_000.0), (60.0, 100_000.0)),
            None,
            "one in a thousand is no news"
        );
    }
}
