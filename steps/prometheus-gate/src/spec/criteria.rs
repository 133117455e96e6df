//! From what a spec says of its criteria to the questions that are asked.

use anyhow::Result;
use jiff::SignedDuration;

use crate::spec::answers;
use crate::spec::candidates::{Candidate, Question};
use crate::spec::file::{
    CompareSpec, CriterionSpec, FastFailSpec, LatencySpec, SloSpec, SpecFile, usage,
};
use crate::spec::presets::{Preset, Release};
use crate::spec::queries::{Own, Query, Sides};
use crate::spec::resolved::{
    CompareTest, Counted, Criterion, FastFail, LatencyTest, Missing, Role, SloTest, Test, Timing,
    ValueTest,
};
use crate::spec::{expression::Combine, promql::window, rollout::RolloutSpec};
use crate::time::{Length, length};

impl SpecFile {
    /// The questions, each with its candidates to be asked.
    pub(crate) fn questions(&self) -> Result<Vec<Question>> {
        let questions: Vec<Question> =
            self.criteria.iter().map(|spec| self.question(spec)).collect::<Result<_>>()?;
        let names: Vec<&str> = questions.iter().map(Question::name).collect();
        if questions.iter().all(|question| question.role() != Role::Gate) {
            return Err(usage("no criterion has to hold", "give at least one the role `gate`"));
        }
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                let what = format!("two criteria are called `{name}`");
                return Err(usage(what, "give each a `name` of its own"));
            }
        }
        let mentioned = questions
            .iter()
            .flat_map(Question::names)
            .chain(self.combine.iter().flat_map(Combine::names));
        for name in mentioned {
            if !names.contains(&name) {
                let what = format!("there is no criterion `{name}`");
                return Err(usage(what, "names are given by `name:`"));
            }
        }
        Ok(questions)
    }

    fn question(&self, spec: &CriterionSpec) -> Result<Question> {
        let kinds = [
            spec.preset.is_some(),
            spec.query.is_some(),
            spec.compare.is_some(),
            spec.latency.is_some(),
            spec.slo.is_some(),
        ];
        if kinds.iter().filter(|given| **given).count() != 1 {
            let name = spec.name.as_deref().unwrap_or("without a name");
            let what = format!(
                "criterion `{name}` needs exactly one of preset, query, compare, latency and slo"
            );
            return Err(usage(what, "split it into criteria of their own"));
        }
        if let Some(preset) = spec.preset {
            let mut candidates = match preset {
                Preset::Answers => answers::candidates(&self.answered(spec, self.shared_alpha())?),
                _ => preset.candidates(&self.release(preset, spec)?),
            };
            for candidate in &mut candidates {
                candidate.criterion.role = spec.role;
                if let Some(name) = &spec.name {
                    candidate.criterion.name.clone_from(name);
                }
            }
            return Ok(Question::Candidates(candidates));
        }
        let Some(name) = spec.name.clone() else {
            return Err(usage("a criterion has no name", "give it a `name`"));
        };
        if let Some(query) = &spec.query {
            return Ok(Question::Fixed(Box::new(self.own(spec, &name, self.filled_in(query))?)));
        }
        let (query, test) = self.counted(spec, &name)?;
        let metric = query.bucket.as_ref().unwrap_or(&query.total);
        let metric = metric.split('{').next().unwrap_or_default().trim().to_owned();
        Ok(Question::Candidates(vec![Candidate {
            source: "the spec's own series",
            metric,
            probe: query.probe(),
            criterion: Criterion {
                past: query.past(""),
                ..common(spec, Criterion::new(&name, query.text(""), test))
            },
            query: Some(query),
            answers: None,
        }]))
    }

    /// A criterion of a query of one's own.
    fn own(&self, spec: &CriterionSpec, name: &str, query: String) -> Result<Criterion> {
        let presence = spec.presence.as_deref().map(|query| self.filled_in(query));
        let reach = match spec.window {
            _ if spec.scoped => SignedDuration::ZERO,
            Some(Length(window)) => window,
            None => [Some(&query), presence.as_ref()].into_iter().flatten().try_fold(
                SignedDuration::ZERO,
                |longest: SignedDuration, query| {
                    let reach = window(query).map_err(|why| wrong_query(name, &why))?;
                    anyhow::Ok(longest.max(reach))
                },
            )?,
        };
        let test = Test::Value(value_test(spec, name)?);
        let max_gap = SignedDuration::from_secs(45);
        let criterion = Criterion { max_gap, ..Criterion::new(name, query, test) };
        Ok(Criterion { presence, window: reach, ..common(spec, criterion) })
    }

    /// A criterion of counters that a spec names.
    fn counted(&self, spec: &CriterionSpec, name: &str) -> Result<(Query, Test)> {
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
            let what = format!(
                "criterion `{name}` compares the canary with a baseline, and there is none"
            );
            Err(usage(what, "give `--baseline-revision`, or `rollout.baselineSelector`"))
        };
        if let Some(CompareSpec { errors, total, max_ratio, alpha, min_requests }) = &spec.compare {
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
        if let Some(LatencySpec { bucket, max_ratio, alpha, min_requests, thresholds }) =
            &spec.latency
        {
            let test = LatencyTest {
                max_ratio: max_ratio.unwrap_or(1.25),
                alpha: alpha.unwrap_or_else(|| self.shared_alpha()),
                min_requests: f64::from(min_requests.unwrap_or(50)),
                thresholds: thresholds.clone(),
            };
            return Ok((compared(query("", "", Some(bucket)))?, Test::Latency(test)));
        }
        let Some(SloSpec { errors, total, fail, pass, alpha, beta }) = &spec.slo else {
            unreachable!("a criterion has one of its kinds")
        };
        if fail.is_none() && pass.is_none() {
            let what = format!("criterion `{name}` has an objective without a number");
            return Err(usage(what, "give `fail`, `pass`, or both"));
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
        let takes = |spec: &&CriterionSpec| {
            let ready = spec.preset.is_some_and(|preset| preset != Preset::NoRestarts);
            let own = |alpha: Option<f64>| alpha.is_none();
            ready
                || spec.compare.as_ref().is_some_and(|spec| own(spec.alpha))
                || spec.latency.as_ref().is_some_and(|spec| own(spec.alpha))
                || spec.slo.as_ref().is_some_and(|spec| own(spec.alpha) && spec.fail.is_some())
        };
        let sharing =
            u32::try_from(self.criteria.iter().filter(takes).count()).unwrap_or(u32::MAX).max(1);
        self.alpha.unwrap_or(0.05) / f64::from(sharing)
    }

    /// The canary's matchers, and the baseline's where there is one.
    fn selectors(&self) -> Result<(String, Option<String>)> {
        let RolloutSpec {
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
        let canary = canary_selector.clone().or_else(|| of(canary_revision)).ok_or_else(|| {
            let hint = "give `rollout.canarySelector`, or `--canary-revision`";
            usage("nothing tells the canary's series from others", hint)
        })?;
        Ok((
            self.filled_in(&canary),
            baseline_selector
                .as_ref()
                .map(|text| self.filled_in(text))
                .or_else(|| of(baseline_revision)),
        ))
    }

    fn release(&self, question: Preset, spec: &CriterionSpec) -> Result<Release> {
        let RolloutSpec { namespace, canary_revision, baseline_revision, percent, .. } =
            &self.rollout;
        if baseline_revision.is_none() && question.needs_baseline() {
            let what = format!(
                "`{}` compares the canary with a baseline, and there is none",
                question.name()
            );
            return Err(usage(what, "give the revision before it as `--baseline-revision`"));
        }
        Ok(Release {
            namespace: namespace.clone().ok_or_else(|| {
                usage("the namespace of the revisions is not known", "give it as `--namespace`")
            })?,
            canary: canary_revision.clone().ok_or_else(|| {
                usage("the revision on trial is not known", "give it as `--canary-revision`")
            })?,
            baseline: baseline_revision.clone(),
            max_ratio: spec.max_ratio.unwrap_or(1.25),
            alpha: self.shared_alpha(),
            min_requests: f64::from(spec.min_requests.unwrap_or(50)),
            // 163 clean requests prove it, which a quiet service has before the deadline.
            objective: spec.objective.unwrap_or(0.02),
            weight: percent.map(|percent| percent / 100.0),
            codes: spec.rejection_codes.clone().unwrap_or_default(),
        })
    }

    /// A query with its `$canary`, `$baseline`, `$namespace` and `$service` filled in.
    fn filled_in(&self, query: &str) -> String {
        let RolloutSpec { service, namespace, canary_revision, baseline_revision, .. } =
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

/// What a spec may say of any criterion of its own.
fn common(spec: &CriterionSpec, criterion: Criterion) -> Criterion {
    Criterion {
        role: spec.role,
        coverage: spec.coverage.unwrap_or(criterion.coverage),
        max_gap: spec.max_gap.map_or(criterion.max_gap, |Length(gap)| gap),
        unit: spec.unit.clone().unwrap_or_default(),
        ..criterion
    }
}

fn value_test(spec: &CriterionSpec, name: &str) -> Result<ValueTest> {
    let Some(when) = spec.when.clone() else {
        let what = format!("criterion `{name}` has a query and no condition");
        return Err(usage(what, "give it a `when`, such as `value <= 0.01`"));
    };
    if spec.missing == Some(Missing::Zero) && spec.presence.is_none() {
        let what = format!(
            "criterion `{name}` takes no sample for 0, and nothing tells whether there was traffic"
        );
        return Err(usage(what, "give a `presence` query that has a sample wherever there was"));
    }
    let limit = |number: Option<i64>, default: Option<usize>| match number {
        None => default,
        Some(number) => usize::try_from(number).ok(),
    };
    Ok(ValueTest {
        when,
        series: spec.series.unwrap_or_default(),
        nan: spec.nan.unwrap_or_default(),
        inf: spec.inf.unwrap_or_default(),
        missing: spec.missing.unwrap_or_default(),
        fail_limit: limit(spec.fail_limit, None),
        consecutive_fail: limit(spec.consecutive_fail, Some(12)),
        fast_fail: spec
            .fast_fail
            .clone()
            .map(|FastFailSpec { when, r#for: Length(lasting) }| FastFail { when, lasting }),
    })
}

fn wrong_query(name: &str, why: &str) -> anyhow::Error {
    let what = format!("the query of `{name}` is not valid PromQL: {why}");
    usage(what, "try it in Prometheus's own page")
}

/// A gate that can never pass says so at once, not at its deadline.
pub(crate) fn refuse_impossible(timing: Timing, questions: &[Question]) -> Result<()> {
    if timing.step < SignedDuration::from_secs(1) {
        let what = format!("`step` is {}", length(timing.step));
        return Err(usage(what, "use 1s or more: no server is scraped more often"));
    }
    if timing.hold < timing.step {
        let what = format!("`hold` is {}, shorter than `step`", length(timing.hold));
        let hint = "one look does not show that something holds: use several steps";
        return Err(usage(what, hint));
    }
    let window =
        questions.iter().map(|question| question.criterion().window).max().unwrap_or_default();
    let needed = timing.least(window);
    if timing.deadline < needed {
        let what = format!("`deadline` of {} can never be met", length(timing.deadline));
        let hint = format!(
            "warm-up, the query's own window, hold and settling take {} together: use at least that",
            length(needed)
        );
        return Err(usage(what, &hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::file::parse;

    #[test]
    fn the_sample_spec_is_a_spec() {
        let text = include_str!("../../../../tasks/prometheus-gate/samples/gate-spec.yaml");
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
