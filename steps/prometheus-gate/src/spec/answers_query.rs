//! The query for answers: what answer-counter counted of both versions, and the requests that were answered.

use crate::series::{Labels, Measure, Revision, Series, SeriesRole};
use crate::spec::queries::{Own, Shape, by, labelled, merged};

pub(super) const EVENTS: &str = "kanaria_answer_events_total";
const ANSWERS: &str = "kanaria_answers_total";
const VALUES: &str = "kanaria_answer_value_bucket";
const FIELDS: &str = "kanaria_answer_fields_total";

/// The labels by which the counter splits its counts.
const OWN: &[&str] = &[
    "namespace",
    "service",
    "exported_namespace",
    "exported_service",
    "version",
    "field",
    "answer",
    "outcome",
    "le",
];

/// What is counted of which series.
#[derive(Clone, Debug)]
pub(crate) struct AnswersQuery {
    /// Matchers of the versions.
    pub(super) canary: String,
    pub(super) baseline: String,
    pub(super) requests: Option<Requests>,
}

/// Requests that were answered, where somebody counts them.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub(super) selector: String,
    pub(super) own: &'static [&'static str],
    /// Matchers of the revisions.
    pub(super) canary: String,
    pub(super) baseline: String,
}

impl AnswersQuery {
    /// The whole query.
    pub(crate) fn text(&self, shape: &Shape) -> String {
        let mut series = of(Revision::Canary, &self.canary, shape.process);
        series.extend(of(Revision::Baseline, &self.baseline, shape.process));
        if let Some(Requests { selector, own, canary, baseline }) = &self.requests {
            for (side, matchers) in [(Revision::Canary, canary), (Revision::Baseline, baseline)] {
                let selector = merged(selector, matchers);
                let kept: Vec<&str> =
                    [shape.beside].into_iter().chain(own.iter().copied()).collect();
                let summed = format!("sum{} (max{} ({selector}))", by(&[shape.beside]), by(&kept));
                series.push(labelled(&summed, SeriesRole::Of(side, Measure::Answered)));
            }
        }
        series.join(" or ")
    }

    /// The same about the baseline's answers alone.
    pub(crate) fn past(&self, shape: &Shape) -> String {
        of(Revision::Baseline, &self.baseline, shape.process).join(" or ")
    }

    /// Finds a series exactly when all that is asked for can be there.
    pub(crate) fn probe(&self) -> String {
        match self.requests() {
            Some(requests) => format!("count({}) and count({requests})", self.events()),
            None => format!("count({})", self.events()),
        }
    }

    /// The series as they are, to see which labels they have.
    pub(crate) fn sample(&self) -> String {
        [Some(self.events()), self.requests()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" or ")
    }

    fn events(&self) -> String {
        format!("{} or {}", merged(EVENTS, &self.canary), merged(EVENTS, &self.baseline))
    }

    fn requests(&self) -> Option<String> {
        let Requests { selector, canary, baseline, .. } = self.requests.as_ref()?;
        Some(format!("{} or {}", merged(selector, canary), merged(selector, baseline)))
    }

    pub(crate) fn shape(&self, series: &[Series]) -> Shape {
        let is_of_answers =
            |labels: &Labels| labels.get("__name__").is_some_and(|name| name == EVENTS);
        let (answers, requests): (Vec<Series>, Vec<Series>) =
            series.iter().cloned().partition(|series| is_of_answers(&series.labels));
        let own = self.requests.as_ref().map_or(OWN, |requests| requests.own);
        let beside = Shape::of(&requests, Own::Known(own));
        let mut shape = Shape::of(&answers, Own::Known(OWN));
        shape.copies.extend(beside.copies);
        Shape { beside: beside.process, ..shape }
    }
}

/// What the counter counted of a side.
fn of(side: Revision, matchers: &str, process: &str) -> Vec<String> {
    let which = |metric: &str, more: &str| {
        let mut selector = merged(metric, matchers);
        for more in [more, &told(process)] {
            if !more.is_empty() {
                selector = merged(&selector, more);
            }
        }
        selector
    };
    let sum = |measure: Measure, selector: &str, apart: &[&str]| {
        let apart: Vec<&str> = [process].into_iter().chain(apart.iter().copied()).collect();
        let kept: Vec<&str> = apart.iter().copied().chain(["version"]).collect();
        let summed = format!("sum{} (max{} ({selector}))", by(&apart), by(&kept));
        labelled(&summed, SeriesRole::Of(side, measure))
    };
    let outcome = |outcome: &str| which(EVENTS, &format!("outcome=\"{outcome}\""));
    let newest = |expression: &str| format!("max{} ({expression})", by(&[process]));
    let mut series = vec![
        sum(Measure::Taken, &outcome("taken"), &[]),
        sum(Measure::Unreadable, &outcome("unreadable"), &[]),
        sum(Measure::Answer, &which(ANSWERS, ""), &["field", "answer"]),
        sum(Measure::Value, &which(VALUES, ""), &["field", "le"]),
        sum(Measure::Filled, &which(FIELDS, ""), &["field"]),
        labelled(
            &newest(&format!("timestamp({})", which(EVENTS, ""))),
            SeriesRole::Of(side, Measure::Sampled),
        ),
    ];
    if !process.is_empty() {
        // The counter's own, by the processes that have told events of anybody.
        let own = |metric: &str| {
            let told = told(process);
            newest(&format!("{metric}{{{told}}} and on ({process}) {EVENTS}{{{told}}}"))
        };
        series.push(labelled(&own("up"), SeriesRole::Up));
        series.push(labelled(&own("process_start_time_seconds"), SeriesRole::Started));
    }
    series
}

/// A matcher for series that tell their process.
fn told(process: &str) -> String {
    if process.is_empty() { String::new() } else { format!("{process}!=\"\"") }
}
