//! What a gate is asked: timing and criteria.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::spec::expression::{Combine, Condition};
use crate::spec::permission::Permission;
use crate::spec::rungs::Rungs;
use crate::time::{Grid, floor};

/// The past that tells whether a baseline's errors come in bursts: an hour in 120 pairs of steps.
const HISTORY: SignedDuration = SignedDuration::from_secs(3600);
pub(crate) const HISTORY_STEP: SignedDuration = SignedDuration::from_secs(15);

/// All that a verdict depends on, besides the samples and the time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) timing: Timing,
    /// Where on a ladder the gate stands.
    #[serde(default, skip_serializing_if = "Rungs::is_single")]
    pub(crate) rungs: Rungs,
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) combine: Combine,
    pub(crate) policy: Policy,
    #[serde(default, skip_serializing_if = "Permission::is_default")]
    pub(crate) permission: Permission,
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
    /// Evaluation interval: how far apart the points are that are judged.
    pub(crate) step: SignedDuration,
    /// How long every criterion has to hold without a break.
    pub(crate) hold: SignedDuration,
    /// How long after the start of a rung nothing is judged yet.
    pub(crate) warmup: SignedDuration,
    /// By how much the clock of the start may differ from the server's.
    pub(crate) skew: SignedDuration,
    /// The age at which a point is final.
    pub(crate) settle: SignedDuration,
    /// Latest moment of a verdict, counted from the start of the rung.
    pub(crate) deadline: SignedDuration,
    /// How long the server may give no usable answer.
    pub(crate) max_outage: SignedDuration,
}

impl Timing {
    /// How long after the start a pass comes at the earliest, of values that reach so far back.
    pub(crate) fn least(&self, window: SignedDuration) -> SignedDuration {
        self.skew + self.warmup + window + self.hold + self.settle + self.step * 2
    }

    /// The first point at or after `moment`. Points are multiples of the step, so that a gate that
    /// is started again, and a replay, look at the same ones.
    pub(crate) fn first_from(&self, moment: Timestamp) -> Timestamp {
        let before = floor(moment, self.step);
        if before == moment { moment } else { before + self.step }
    }

    /// The newest point that is final at `now`.
    pub(crate) fn last_final(&self, now: Timestamp) -> Timestamp {
        floor(now - self.settle, self.step)
    }

    /// The points of the hour before a canary that began at `t0`.
    pub(crate) fn history(&self, t0: Timestamp) -> Grid {
        let step = HISTORY_STEP.max(self.step);
        let to = floor(t0, step);
        Grid { from: to - HISTORY, to, step }
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
    pub(crate) past: Option<String>,
    /// Whose series it rests on, where there was a choice.
    pub(crate) source: String,
    /// What that source cannot see, and what else a reader of the verdict has to know.
    pub(crate) notes: Vec<String>,
    pub(crate) role: Role,
    /// How far back a value of the query reaches: its range, offset and subquery.
    pub(crate) window: SignedDuration,
    /// Least part of the points in a run that must be good, 0 to 1.
    pub(crate) coverage: f64,
    /// Longest time between two good points of one run.
    pub(crate) max_gap: SignedDuration,
    /// What its numbers count, such as `restarts`; empty for a bare number.
    pub(crate) unit: String,
    pub(crate) test: Test,
}

impl Criterion {
    /// One that has to hold, with the gaps of scrapes once a minute, and nothing else said.
    pub(crate) fn new(name: &str, query: String, test: Test) -> Self {
        Self {
            name: name.to_owned(),
            query,
            presence: None,
            past: None,
            source: String::new(),
            notes: Vec::new(),
            role: Role::Gate,
            window: SignedDuration::ZERO,
            coverage: 0.9,
            max_gap: SignedDuration::from_secs(90),
            unit: String::new(),
            test,
        }
    }

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
    /// What the canary answers against what the baseline does.
    Answers(AnswersTest),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ValueTest {
    pub(crate) when: Condition,
    pub(crate) series: ExpectedSeries,
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
            series: ExpectedSeries::One,
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
pub(crate) enum ExpectedSeries {
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
    pub(crate) lasting: SignedDuration,
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
    pub(crate) counted: Counted,
    /// A canary with a greater share of errors is refused whatever the baseline does, 0 to 1.
    pub(crate) absolute: Option<f64>,
    /// The canary's part of the traffic, 0 to 1, where it is known.
    pub(crate) weight: Option<f64>,
    /// Whether the source counts requests that begin, and not only those that end.
    pub(crate) counts_starts: bool,
}

/// A canary of which more than every other request is bad is in doubt, unless its baseline is as bad;
/// one that fails so often is refused whatever its baseline does.
pub(crate) const MOSTLY: f64 = 0.5;

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
pub(crate) struct AnswersTest {
    /// A share that is so many times the other side's is a change that is to be found, above 1. What is tolerated is
    /// its square root.
    pub(crate) max_ratio: f64,
    /// An answer that is rarer on both sides is not judged, 0 to 1.
    pub(crate) least_share: f64,
    /// Chance of a false "fail" that is accepted, 0 to 1.
    pub(crate) alpha: f64,
    /// Answers of the canary without which there is no pass.
    pub(crate) min_requests: f64,
    /// Whether another counts the requests that were answered.
    pub(crate) has_requests: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    #[test]
    fn points_are_multiples_of_the_step() {
        let timing = Timing {
            step: SignedDuration::from_secs(5),
            hold: SignedDuration::ZERO,
            warmup: SignedDuration::ZERO,
            skew: SignedDuration::ZERO,
            settle: SignedDuration::from_secs(10),
            deadline: SignedDuration::ZERO,
            max_outage: SignedDuration::ZERO,
        };
        assert_eq!(
            [10_000, 10_001, 14_999].map(|t| timing.first_from(after(t))),
            [10_000, 15_000, 15_000].map(after)
        );
        assert_eq!(
            [19_999, 20_000, 24_999, 25_000].map(|now| timing.last_final(after(now))),
            [5000, 10_000, 10_000, 15_000].map(after)
        );
    }
}
