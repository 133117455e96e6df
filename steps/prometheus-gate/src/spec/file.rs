//! A gate as it is written down in YAML, or with flags, and what it becomes.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Result;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use step::{Usage, text::without_values};

use crate::{
    codes::Codes,
    expression::{Combine, Condition},
    gate::Question,
    presets::{Candidate, Preset, Release},
    queries::{Own, Query, Sides},
    spec::{
        CompareTest, Counted, Criterion, FastFail, Inf, LatencyTest, Missing, Ms, Nan, Policy,
        Role, SECOND, Several, SloTest, Test, Timing, ValueTest, window,
    },
    subject::percent_of_file,
    verdict::length,
};

/// A gate: what is asked, of whom, and when it is decided.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SpecFile {
    /// The server. Flags go before it
    #[serde(default)]
    pub(crate) prometheus: ServerPart,
    /// Whom it is about. Flags go before it
    #[serde(default)]
    pub(crate) rollout: RolloutPart,
    /// The clockwork. Flags go before it
    #[serde(default)]
    pub(crate) timing: TimingPart,
    /// What has to hold
    pub(crate) criteria: Vec<CriterionPart>,
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
    /// A file of annotations by which a person decides
    pub(crate) override_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServerPart {
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

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RolloutPart {
    /// When the canary got its first user: RFC 3339, or `@SECONDS` since 1970
    pub(crate) start: Option<String>,
    /// By how much the clock that told the start may differ from the server's. 2s unless given
    pub(crate) skew: Option<Length>,
    /// The InferenceService; `$service` in queries
    pub(crate) service: Option<String>,
    /// Namespace of the revisions; `$namespace` in queries
    pub(crate) namespace: Option<String>,
    /// The revision on trial; `$canary` in queries
    pub(crate) canary_revision: Option<String>,
    /// The revision that it has to be no worse than; `$baseline` in queries
    pub(crate) baseline_revision: Option<String>,
    /// Image of the canary, for the report
    pub(crate) canary_image: Option<String>,
    /// Image of the baseline, for the report
    pub(crate) baseline_image: Option<String>,
    /// Version of the canary, such as that of its model, for the report
    pub(crate) canary_version: Option<String>,
    /// Version of the baseline, for the report
    pub(crate) baseline_version: Option<String>,
    /// Percent of the traffic that the canary gets, 0 to 100. It tells that requests never end, where only ends are counted
    #[serde(default, deserialize_with = "percent_of_file")]
    pub(crate) percent: Option<f64>,
    /// Name of the run that asks, for the report
    pub(crate) run: Option<String>,
    /// Label matchers that select the canary's series of a spec's own counters. `namespace="…",revision="…"` unless given
    pub(crate) canary_selector: Option<String>,
    /// Label matchers that select the baseline's series
    pub(crate) baseline_selector: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TimingPart {
    /// Distance of the points that are judged. 5s unless given
    pub(crate) step: Option<Length>,
    /// How long everything has to be good without a break. 5m unless given
    pub(crate) hold: Option<Length>,
    /// How long after the start nothing is judged. 15s unless given
    pub(crate) warmup: Option<Length>,
    /// Age at which a point is final. 10s unless given
    pub(crate) settle: Option<Length>,
    /// How often to ask. 5s unless given
    pub(crate) poll: Option<Length>,
    /// When to give up, counted from the start. 30m unless given
    pub(crate) deadline: Option<Length>,
    /// How long the server may give no usable answer. 5m unless given
    pub(crate) max_outage: Option<Length>,
}

/// One criterion: a query and a condition, one of `compare`, `latency` and `slo`, or a preset
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CriterionPart {
    /// What it is called in verdicts and formulas; a preset has a name of its own
    pub(crate) name: Option<String>,
    /// A criterion about a canary of KServe that knows which series to ask for
    pub(crate) preset: Option<Preset>,
    /// Of a preset comparison: how many times the baseline's share is tolerated. 1.25 unless given
    pub(crate) max_ratio: Option<f64>,
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
    pub(crate) series: Option<Several>,
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
    pub(crate) fast_fail: Option<FastFailPart>,
    /// The canary's share of errors against the baseline's
    pub(crate) compare: Option<ComparePart>,
    /// The canary's latencies against the baseline's
    pub(crate) latency: Option<LatencyPart>,
    /// The canary's share of errors against a number
    pub(crate) slo: Option<SloPart>,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FastFailPart {
    /// A condition on the same number, such as `value > 0.2`
    #[cfg_attr(test, schemars(with = "String"))]
    when: Condition,
    /// For how long
    r#for: Length,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ComparePart {
    /// Selector of the counters of failed requests; the revision's matchers are added
    errors: String,
    /// Selector of the counters of all requests
    total: String,
    /// How many times the baseline's share of errors is tolerated. 1.25 unless given
    max_ratio: Option<f64>,
    /// Chance of failing a canary that is no worse, 0 to 1
    alpha: Option<f64>,
    /// Requests to the canary without which there is no pass. 50 unless given
    min_requests: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LatencyPart {
    /// Selector of a histogram's `…_bucket` series; the revision's matchers are added
    bucket: String,
    /// How many times the baseline's share of slow requests is tolerated, at each bound. 1.25 unless given
    max_ratio: Option<f64>,
    /// Chance of failing a canary that is no slower, 0 to 1
    alpha: Option<f64>,
    /// Requests to the canary without which there is no pass. 50 unless given
    min_requests: Option<u32>,
    /// The bounds that matter most, in the unit of the buckets
    #[serde(default)]
    thresholds: Vec<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SloPart {
    /// Selector of the counters of failed requests; the canary's matchers are added
    errors: String,
    /// Selector of the counters of all requests
    total: String,
    /// A share of errors proven to be above this fails the gate, 0 to 1
    fail: Option<f64>,
    /// A pass needs proof that the share of errors is below this, 0 to 1
    pass: Option<f64>,
    /// Chance of failing a canary that keeps to it, 0 to 1
    alpha: Option<f64>,
    /// Chance of passing a canary that does not, 0 to 1. 0.05 unless given
    beta: Option<f64>,
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

/// A length of time such as `90s`, `5m` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(with = "String"))]
pub(crate) struct Length(pub(crate) Ms);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        duration(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&length(self.0))
    }
}

/// A length of time such as `90s`, `5m` or `1h30m`, in milliseconds.
pub(crate) fn duration(text: &str) -> Result<Ms, String> {
    /// A year: sums of a few of these stay far within range.
    const LONGEST: Ms = 366 * 24 * 3600 * SECOND;
    let length = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write `90s`, `5m` or `1h30m`"))?;
    let length = Ms::try_from(length.as_millis()).unwrap_or(Ms::MAX);
    if length > LONGEST { Err("it is longer than a year".to_owned()) } else { Ok(length) }
}

/// A spec from YAML, of which JSON is a part.
pub(crate) fn parse(text: &str) -> Result<SpecFile> {
    serde_saphyr::from_str(text).map_err(|error| {
        let what = format!(
            "the spec cannot be read: {}",
            without_values(error.to_string().lines().next().unwrap_or_default())
        );
        let hint = "tasks/prometheus-gate/gate.schema.json says what a spec may hold".to_owned();
        Usage { what, hint }.into()
    })
}

impl SpecFile {
    pub(crate) fn timing(&self) -> Timing {
        let TimingPart { step, hold, warmup, settle, deadline, max_outage, .. } = self.timing;
        let given =
            |length: Option<Length>, default: Ms| length.map_or(default, |Length(length)| length);
        Timing {
            step: given(step, 5 * SECOND),
            hold: given(hold, 300 * SECOND),
            warmup: given(warmup, 15 * SECOND),
            // Clocks of machines that are set by NTP differ by less.
            skew: given(self.rollout.skew, 2 * SECOND),
            settle: given(settle, 10 * SECOND),
            deadline: given(deadline, 1800 * SECOND),
            max_outage: given(max_outage, 300 * SECOND),
        }
    }

    pub(crate) fn poll(&self) -> Ms {
        self.timing.poll.map_or(5 * SECOND, |Length(poll)| poll)
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            idle_is_an_end: self.on_no_traffic == OnNoTraffic::Inconclusive,
            unclear_is_a_fail: self.on_inconclusive == OnInconclusive::Fail,
        }
    }

    /// The questions, each with its ways to be asked.
    pub(crate) fn questions(&self) -> Result<Vec<Question>> {
        let questions: Vec<Question> =
            self.criteria.iter().map(|part| self.question(part)).collect::<Result<_>>()?;
        let names: Vec<&str> = questions.iter().map(Question::name).collect();
        let usage = |what: String, hint: &str| Err(Usage { what, hint: hint.to_owned() }.into());
        if questions.iter().all(|question| question.role() != Role::Gate) {
            return usage(
                "no criterion has to hold".to_owned(),
                "give at least one the role `gate`",
            );
        }
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return usage(
                    format!("two criteria are called `{name}`"),
                    "give each a `name` of its own",
                );
            }
        }
        let mentioned = questions
            .iter()
            .flat_map(Question::names)
            .chain(self.combine.iter().flat_map(Combine::names));
        for name in mentioned {
            if !names.contains(&name) {
                return usage(
                    format!("there is no criterion `{name}`"),
                    "the names are told by `name:`",
                );
            }
        }
        Ok(questions)
    }

    fn question(&self, part: &CriterionPart) -> Result<Question> {
        let kinds = [
            part.preset.is_some(),
            part.query.is_some(),
            part.compare.is_some(),
            part.latency.is_some(),
            part.slo.is_some(),
        ];
        if kinds.iter().filter(|given| **given).count() != 1 {
            let name = part.name.as_deref().unwrap_or("without a name");
            let what = format!(
                "criterion `{name}` needs exactly one of preset, query, compare, latency and slo"
            );
            return Err(
                Usage { what, hint: "split it into criteria of their own".to_owned() }.into()
            );
        }
        if let Some(preset) = part.preset {
            let mut ways = preset.candidates(&self.release(preset, part)?);
            for way in &mut ways {
                way.criterion.role = part.role;
                if let Some(name) = &part.name {
                    way.criterion.name.clone_from(name);
                }
            }
            return Ok(Question::Open(ways));
        }
        let Some(name) = part.name.clone() else {
            let hint = "give it a `name`".to_owned();
            return Err(Usage { what: "a criterion has no name".to_owned(), hint }.into());
        };
        if let Some(query) = &part.query {
            return Ok(Question::Asked(Box::new(self.own(part, name, self.filled_in(query))?)));
        }
        let (query, test) = self.counted(part, &name)?;
        let metric = query.bucket.as_ref().unwrap_or(&query.total);
        let metric = metric.split('{').next().unwrap_or_default().trim().to_owned();
        Ok(Question::Open(vec![Candidate {
            source: "the spec's own series",
            metric,
            probe: query.probe(),
            criterion: Criterion {
                name,
                query: query.text(""),
                presence: None,
                past: query.past(""),
                source: String::new(),
                notes: Vec::new(),
                role: part.role,
                window: 0,
                coverage: part.coverage.unwrap_or(0.9),
                max_gap: part.max_gap.map_or(90 * SECOND, |Length(gap)| gap),
                unit: part.unit.clone().unwrap_or_default(),
                test,
            },
            query: Some(query),
        }]))
    }

    /// A criterion of a query of one's own.
    fn own(&self, part: &CriterionPart, name: String, query: String) -> Result<Criterion> {
        let presence = part.presence.as_deref().map(|query| self.filled_in(query));
        let reach = match part.window {
            _ if part.scoped => 0,
            Some(Length(window)) => window,
            None => [Some(&query), presence.as_ref()].into_iter().flatten().try_fold(
                0,
                |longest: Ms, query| {
                    let reach = window(query).map_err(|why| wrong_query(&name, &why))?;
                    anyhow::Ok(longest.max(reach))
                },
            )?,
        };
        Ok(Criterion {
            test: Test::Value(value_test(part, &name)?),
            name,
            query,
            presence,
            past: None,
            source: String::new(),
            notes: Vec::new(),
            role: part.role,
            window: reach,
            coverage: part.coverage.unwrap_or(0.9),
            max_gap: part.max_gap.map_or(45 * SECOND, |Length(gap)| gap),
            unit: part.unit.clone().unwrap_or_default(),
        })
    }

    /// A criterion of counters that a spec names.
    fn counted(&self, part: &CriterionPart, name: &str) -> Result<(Query, Test)> {
        let (canary, baseline) = self.selectors()?;
        let query = |errors: &str, total: &str, bucket: Option<&String>| Query {
            total: total.to_owned(),
            errors: errors.to_owned(),
            inner: None,
            bucket: bucket.cloned(),
            under_way: None,
            own: Own::Unknown,
            sides: Sides { canary: canary.clone(), baseline: baseline.clone() },
        };
        let compared = |query| {
            if baseline.is_some() {
                return Ok(query);
            }
            Err(Usage {
                what: format!(
                    "criterion `{name}` compares the canary with a baseline, and there is none"
                ),
                hint: "give `--baseline-revision`, or `rollout.baselineSelector`".to_owned(),
            })
        };
        if let Some(ComparePart { errors, total, max_ratio, alpha, min_requests }) = &part.compare {
            let test = CompareTest {
                max_ratio: max_ratio.unwrap_or(1.25),
                alpha: alpha.unwrap_or_else(|| self.shared_alpha()),
                min_requests: f64::from(min_requests.unwrap_or(50)),
                counted: Counted::Own,
                absolute: None,
                weight: None,
                counts_starts: false,
            };
            return Ok((compared(query(errors, total, None))?, Test::Compare(test)));
        }
        if let Some(LatencyPart { bucket, max_ratio, alpha, min_requests, thresholds }) =
            &part.latency
        {
            let test = LatencyTest {
                max_ratio: max_ratio.unwrap_or(1.25),
                alpha: alpha.unwrap_or_else(|| self.shared_alpha()),
                min_requests: f64::from(min_requests.unwrap_or(50)),
                thresholds: thresholds.clone(),
            };
            return Ok((compared(query("", "", Some(bucket)))?, Test::Latency(test)));
        }
        let Some(SloPart { errors, total, fail, pass, alpha, beta }) = &part.slo else {
            unreachable!("a criterion has one of its kinds")
        };
        if fail.is_none() && pass.is_none() {
            let what = format!("criterion `{name}` has an objective without a number");
            return Err(Usage { what, hint: "give `fail`, `pass`, or both".to_owned() }.into());
        }
        let test = SloTest {
            fail: *fail,
            pass: *pass,
            alpha: alpha.unwrap_or_else(|| self.shared_alpha()),
            beta: beta.unwrap_or(0.05),
        };
        Ok((query(errors, total, None), Test::Slo(test)))
    }

    /// The chance of a false alarm for each criterion that collects evidence and names none.
    fn shared_alpha(&self) -> f64 {
        let takes = |part: &&CriterionPart| {
            let ready = part.preset.is_some_and(|preset| preset != Preset::NoRestarts);
            let own = |alpha: Option<f64>| alpha.is_none();
            ready
                || part.compare.as_ref().is_some_and(|part| own(part.alpha))
                || part.latency.as_ref().is_some_and(|part| own(part.alpha))
                || part.slo.as_ref().is_some_and(|part| own(part.alpha) && part.fail.is_some())
        };
        let sharing =
            u32::try_from(self.criteria.iter().filter(takes).count()).unwrap_or(u32::MAX).max(1);
        self.alpha.unwrap_or(0.05) / f64::from(sharing)
    }

    /// The canary's matchers, and the baseline's where there is one.
    fn selectors(&self) -> Result<(String, Option<String>)> {
        let RolloutPart {
            namespace,
            canary_revision,
            baseline_revision,
            canary_selector,
            baseline_selector,
            ..
        } = &self.rollout;
        let of = |revision: &Option<String>| {
            let revision = revision.as_ref()?;
            let namespace = namespace
                .as_ref()
                .map(|namespace| format!("namespace=\"{namespace}\","))
                .unwrap_or_default();
            Some(format!("{namespace}revision=\"{revision}\""))
        };
        let canary =
            canary_selector.clone().or_else(|| of(canary_revision)).ok_or_else(|| Usage {
                what: "the canary's series cannot be told from others".to_owned(),
                hint: "give `rollout.canarySelector`, or `--canary-revision`".to_owned(),
            })?;
        Ok((
            self.filled_in(&canary),
            baseline_selector
                .as_ref()
                .map(|text| self.filled_in(text))
                .or_else(|| of(baseline_revision)),
        ))
    }

    fn release(&self, question: Preset, part: &CriterionPart) -> Result<Release> {
        let missing =
            |what: &str, hint: &str| Usage { what: what.to_owned(), hint: hint.to_owned() };
        let RolloutPart { namespace, canary_revision, baseline_revision, percent, .. } =
            &self.rollout;
        if baseline_revision.is_none() && question.needs_baseline() {
            let what = format!(
                "`{}` compares the canary with a baseline, and there is none",
                question.name()
            );
            return Err(
                missing(&what, "give the revision before it as `--baseline-revision`").into()
            );
        }
        Ok(Release {
            namespace: namespace.clone().ok_or_else(|| {
                missing("the namespace of the revisions is not known", "give it as `--namespace`")
            })?,
            canary: canary_revision.clone().ok_or_else(|| {
                missing("the revision on trial is not known", "give it as `--canary-revision`")
            })?,
            baseline: baseline_revision.clone(),
            max_ratio: part.max_ratio.unwrap_or(1.25),
            alpha: self.shared_alpha(),
            min_requests: f64::from(part.min_requests.unwrap_or(50)),
            // 163 clean requests prove it, which a quiet service has before the deadline.
            objective: part.objective.unwrap_or(0.02),
            weight: percent.map(|percent| percent / 100.0),
            codes: part.rejection_codes.clone().unwrap_or_default(),
        })
    }

    /// A query with its `$canary`, `$baseline`, `$namespace` and `$service` filled in.
    fn filled_in(&self, query: &str) -> String {
        let RolloutPart { service, namespace, canary_revision, baseline_revision, .. } =
            &self.rollout;
        [
            ("$canary", canary_revision),
            ("$baseline", baseline_revision),
            ("$namespace", namespace),
            ("$service", service),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
        .fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
    }
}

fn value_test(part: &CriterionPart, name: &str) -> Result<ValueTest> {
    let Some(when) = part.when.clone() else {
        let what = format!("criterion `{name}` has a query and no condition");
        return Err(
            Usage { what, hint: "give it a `when`, such as `value <= 0.01`".to_owned() }.into()
        );
    };
    if part.missing == Some(Missing::Zero) && part.presence.is_none() {
        let what = format!(
            "criterion `{name}` takes no sample for 0, and nothing tells whether there was traffic"
        );
        let hint = "give a `presence` query that has a sample wherever there was".to_owned();
        return Err(Usage { what, hint }.into());
    }
    let limit = |number: Option<i64>, default: Option<usize>| match number {
        None => default,
        Some(number) => usize::try_from(number).ok(),
    };
    Ok(ValueTest {
        when,
        series: part.series.unwrap_or_default(),
        nan: part.nan.unwrap_or_default(),
        inf: part.inf.unwrap_or_default(),
        missing: part.missing.unwrap_or_default(),
        fail_limit: limit(part.fail_limit, None),
        consecutive_fail: limit(part.consecutive_fail, Some(12)),
        fast_fail: part
            .fast_fail
            .clone()
            .map(|FastFailPart { when, r#for: Length(lasting) }| FastFail { when, lasting }),
    })
}

fn wrong_query(name: &str, why: &str) -> Usage {
    Usage {
        what: format!("the query of `{name}` is no PromQL: {why}"),
        hint: "try it in Prometheus's own page".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published schema is made from the types above; `UPDATE=1 cargo test -p prometheus-gate schema` writes it anew.
    #[test]
    fn the_published_schema_says_what_a_spec_may_hold() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tasks/prometheus-gate/gate.schema.json");
        let made = serde_json::to_string_pretty(&schemars::schema_for!(SpecFile)).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), made);
    }

    #[test]
    fn the_sample_spec_is_a_spec() {
        let text = include_str!("../../../tasks/prometheus-gate/samples/gate-spec.yaml");
        let mut file = parse(text).unwrap();
        file.rollout.namespace = Some("models".to_owned());
        file.rollout.canary_revision = Some("iris-predictor-00002".to_owned());
        file.rollout.baseline_revision = Some("iris-predictor-00001".to_owned());
        let questions = file.questions().unwrap();
        assert!(questions.len() >= 4);
        assert!(
            questions
                .iter()
                .any(|question| question.criterion().query.contains("iris-predictor-00002"))
        );
    }

    #[test]
    fn criteria_share_the_chance_of_a_false_alarm() {
        let both = "rollout: {canarySelector: c, baselineSelector: b}\n\
                    criteria: [{name: e, compare: {errors: x, total: y}}, {name: l, latency: {bucket: z}}]";
        let alphas: Vec<f64> = parse(both)
            .unwrap()
            .questions()
            .unwrap()
            .iter()
            .map(|question| match &question.criterion().test {
                Test::Compare(test) => test.alpha,
                Test::Latency(test) => test.alpha,
                _ => panic!("neither"),
            })
            .collect();
        assert_eq!(alphas, [0.025, 0.025]);
    }
}
