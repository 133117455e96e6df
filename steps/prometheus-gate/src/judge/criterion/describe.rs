//! A criterion in words and as a summary.

use crate::judge::summary::{CriterionSummary, Sample, Standing};
use crate::judge::trail::Class;
use crate::judge::{comparison::Comparison, counts::percent, criterion::CriterionState};
use crate::spec::resolved::{Criterion, Test};
use crate::time::length;

impl CriterionState {
    fn standing(&self) -> Standing {
        match self.class {
            _ if self.failed.is_some() => Standing::Failed,
            Class::Warmup => Standing::Warmup,
            Class::Bad => Standing::Bad,
            _ if self.at < self.times.run_from() => Standing::Warmup,
            _ if self.holds() => Standing::Held,
            _ if self.run.is_some() => Standing::Holding,
            _ => Standing::Missing,
        }
    }
    /// What it shows, in a few words with numbers and units.
    pub(crate) fn describe(&self) -> String {
        let name = &self.criterion.name;
        let seen = self.has_samples;
        let described = match (&self.criterion.test, &self.comparison, self.last) {
            _ if !seen && self.points.unknown > 0 => "no answer from Prometheus".to_owned(),
            (_, Some(_), _) if !seen && self.class != Class::Warmup => {
                "none of the series that it can rest on exists".to_owned()
            }
            (_, Some(comparison), _) if comparison.has_counted() || self.class != Class::Warmup => {
                comparison.describe(&self.criterion.unit)
            }
            (Test::Value(test), _, Some(Sample { v, .. })) => match self.class {
                Class::Bad => format!("{}, wanted `{}`", self.amount(v), test.when),
                Class::Missing => format!("no data any more (last was {})", self.amount(v)),
                Class::Good | Class::Warmup => self.amount(v),
            },
            _ if self.class == Class::Warmup => "warming up".to_owned(),
            _ => "no data".to_owned(),
        };
        format!("{name}: {described}")
    }

    /// What kept it from holding, as the end of a sentence.
    pub(crate) fn describe_missing(&self) -> String {
        self.comparison.as_ref().and_then(Comparison::describe_missing).unwrap_or_else(|| {
            format!("too late to hold for {} before the deadline", length(self.hold))
        })
    }

    fn amount(&self, value: f64) -> String {
        #[expect(clippy::float_cmp, reason = "just one")]
        let one = value == 1.0 && self.criterion.unit.len() > 2;
        let unit =
            if one { self.criterion.unit.trim_end_matches('s') } else { &self.criterion.unit };
        if unit.is_empty() { format!("{value}") } else { format!("{value} {unit}") }
    }

    pub(crate) fn state(&self) -> CriterionSummary {
        let (held, coverage) = self.longest();
        CriterionSummary {
            name: self.criterion.name.clone(),
            query: self.criterion.query.clone(),
            unit: self.criterion.unit.clone(),
            role: self.criterion.role,
            standing: self.standing(),
            points: self.points,
            coverage,
            held_seconds: held.as_secs_f64(),
            held,
            last: self.last,
            worst: self.worst,
            evidence: self.comparison.as_ref().map(Comparison::evidence),
            missing_requests: (self.comparison.as_ref())
                .filter(|_| !self.is_unopposed())
                .map(Comparison::missing_requests),
            requests: self.comparison.as_ref().map_or(0.0, Comparison::requests),
            has_looked: self.comparison.as_ref().is_some_and(Comparison::has_looked),
            notes: (self.criterion.notes.iter().cloned())
                .chain(self.comparison.iter().flat_map(Comparison::notes))
                .collect(),
            description: self.describe(),
            good_means: good_means(&self.criterion),
            trail: self.trail.clone(),
        }
    }
}

/// What a good point of a criterion shows, as the end of "good: ".
pub(crate) fn good_means(criterion: &Criterion) -> String {
    match &criterion.test {
        Test::Value(test) => test.when.to_string(),
        Test::Compare(_) => "requests on both sides, not proven worse".to_owned(),
        Test::Latency(_) => "requests on both sides, not proven slower".to_owned(),
        Test::Answers(_) => "answers on both sides, not proven changed".to_owned(),
        Test::Slo(test) => match test.fail {
            Some(limit) => format!("requests, not proven above {}", percent(limit)),
            None => "requests".to_owned(),
        },
    }
}
