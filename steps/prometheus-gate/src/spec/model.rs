//! What a gate is asked: its clockwork and its criteria.

use serde::{Deserialize, Serialize};

use crate::expression::{Combine, Condition};

/// Milliseconds: a length of time, or a moment since 1970 by the server's clock.
pub(crate) type Ms = i64;

pub(crate) const SECOND: Ms = 1000;

/// The past that tells whether a baseline's errors come in bursts: an hour in 120 pairs of steps.
const HISTORY: Ms = 3600 * SECOND;
pub(crate) const HISTORY_STEP: Ms = 15 * SECOND;

/// All that a verdict depends on, besides the samples and the time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) timing: Timing,
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) combine: Combine,
    pub(crate) policy: Policy,
}

/// What becomes of a canary about which nothing can be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// Says `inconclusive` after a hold without one request, and not only at the deadline.
    pub(crate) idle_is_an_end: bool,
    /// Says `fail` where it would say `inconclusive`.
    pub(crate) unclear_is_a_fail: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// Distance of the points that are judged.
    pub(crate) step: Ms,
    /// How long every criterion has to hold without a break.
    pub(crate) hold: Ms,
    /// How long after the start nothing is judged yet.
    pub(crate) warmup: Ms,
    /// By how much the clock that told the start may differ from the server's.
    pub(crate) skew: Ms,
    /// The age at which a point is final.
    pub(crate) settle: Ms,
    /// Latest moment of a verdict, counted from the start.
    pub(crate) deadline: Ms,
    /// How long the server may give no usable answer.
    pub(crate) max_outage: Ms,
}

impl Timing {
    /// The first point at or after `moment`. Points are multiples of the step, so that a gate that
    /// is started again, and a replay, look at the same ones.
    pub(crate) fn first_from(&self, moment: Ms) -> Ms {
        moment.div_euclid(self.step) * self.step
            + if moment.rem_euclid(self.step) == 0 { 0 } else { self.step }
    }

    /// The newest point that is final at `now`.
    pub(crate) fn last_final(&self, now: Ms) -> Ms {
        (now - self.settle).div_euclid(self.step) * self.step
    }

    /// The points of the hour before the canary: from, to, step.
    pub(crate) fn history(&self, t0: Ms) -> (Ms, Ms, Ms) {
        let step = HISTORY_STEP.max(self.step);
        let to = t0.div_euclid(step) * step;
        (to - HISTORY, to, step)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Criterion {
    pub(crate) name: String,
    /// What the server is asked, as a range query.
    pub(crate) query: String,
    /// A query that has a sample wherever no sample of the other means 0.
    pub(crate) presence: Option<String>,
    /// A query for the baseline's counters alone, whose past tells whether errors come in bursts.
    #[serde(default)]
    pub(crate) past: Option<String>,
    /// Whose series it rests on, where there was a choice.
    #[serde(default)]
    pub(crate) source: String,
    /// What that source cannot see, and what else a reader of the verdict has to know.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    pub(crate) role: Role,
    /// How far back a value of the query reaches: its range, offset and subquery.
    pub(crate) window: Ms,
    /// Least part of the points in a run that must be good, 0 to 1.
    pub(crate) coverage: f64,
    /// Longest time between two good points of one run.
    pub(crate) max_gap: Ms,
    /// What its numbers count, such as `restarts`; empty for a bare number.
    pub(crate) unit: String,
    pub(crate) test: Test,
}

impl Criterion {
    /// Whether it rests on raw counters.
    pub(crate) const fn is_counted(&self) -> bool {
        !matches!(self.test, Test::Value(_))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// It has to hold, and it can fail the gate.
    #[default]
    Gate,
    /// It is shown, and decides nothing.
    Observe,
    /// It can fail the gate, and need not hold.
    Failfast,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Test {
    /// A condition on the value that the query returns.
    Value(ValueTest),
    /// The canary's share of errors against the baseline's, from raw counters.
    Compare(CompareTest),
    /// The canary's latencies against the baseline's, from the buckets of a histogram.
    Latency(LatencyTest),
    /// The canary's share of errors against a number.
    Slo(SloTest),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ValueTest {
    pub(crate) when: Condition,
    pub(crate) series: Several,
    pub(crate) nan: Nan,
    pub(crate) inf: Inf,
    pub(crate) missing: Missing,
    /// More bad points than this fail the gate.
    pub(crate) fail_limit: Option<usize>,
    /// This many bad points without a good one between them fail the gate.
    pub(crate) consecutive_fail: Option<usize>,
    pub(crate) fast_fail: Option<FastFail>,
}

impl ValueTest {
    /// The value is 0, and one that is not fails the gate.
    pub(crate) fn zero() -> Self {
        Self {
            when: "value == 0".parse().unwrap_or_else(|_| unreachable!("it is a condition")),
            series: Several::One,
            nan: Nan::Missing,
            inf: Inf::Value,
            missing: Missing::Pending,
            fail_limit: Some(0),
            consecutive_fail: None,
            fast_fail: None,
        }
    }
}

/// How many series a query may give, and how many of them have to be good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Several {
    /// Exactly one: more are a mistake.
    #[default]
    One,
    /// Every one has to be good.
    All,
    /// One good one is enough.
    Any,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Nan {
    #[default]
    Missing,
    Bad,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Inf {
    #[default]
    Value,
    Bad,
}

/// What no sample means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    #[default]
    Pending,
    Bad,
    /// 0, where the presence query has a sample.
    Zero,
}

/// A value so bad that there is no need to wait for a limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FastFail {
    pub(crate) when: Condition,
    /// For how long it has to be so bad.
    pub(crate) lasting: Ms,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct CompareTest {
    /// How many times the baseline's share of errors is tolerated.
    pub(crate) max_ratio: f64,
    /// Chance of a false "fail" that is accepted, 0 to 1.
    pub(crate) alpha: f64,
    /// Requests to the canary without which there is no pass.
    pub(crate) min_requests: f64,
    /// What counts as an error.
    #[serde(default)]
    pub(crate) counted: Counted,
    /// A canary with a greater share of errors is refused whatever the baseline does, 0 to 1.
    #[serde(default)]
    pub(crate) absolute: Option<f64>,
    /// The canary's part of the traffic, 0 to 1, where it is known.
    #[serde(default)]
    pub(crate) weight: Option<f64>,
    /// Whether the source counts requests that begin, and not only those that end.
    #[serde(default)]
    pub(crate) counts_starts: bool,
}

/// What a comparison counts against a revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Counted {
    /// Requests that failed, whoever made them fail.
    Failed,
    /// Requests that were refused as the client's mistake.
    Rejected,
    /// What a spec of one's own calls an error.
    #[default]
    Own,
}

impl Counted {
    /// Before "requests".
    pub(crate) const fn adjective(self) -> &'static str {
        match self {
            Self::Failed | Self::Own => "failed",
            Self::Rejected => "rejected",
        }
    }

    /// The end of "3 of 50 requests to the canary …".
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Failed | Self::Own => "failed",
            Self::Rejected => "were rejected",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LatencyTest {
    /// How many times the baseline's share of slow requests is tolerated, at each bound.
    pub(crate) max_ratio: f64,
    /// Chance of a false "fail" that is accepted, 0 to 1.
    pub(crate) alpha: f64,
    /// Requests to the canary without which there is no pass.
    pub(crate) min_requests: f64,
    /// The bounds that matter most, in the unit of the buckets; they get half of the bet.
    pub(crate) thresholds: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SloTest {
    /// A share of errors proven to be above this fails the gate, 0 to 1.
    pub(crate) fail: Option<f64>,
    /// A pass needs proof that the share of errors is below this, 0 to 1.
    pub(crate) pass: Option<f64>,
    /// Chance of a false "fail" that is accepted, 0 to 1.
    pub(crate) alpha: f64,
    /// Chance of a false "pass" that is accepted, 0 to 1.
    pub(crate) beta: f64,
}

/// How far back a query reaches, by its ranges, subqueries and offsets.
///
/// Selectors' ranges stand side by side and the longest counts; a subquery reaches back over what
/// it wraps, so those are added.
pub(crate) fn window(query: &str) -> Result<Ms, String> {
    let (mut range, mut subqueries, mut offset) = (0, 0, 0);
    let mut rest = query;
    while let Some(next) = rest.chars().next() {
        match next {
            '"' | '\'' | '`' => rest = after_string(rest, next),
            '#' => rest = rest.split_once('\n').map_or("", |(_, below)| below),
            '[' => {
                let (inside, after) = rest[1..].split_once(']').ok_or("a `[` is never closed")?;
                match inside.split_once(':') {
                    Some((reach, _)) => subqueries += duration(reach)?,
                    None => range = range.max(duration(inside)?),
                }
                rest = after;
            }
            c if c.is_alphabetic() || c == '_' => {
                let word = rest
                    .split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)))
                    .next()
                    .unwrap_or_default();
                rest = &rest[word.len()..];
                if word.eq_ignore_ascii_case("offset") {
                    let reach = rest
                        .trim_start()
                        .split(|c: char| !(c.is_alphanumeric() || c == '-'))
                        .next();
                    let reach = reach.unwrap_or_default();
                    // A negative offset reaches forward, and back by nothing.
                    offset = offset.max(if reach.starts_with('-') { 0 } else { duration(reach)? });
                }
            }
            other => rest = &rest[other.len_utf8()..],
        }
    }
    Ok(range + subqueries + offset)
}

fn after_string(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return &text[at + c.len_utf8()..],
            _ => {}
        }
    }
    ""
}

/// A duration of the query language: `5m`, `1h30m`, or a bare number of seconds.
fn duration(text: &str) -> Result<Ms, String> {
    let unreadable = || format!("`{}` is no PromQL duration such as `5m`", text.trim());
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return millis(seconds * 1000.0).ok_or_else(unreadable);
    }
    let mut sum = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(unreadable)?;
        let count: Ms = rest[..digits].parse().map_err(|_| unreadable())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            "d" => 24 * 3600 * SECOND,
            "w" => 7 * 24 * 3600 * SECOND,
            "y" => 365 * 24 * 3600 * SECOND,
            _ => return Err(unreadable()),
        };
        sum += count.saturating_mul(unit);
        rest = &rest[letters..];
    }
    if sum == 0 && text.trim().is_empty() { Err(unreadable()) } else { Ok(sum) }
}

/// A moment or length in milliseconds, where it is one.
pub(crate) fn millis(number: f64) -> Option<Ms> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within range")]
    (number.abs() < 9e15).then(|| number.round() as Ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_a_query_is_what_it_reaches_back() {
        for (query, seconds) in [
            ("up", 0),
            ("rate(x[5m])", 300),
            ("sum(rate(x{a=\"[1h]\"}[1m])) / sum(rate(y[2m]))", 120),
            ("rate(x[1h30m] offset 10m)", 6000),
            ("max_over_time(rate(x[1m])[30m:15s])", 1860),
            ("x offset -5m", 0),
            ("rate(x[90]) # [7d]", 90),
            ("offset_total{job='a\\'[1d]'}", 0),
        ] {
            assert_eq!(window(query), Ok(seconds * SECOND), "{query}");
        }
        assert!(window("rate(x[5q])").is_err());
        assert!(window("rate(x[5m").is_err());
    }

    #[test]
    fn points_are_multiples_of_the_step() {
        let timing = Timing {
            step: 5000,
            hold: 0,
            warmup: 0,
            skew: 0,
            settle: 10_000,
            deadline: 0,
            max_outage: 0,
        };
        assert_eq!(
            [10_000, 10_001, 14_999].map(|t| timing.first_from(t)),
            [10_000, 15_000, 15_000]
        );
        assert_eq!(
            [19_999, 20_000, 24_999, 25_000].map(|now| timing.last_final(now)),
            [5000, 10_000, 10_000, 15_000]
        );
    }
}
