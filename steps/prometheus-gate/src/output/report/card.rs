//! What the page shows of one criterion.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::judge::evidence::Evidence;
use crate::judge::summary::CriterionSummary;
use crate::judge::trail::TrailPoint;
use crate::output::point_style::standing;
use crate::output::report::bars::figures;
use crate::output::report::chart::{Axis, Chart, Curve, counted, held, points};
use crate::output::report::escape::{escaped, escaped_lines};
use crate::record::run::Record;
use crate::spec::resolved::{Criterion, Role, Test, Timing};
use crate::time::length;

pub(crate) fn card(
    state: &CriterionSummary,
    criterion: &Criterion,
    record: &Record,
    decided: Timestamp,
) -> String {
    let described = state
        .description
        .split_once(": ")
        .map_or(state.description.as_str(), |(_, described)| described);
    let (mark, word) = standing(state.standing);
    let role = match state.role {
        Role::Gate => "",
        Role::Observe => ", decides nothing",
        Role::Failfast => ", need not hold",
    };
    format!(
        "<section class=\"card {class}\">\n<h2><span class=\"mark\">{mark}</span> {name} \
         <small>{word}{role}</small></h2>\n<p>{described}</p>\n{notes}{bars}{lanes}<table>\n{rows}</table>\n\
         <details><summary>query</summary><pre>{query}</pre></details>\n</section>\n",
        class = format!("{:?}", state.standing).to_lowercase(),
        name = escaped(&state.name),
        described = escaped(described),
        notes = notes(&state.notes),
        bars = state.evidence.as_ref().map(figures).unwrap_or_default(),
        lanes = lanes(state, criterion, record, decided),
        rows = rows(state, &criterion.source, record.spec.timing),
        query = escaped_lines(&state.query),
    )
}

/// What a reader has to know, a line each.
pub(super) fn notes(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let items = notes.iter().fold(String::new(), |mut items, note| {
        let _ = writeln!(items, "<li>{}</li>", escaped(note));
        items
    });
    format!("<ul class=\"notes\">\n{items}</ul>\n")
}

fn rows(state: &CriterionSummary, source: &str, timing: Timing) -> String {
    let mut facts = vec![
        ("points", counted(state)),
        ("held", format!("{} of {}", length(state.held), length(timing.hold))),
    ];
    if !source.is_empty() {
        facts.push(("series of", source.to_owned()));
    }
    facts.extend(state.evidence.iter().flat_map(Evidence::facts));
    facts.iter().fold(String::new(), |mut rows, (name, value)| {
        let _ = writeln!(rows, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escaped(value));
        rows
    })
}

/// Points, values, hold and evidence, one below the other over the same time.
fn lanes(
    state: &CriterionSummary,
    criterion: &Criterion,
    record: &Record,
    decided: Timestamp,
) -> String {
    let timing = record.spec.timing;
    let axis = Axis::new(record.begun(), decided);
    let good = format!("points <b>good: {}</b>", escaped(&state.good_means));
    let mut lanes = vec![figure(&good, &points(state, timing.step, &axis))];
    let (caption, chart) = values(state, criterion);
    lanes.push(figure(&caption, &chart.draw(&axis, "values over time")));
    let hold = "held without a break";
    lanes.push(figure(hold, &held(&state.trail, timing.hold, &axis, hold)));
    for (caption, chart) in evidence(state) {
        lanes.push(figure(caption, &chart.draw(&axis, "evidence over time")));
    }
    lanes.concat() + &axis.times()
}

fn figure(caption: &str, drawing: &str) -> String {
    format!("<figure><figcaption>{caption}</figcaption>\n{drawing}</figure>\n")
}

/// What the values are, and the line they are held against.
fn values(state: &CriterionSummary, criterion: &Criterion) -> (String, Chart) {
    const LIMIT: &str = "<i class=\"limit\"></i>";
    const SIDES: &str = "<i class=\"curve\"></i>canary <i class=\"baseline\"></i>baseline";
    let (caption, line) = match &criterion.test {
        Test::Value(test) => {
            let unit = if criterion.unit.is_empty() {
                "value".to_owned()
            } else {
                escaped(&criterion.unit)
            };
            let line = test.when.threshold();
            let limit = if line.is_some() { format!(" {LIMIT}limit") } else { String::new() };
            (format!("{unit}{limit}"), line)
        }
        Test::Compare(test) => (format!("{} requests {SIDES}", test.counted.adjective()), None),
        Test::Latency(_) => (format!("slow requests {SIDES}"), None),
        Test::Answers(_) => {
            let told = state.evidence.as_ref().and_then(|evidence| evidence.told.as_ref());
            let answer = told.map_or("an answer", |(_, answer)| answer.as_str());
            (format!("{} {SIDES}", escaped(answer)), None)
        }
        Test::Slo(test) => (format!("failed requests {LIMIT}allowed"), test.fail.or(test.pass)),
    };
    let are_shares = !matches!(criterion.test, Test::Value(_));
    let values = curve(state, &|step| step.value);
    let baseline = curve(state, &|step| step.baseline_rate);
    (caption, Chart { values, baseline, line, are_shares })
}

/// The evidence over time, and the line that it has to reach.
fn evidence(state: &CriterionSummary) -> Vec<(&'static str, Chart)> {
    let Some(evidence) = &state.evidence else { return Vec::new() };
    let chart = |line: f64, log: &dyn Fn(&TrailPoint) -> Option<f64>| Chart {
        values: curve(state, &|step| log(step).map(|log| log.max(0.0))),
        baseline: Vec::new(),
        line: Some(line),
        are_shares: false,
    };
    let against = evidence.threshold.map(|line| {
        let caption = "evidence against the canary, ln E <i class=\"limit\"></i>fails";
        (caption, chart(line, &|step| step.log_e))
    });
    let good = evidence.pass_threshold.map(|line| {
        let caption = "evidence for the canary, ln E <i class=\"limit\"></i>enough for a pass";
        (caption, chart(line, &|step| step.log_good))
    });
    against.into_iter().chain(good).collect()
}

fn curve(state: &CriterionSummary, value: &dyn Fn(&TrailPoint) -> Option<f64>) -> Curve {
    let finite = |step: &TrailPoint| value(step).filter(|value| value.is_finite());
    state.trail.iter().filter_map(|step| Some((step.at, finite(step)?))).collect()
}
