//! promtool's notation for the values of a series, and what a range query shows of them.

use jiff::{SignedDuration, Timestamp};

use crate::time::Grid;

/// Prometheus shows a sample for so long when no newer one follows.
const LOOKBACK: SignedDuration = SignedDuration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sample {
    Value(f64),
    /// No sample was scraped.
    Absent,
    /// The series has ended.
    Stale,
}

/// promtool's notation for the values of a series.
pub(super) fn values(notation: &str) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    for word in notation.split_whitespace() {
        let wrong = || format!("`{word}` is not a valid value");
        let (item, times) = match word.rsplit_once('x') {
            Some((item, times)) => (item, times.parse::<u32>().map_err(|_| wrong())?),
            None => (word, 0),
        };
        match item {
            // `_x3` is three, `1x3` is one and three more, as promtool has it.
            "_" => samples.extend(vec![Sample::Absent; times.max(1) as usize]),
            "stale" => samples.push(Sample::Stale),
            _ => {
                let sign = item
                    .rfind(['+', '-'])
                    .filter(|at| *at > 0 && !item[..*at].ends_with(['e', 'E']));
                let (first, growth) = sign.map_or((item, "0"), |at| item.split_at(at));
                let first: f64 = first.parse().map_err(|_| wrong())?;
                let growth: f64 = growth.parse().map_err(|_| wrong())?;
                samples.extend(
                    (0..=times).map(|step| Sample::Value(first + growth * f64::from(step))),
                );
            }
        }
    }
    Ok(samples)
}

/// What a range query would show of samples so far apart, the first at 0.
pub(super) fn at_points(
    samples: &[Sample],
    interval: SignedDuration,
    grid: Grid,
) -> Vec<(Timestamp, f64)> {
    let mut shown = Vec::new();
    for point in grid.points() {
        let since = point.as_duration().as_millis() / interval.as_millis().max(1);
        let newest =
            usize::try_from(since).unwrap_or(usize::MAX).min(samples.len().saturating_sub(1));
        let found = samples
            .iter()
            .enumerate()
            .take(newest + 1)
            .rev()
            .find(|(_, sample)| **sample != Sample::Absent);
        if let Some((at, Sample::Value(value))) = found
            && point.as_duration() - interval * i32::try_from(at).unwrap_or(i32::MAX) < LOOKBACK
        {
            shown.push((point, *value));
        }
    }
    shown
}
