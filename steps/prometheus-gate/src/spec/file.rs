//! A gate as it is written down in YAML, or with flags, and what it becomes.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};
use jiff::SignedDuration;
use serde::Deserialize;
use step::{
    Failure, Usage,
    text::{is_plain_path, without_values},
};

use crate::spec::expression::{Combine, Condition};
use crate::spec::permission::PermissionSpec;
use crate::spec::resolved::{ExpectedSeries, Inf, Missing, Nan, Policy, Role, Timing};
use crate::spec::rollout::RolloutSpec;
use crate::spec::rungs::Rungs;
use crate::spec::{presets::Preset, status_codes::Codes};
use crate::time::Length;

/// A gate: what is asked, of whom, and when it is decided.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SpecFile {
    /// Prometheus server. Flags override it
    #[serde(default)]
    pub(crate) prometheus: ServerSpec,
    /// The canary and the baseline to compare. Flags override it
    #[serde(default)]
    pub(crate) rollout: RolloutSpec,
    /// Timing. Flags override it
    #[serde(default)]
    pub(crate) timing: TimingSpec,
    /// What has to hold
    pub(crate) criteria: Vec<CriterionSpec>,
    /// `all`, `any`, or a formula of names such as `errors and (latency or slo)`
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) combine: Option<Combine>,
    /// Chance of failing a canary that is no worse, shared by all criteria that name none of their own; 0 to 1. 0.05 unless given
    pub(crate) alpha: Option<f64>,
    /// What becomes of a canary without one request for as long as `hold`: `wait` until the deadline, or `inconclusive` at once
    #[serde(default)]
    pub(crate) on_no_traffic: OnNoTraffic,
    /// What becomes of a verdict that would be inconclusive: it stays, or becomes `fail`; never a pass
    #[serde(default)]
    pub(crate) on_inconclusive: OnInconclusive,
    /// What a pass needs besides criteria that hold. Flags override it
    #[serde(default)]
    pub(crate) permission: PermissionSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServerSpec {
    /// Address, or that of anything that answers like Prometheus below `/api/v1`
    pub(crate) url: Option<String>,
    /// How long one answer may take. 10s unless given
    pub(crate) timeout: Option<Length>,
    /// Folder like a mounted Secret: `token`, or `username` and `password`; `ca.crt`; `tls.crt` and `tls.key`;
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`
    pub(crate) credentials: Option<PathBuf>,
    /// AWS region for which requests are signed (Signature Version 4), for Amazon Managed Service for Prometheus
    pub(crate) sigv4_region: Option<String>,
    /// Headers to send, such as `X-Scope-OrgID: team-a`
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

/// Timing, in a file and by flags.
#[derive(Clone, Copy, Debug, Default, Deserialize, clap::Args)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TimingSpec {
    /// How long everything has to be good without a break [default: 5m]
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) hold: Option<Length>,
    /// How long nothing may fail once the canary has all traffic, which is what a gate at `--percent=100` waits for; below
    /// that it has no effect. A gate with nothing to compare with passes then
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) bake: Option<Length>,
    /// When to give up, counted from the start [default: 30m]
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) deadline: Option<Length>,
    /// How long after the start of a rung nothing is judged, because a model's first answers are slow [default: 15s]
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) warmup: Option<Length>,
    /// Evaluation interval: how far apart the points are that are judged [default: 5s]
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) step: Option<Length>,
    /// Age at which a point is final: as long as a scrape, a rule or a remote write may take [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) settle: Option<Length>,
    /// How often to ask [default: 5s]
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) poll: Option<Length>,
    /// How long Prometheus may give no usable answer [default: 5m]
    #[arg(long, value_name = "DURATION", help_heading = "Timing")]
    pub(crate) max_outage: Option<Length>,
}

impl TimingSpec {
    /// The same, with what another says where this says nothing.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            hold: self.hold.or(other.hold),
            bake: self.bake.or(other.bake),
            deadline: self.deadline.or(other.deadline),
            warmup: self.warmup.or(other.warmup),
            step: self.step.or(other.step),
            settle: self.settle.or(other.settle),
            poll: self.poll.or(other.poll),
            max_outage: self.max_outage.or(other.max_outage),
        }
    }
}

/// One criterion: a query and a condition, one of `compare`, `latency` and `slo`, or a preset
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CriterionSpec {
    /// What it is called in verdicts and formulas; a preset has a name of its own
    pub(crate) name: Option<String>,
    /// A criterion about a canary of KServe that knows which series to ask for
    pub(crate) preset: Option<Preset>,
    /// Of a preset comparison: how many times the baseline's share is tolerated. 1.25 unless given. Of `answers` what is a
    /// change: a share that is so many times the baseline's, or that part of it. 2 unless given
    pub(crate) max_ratio: Option<f64>,
    /// Of the preset `answers`: an answer that is rarer on both sides is not judged, 0 to 1. 0.02 unless given
    pub(crate) least_share: Option<f64>,
    /// Of a preset comparison: requests to the canary without which there is no pass. 50 unless given
    pub(crate) min_requests: Option<u32>,
    /// Of the preset `slo`: the share of failed requests that is allowed, 0 to 1. 0.02 unless given
    pub(crate) objective: Option<f64>,
    /// Of the preset `rejections`: the codes that count, such as `401,403,422` or `4xx`. `3xx,4xx` unless given, without 429
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) rejection_codes: Option<Codes>,
    /// `gate` has to hold and can fail, `observe` decides nothing, `failfast` can fail and need not hold
    #[serde(default)]
    pub(crate) role: Role,
    /// Query that returns one number
    pub(crate) query: Option<String>,
    /// What that number has to be, such as `value <= 0.01`
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) when: Option<Condition>,
    /// What the number counts, such as `restarts`
    pub(crate) unit: Option<String>,
    /// `one` series only (more are a mistake), `all` good, or `any` good
    pub(crate) series: Option<ExpectedSeries>,
    /// What NaN is: `missing` or `bad`
    pub(crate) nan: Option<Nan>,
    /// What an infinity is: an ordinary `value`, or `bad`
    pub(crate) inf: Option<Inf>,
    /// What no sample means: `pending` (nothing), `bad`, or `zero` where `presence` has a sample
    pub(crate) missing: Option<Missing>,
    /// Query that has a sample wherever no sample of `query` means 0
    pub(crate) presence: Option<String>,
    /// Least part of the points in a run that must be good, 0 to 1. 0.9 unless given
    pub(crate) coverage: Option<f64>,
    /// Longest time between two good points of one run. 45s unless given, 90s for counters
    pub(crate) max_gap: Option<Length>,
    /// How far back a value reaches. By the query's own ranges unless given
    pub(crate) window: Option<Length>,
    /// The series belong to the canary alone, so that a window reaches back to nothing else
    #[serde(default)]
    pub(crate) scoped: bool,
    /// More bad points than this fail the gate; -1 is never
    pub(crate) fail_limit: Option<i64>,
    /// This many bad points without a good one between them fail the gate; -1 is never. 12 unless given
    pub(crate) consecutive_fail: Option<i64>,
    /// A value so bad that there is no need to wait for a limit
    pub(crate) fast_fail: Option<FastFailSpec>,
    /// The canary's share of errors against the baseline's
    pub(crate) compare: Option<CompareSpec>,
    /// The canary's latencies against the baseline's
    pub(crate) latency: Option<LatencySpec>,
    /// The canary's share of errors against a number
    pub(crate) slo: Option<SloSpec>,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FastFailSpec {
    /// A condition on the same number, such as `value > 0.2`
    #[cfg_attr(test, schemars(with = "String"))]
    pub(super) when: Condition,
    /// For how long
    pub(super) r#for: Length,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CompareSpec {
    /// Selector of the counters of failed requests; the revision's matchers are added
    pub(super) errors: String,
    /// Selector of the counters of all requests
    pub(super) total: String,
    /// How many times the baseline's share of errors is tolerated. 1.25 unless given
    pub(super) max_ratio: Option<f64>,
    /// Chance of failing a canary that is no worse, 0 to 1
    pub(super) alpha: Option<f64>,
    /// Requests to the canary without which there is no pass. 50 unless given
    pub(super) min_requests: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LatencySpec {
    /// Selector of a histogram's `…_bucket` series; the revision's matchers are added
    pub(super) bucket: String,
    /// How many times the baseline's share of slow requests is tolerated, at each bound. 1.25 unless given
    pub(super) max_ratio: Option<f64>,
    /// Chance of failing a canary that is no slower, 0 to 1
    pub(super) alpha: Option<f64>,
    /// Requests to the canary without which there is no pass. 50 unless given
    pub(super) min_requests: Option<u32>,
    /// The bounds that matter most, in the unit of the buckets
    #[serde(default)]
    pub(super) thresholds: Vec<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SloSpec {
    /// Selector of the counters of failed requests; the canary's matchers are added
    pub(super) errors: String,
    /// Selector of the counters of all requests
    pub(super) total: String,
    /// A share of errors proven to be above this fails the gate, 0 to 1
    pub(super) fail: Option<f64>,
    /// A pass needs proof that the share of errors is below this, 0 to 1
    pub(super) pass: Option<f64>,
    /// Chance of failing a canary that keeps to it, 0 to 1
    pub(super) alpha: Option<f64>,
    /// Chance of passing a canary that does not, 0 to 1. 0.05 unless given
    pub(super) beta: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnNoTraffic {
    /// It may still come, until the deadline
    #[default]
    Wait,
    /// After a hold without one request nothing more is waited for
    Inconclusive,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnInconclusive {
    /// It stays what it is
    #[default]
    Inconclusive,
    /// It becomes a fail
    Fail,
}

/// Whether a spec is there itself, and not the name of a file: it has several lines, or is JSON.
pub(crate) fn is_text(spec: &str) -> bool {
    spec.contains('\n') || spec.trim_start().starts_with('{')
}

/// Reads a spec: a file, or the text itself.
pub(crate) fn spec_text(spec: &str) -> Result<String> {
    if is_text(spec) {
        return Ok(spec.to_owned());
    }
    std::fs::read_to_string(spec).with_context(|| Failure {
        // One line of YAML may have a password in its `prometheus.url`.
        what: if is_plain_path(spec) {
            format!("failed to read spec `{spec}`")
        } else {
            "failed to read the spec, which names no file".to_owned()
        },
        hint: "give a file, or the text of the spec itself, in several lines or as JSON".to_owned(),
    })
}

/// A mistake in a question, and what to write instead.
pub(crate) fn usage(what: impl Into<String>, hint: &str) -> anyhow::Error {
    Usage { what: what.into(), hint: hint.to_owned() }.into()
}

/// A spec from YAML, of which JSON is a part.
pub(crate) fn parse(text: &str) -> Result<SpecFile> {
    serde_saphyr::from_str(text).map_err(|error| {
        let what = format!(
            "the spec cannot be read: {}",
            without_values(error.to_string().lines().next().unwrap_or_default())
        );
        usage(what, "tasks/prometheus-gate/gate.schema.json says what a spec may hold")
    })
}

impl SpecFile {
    pub(crate) fn timing(&self) -> Timing {
        let TimingSpec { step, hold, warmup, settle, deadline, max_outage, .. } = self.timing;
        let given = |length: Option<Length>, default: SignedDuration| {
            length.map_or(default, |Length(length)| length)
        };
        let timing = Timing {
            step: given(step, SignedDuration::from_secs(5)),
            hold: given(hold, SignedDuration::from_secs(300)),
            warmup: given(warmup, SignedDuration::from_secs(15)),
            // Clocks of machines that are set by NTP differ by less.
            skew: given(self.rollout.skew, SignedDuration::from_secs(2)),
            settle: given(settle, SignedDuration::from_secs(10)),
            deadline: given(deadline, SignedDuration::from_secs(1800)),
            max_outage: given(max_outage, SignedDuration::from_secs(300)),
        };
        // One deadline is given for all rungs, and the last must not be lost to it.
        let baked = self.rungs().bake.map(|bake| bake + timing.least(SignedDuration::ZERO));
        Timing { deadline: timing.deadline.max(baked.unwrap_or_default()), ..timing }
    }

    /// Where on its ladder the gate stands.
    pub(crate) fn rungs(&self) -> Rungs {
        let RolloutSpec { climbed, ladder, percent, .. } = &self.rollout;
        let bake = self.timing.bake.map(|Length(bake)| bake);
        Rungs::new(climbed.clone().unwrap_or_default(), ladder.as_ref(), bake).at(*percent)
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            idle_is_an_end: self.on_no_traffic == OnNoTraffic::Inconclusive,
            unclear_is_a_fail: self.on_inconclusive == OnInconclusive::Fail,
        }
    }
}

#[cfg(test)]
mod tests;
