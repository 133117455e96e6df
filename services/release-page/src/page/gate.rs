//! What a gate that has not decided knows: points, evidence against its line, and what is missing.

use maud::{Markup, PreEscaped, html};
use serde_json::Value;
use step::text::short;

use crate::{
    known::Gate,
    page::{
        text::{NAME, SENTENCE},
        view::View,
        when::{moment, parse},
    },
};

pub(super) fn gate(view: &View<'_>, gate: &Gate) -> Markup {
    let summary = &gate.summary;
    let criteria = summary["criteria"].as_array().map_or(&[][..], Vec::as_slice);
    html! {
        div.judged {
            @if let Some(error) = &gate.error {
                p.notice.away role="status" { span aria-hidden="true" { "! " } "The gate cannot be looked at: " (short(error, SENTENCE)) }
            }
            @if !summary.is_null() {
                p.verdict { (verdict(summary)) " " (field(summary, "message", SENTENCE)) }
                @if let Some(waiting) = summary["waiting"]["for"].as_str() {
                    p.held { span aria-hidden="true" { "‖ " } "waits for: " (short(waiting, SENTENCE))
                        @if let Some(since) = summary["waiting"]["since"].as_str().and_then(parse) { ", since " (moment(since, view.now)) } }
                }
                @if !criteria.is_empty() { (table(criteria)) }
            }
            p.soft { "Looked at " (moment(gate.looked_at, view.now)) "." }
            @if !gate.cards.is_empty() {
                details.charts open { summary { "What it saw" } (PreEscaped(&gate.cards)) }
            }
        }
    }
}

fn verdict(summary: &Value) -> Markup {
    let (class, mark) = match summary["verdict"].as_str() {
        Some("pass") => ("good", "✓"),
        Some("fail") => ("bad", "✗"),
        _ => ("open", "◐"),
    };
    html! { span class=(format!("badge {class}")) { span aria-hidden="true" { (mark) " " } (field(summary, "verdict", 20)) } }
}

fn table(criteria: &[Value]) -> Markup {
    html! {
        table.criteria {
            thead { tr {
                th scope="col" { "Criterion" } th scope="col" { "State" } th scope="col" { "Points" }
                th scope="col" { "Evidence against the canary" } th scope="col" { "Missing" }
            } }
            tbody { @for criterion in criteria.iter().take(40) {
                tr {
                    th scope="row" { (field(criterion, "name", NAME)) }
                    td { (standing(criterion)) }
                    td data-label="points" { (points(&criterion["points"])) }
                    td data-label="evidence" { (evidence(&criterion["evidence"])) }
                    td data-label="missing" { (missing(criterion)) }
                }
            } }
        }
    }
}

fn standing(criterion: &Value) -> Markup {
    let (class, mark, word) = match criterion["state"].as_str().unwrap_or_default() {
        "held" => ("good", "●", "held"),
        "holding" => ("open", "◐", "holding"),
        "bad" => ("bad", "✗", "bad"),
        "failed" => ("bad", "✗", "failed"),
        "warmup" => ("soft", "○", "warming up"),
        _ => ("soft", "?", "no data"),
    };
    html! { span class=(format!("state {class}")) { span aria-hidden="true" { (mark) " " } (word) } }
}

fn points(points: &Value) -> String {
    let count = |name: &str| points[name].as_u64().unwrap_or_default();
    let named = ["good", "bad", "missing", "unknown", "warmup"];
    let shown = named.iter().filter(|name| count(name) > 0).map(|name| {
        format!("{} {}", count(name), if *name == "warmup" { "warm-up" } else { name })
    });
    let text = shown.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none yet".into() } else { text }
}

/// How far the evidence is from the line at which the canary fails.
fn evidence(evidence: &Value) -> Markup {
    let (Some(log_e), Some(line)) = (evidence["logE"].as_f64(), evidence["threshold"].as_f64())
    else {
        return html! { span.soft { "–" } };
    };
    let part = if line > 0.0 { (log_e / line).clamp(0.0, 1.0) } else { 0.0 };
    let words = format!("ln E {log_e:.2}, fails at {line:.2}");
    html! {
        svg.meter width="100%" height="8" role="img" aria-label=(words) {
            rect.pit width="100%" height="8" rx="2" {}
            rect class=(if part >= 0.5 { "near" } else { "far" }) width=(format!("{:.1}%", 100.0 * part)) height="8" rx="2" {}
        }
        span.number { (words) }
    }
}

fn missing(criterion: &Value) -> String {
    let requests = criterion["missingRequests"].as_f64().filter(|count| *count > 0.0);
    match (requests, criterion["state"].as_str()) {
        (Some(count), _) => format!("{count:.0} requests to the canary"),
        (None, Some("holding")) => "time".into(),
        (None, Some("warmup")) => "its first points".into(),
        (None, Some("missing")) => "any data".into(),
        _ => "nothing".into(),
    }
}

fn field(of: &Value, name: &str, most: usize) -> String {
    let text = short(of[name].as_str().unwrap_or_default(), most);
    if text.is_empty() { "–".into() } else { text }
}
