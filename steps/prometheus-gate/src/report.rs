//! The evidence as files: `verdict.json` for programs, `report.html` for people.
//!
//! The page needs nothing but itself: pictures are SVG in it, colours follow the reader's choice of
//! light or dark, and it fits a phone.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};
use step::Failure;

use crate::{
    comparison::percent,
    ledger::{Account, Ledger},
    samples::as_float,
    spec::{Criterion, Ms, SECOND, Test},
    track::{Class, State, Step},
    verdict::length,
};

/// Writes both files into the folder, which is made where it is missing.
pub(crate) fn write(folder: &Path, account: &Account, ledger: &Ledger) -> Result<()> {
    let write = || {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("verdict.json"), account.json())?;
        fs::write(folder.join("report.html"), page(account, ledger))
    };
    write().with_context(|| Failure {
        what: format!("failed to write the evidence into `{}`", folder.display()),
        hint: "`--report` names a folder that can be written, such as the workspace `evidence`"
            .to_owned(),
    })
}

fn page(account: &Account, ledger: &Ledger) -> String {
    let judgement = &account.judgement;
    let timing = ledger.spec.timing;
    let took = length(judgement.decided_at - ledger.t0);
    let facts = [
        ("decided after", took),
        ("hold", length(timing.hold)),
        ("deadline", length(timing.deadline)),
        ("started", account.t0.clone()),
        ("decided", account.decided_at.clone()),
        ("queries", account.queries.to_string()),
    ];
    let facts: String = facts
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value)))
        .concat();
    let cards: String = judgement
        .criteria
        .iter()
        .zip(&ledger.spec.criteria)
        .map(|(state, criterion)| card(state, criterion, ledger, judgement.decided_at))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{verdict}: prometheus-gate</title>\
         <style>{STYLE}</style></head>\n<body class=\"{verdict}\">\n<header><p class=\"badge\">{verdict}</p>\
         <h1>{reason}</h1><p class=\"message\">{message}</p><dl>{facts}</dl></header>\n<main>{cards}</main>\n\
         <p class=\"key\"><i class=\"good\"></i>good <i class=\"bad\"></i>bad <i class=\"missing\"></i>missing \
         <i class=\"warmup\"></i>warm-up</p>\n<details><summary>verdict.json</summary><pre>{json}</pre></details>\n\
         </body></html>\n",
        verdict = judgement.verdict,
        reason = judgement.reason,
        message = escaped(&judgement.message),
        json = escaped(&account.json()),
    )
}

fn card(state: &State, criterion: &Criterion, ledger: &Ledger, decided: Ms) -> String {
    let told = state.told.split_once(": ").map_or(state.told.as_str(), |(_, told)| told);
    let mut rows = String::new();
    let points = state.points;
    let seen = format!(
        "{} good, {} bad, {} missing, {} warm-up",
        points.good, points.bad, points.missing, points.warmup
    );
    let mut row = |name: &str, value: &str| {
        let _ = write!(rows, "<tr><th>{name}</th><td>{}</td></tr>", escaped(value));
    };
    row("points", &seen);
    row("held", &format!("{} of {}", length(state.held), length(ledger.spec.timing.hold)));
    if let Some(evidence) = &state.evidence {
        for (name, value) in evidence.facts() {
            row(name, &value);
        }
    }
    format!(
        "<section class=\"card\"><h2>{name} <small>{standing}</small></h2><p>{told}</p>{picture}\
         <table>{rows}</table><details><summary>query</summary><pre>{query}</pre></details></section>",
        name = escaped(&state.name),
        standing = format!("{:?}", state.standing).to_lowercase(),
        told = escaped(told),
        picture = picture(state, criterion, ledger, decided),
        query = escaped(&state.query),
    )
}

/// Width of the drawing, in its own units: about the pixels of a card.
const WIDTH: f64 = 380.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 374.0;

/// From moments to places.
struct Axis {
    from: Ms,
    to: Ms,
}

impl Axis {
    fn x(&self, at: Ms) -> f64 {
        LEFT + (RIGHT - LEFT) * as_float(at - self.from) / as_float((self.to - self.from).max(1))
    }
}

/// Points, value, hold and evidence, one below the other over the same time.
fn picture(state: &State, criterion: &Criterion, ledger: &Ledger, decided: Ms) -> String {
    let timing = ledger.spec.timing;
    let axis = Axis { from: ledger.t0, to: decided.max(ledger.t0 + 60 * SECOND) };
    let mut body = String::new();
    let mut top = 4.0;
    let mut lane = |title: &str, height: f64, inside: &dyn Fn(f64) -> String| {
        let _ = write!(
            body,
            "<text x=\"4\" y=\"{:.0}\">{title}</text>{}",
            top + 12.0,
            inside(top + 18.0)
        );
        top += 18.0 + height + 10.0;
    };
    lane("points", 16.0, &|y| strip(&state.trail, timing.step, &axis, y));
    let (title, threshold) = subject(criterion);
    let curve = |value: &dyn Fn(&Step) -> Option<f64>| -> Curve {
        state
            .trail
            .iter()
            .filter_map(|step| Some((step.at, value(step).filter(|value| value.is_finite())?)))
            .collect()
    };
    let (values, usual) = (curve(&|step| step.value), curve(&|step| step.usual));
    lane(&escaped(&title), 70.0, &|y| {
        chart(&values, &usual, threshold, &axis, (y, 70.0), criterion)
    });
    lane("held without a break", 16.0, &|y| held(&state.trail, timing.hold, &axis, y));
    for (title, evidence, line) in evidence_lanes(state) {
        lane(title, 60.0, &|y| chart(&evidence, &[], Some(line), &axis, (y, 60.0), criterion));
    }
    let height = top + 18.0;
    let ticks = ticks(&axis, top, 22.0);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">{ticks}{body}</svg>",
        escaped(&state.told)
    )
}

/// What the values are, and the line they are held against.
fn subject(criterion: &Criterion) -> (String, Option<f64>) {
    match &criterion.test {
        Test::Value(test) => {
            let unit = if criterion.unit.is_empty() { "value" } else { criterion.unit.as_str() };
            (format!("{unit}, wanted {}", test.when), test.when.threshold())
        }
        Test::Compare(_) => ("failed requests: canary, baseline (grey)".to_owned(), None),
        Test::Latency(_) => ("slow requests: canary, baseline (grey)".to_owned(), None),
        Test::Slo(test) => {
            ("failed requests of the canary, allowed".to_owned(), test.fail.or(test.pass))
        }
    }
}

type Curve = Vec<(Ms, f64)>;

/// The evidence over time, and the line that it has to reach.
fn evidence_lanes(state: &State) -> Vec<(&'static str, Curve, f64)> {
    let curve = |value: &dyn Fn(&Step) -> Option<f64>| -> Curve {
        state.trail.iter().filter_map(|step| Some((step.at, value(step)?.max(0.0)))).collect()
    };
    let Some(evidence) = &state.evidence else { return Vec::new() };
    let against = evidence
        .threshold
        .map(|line| ("evidence against the canary, ln E", curve(&|step| step.log_e), line));
    let good = evidence
        .pass_threshold
        .map(|line| ("evidence for the canary, ln E", curve(&|step| step.log_good), line));
    against.into_iter().chain(good).collect()
}

/// Neighbouring points of one class are one block.
fn strip(trail: &[Step], step: Ms, axis: &Axis, y: f64) -> String {
    let mut text = String::new();
    for run in trail.chunk_by(|a, b| a.class == b.class) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let class = match first.class {
            Class::Good => "good",
            Class::Bad => "bad",
            Class::Missing => "missing",
            Class::Warmup => "warmup",
        };
        let (x, end) = (axis.x(first.at), axis.x(last.at + step).min(RIGHT));
        let _ = write!(
            text,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"16\"/>",
            (end - x).max(1.0)
        );
    }
    text
}

/// How much of the hold had passed at each point.
fn held(trail: &[Step], hold: Ms, axis: &Axis, y: f64) -> String {
    let mut path = format!("M{LEFT} {:.1}", y + 16.0);
    for step in trail {
        let part = as_float(step.held.min(hold)) / as_float(hold.max(1));
        let _ = write!(path, "L{:.1} {:.1}", axis.x(step.at), y + 16.0 * (1.0 - part));
    }
    let end = trail.last().map_or(LEFT, |step| axis.x(step.at));
    format!(
        "<rect class=\"frame\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{:.0}\" height=\"16\"/>\
         <path class=\"hold\" d=\"{path}L{end:.1} {:.1}Z\"/>",
        RIGHT - LEFT,
        y + 16.0
    )
}

/// A curve, and the line that it must keep to or reach.
fn chart(
    values: &[(Ms, f64)],
    usual: &[(Ms, f64)],
    line: Option<f64>,
    axis: &Axis,
    (y, height): (f64, f64),
    criterion: &Criterion,
) -> String {
    let all = || values.iter().chain(usual).map(|(_, value)| *value).chain(line);
    let (low, high) = (all().fold(0.0, f64::min), all().fold(f64::MIN_POSITIVE, f64::max));
    let high = if high - low < 1e-12 { low + 1.0 } else { low + (high - low) * 1.08 };
    let place = |value: f64| y + height * (1.0 - (value - low) / (high - low));
    let mut text = format!(
        "<rect class=\"frame\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{:.0}\" height=\"{height:.0}\"/>",
        RIGHT - LEFT
    );
    let shares =
        matches!(criterion.test, Test::Compare(_) | Test::Latency(_) | Test::Slo(_)) && high <= 1.2;
    let number = |value: f64| if shares { percent(value) } else { short_number(value) };
    let label = |at: f64, value: f64| {
        format!(
            "<text class=\"tick\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            LEFT - 4.0,
            at,
            number(value)
        )
    };
    text += &label(y + height, low);
    let highest = values.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    if let Some(line) = line {
        let at = place(line);
        let name = if at < y + height - 10.0 { label(at + 4.0, line) } else { String::new() };
        let _ = write!(text, "<path class=\"limit\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>{name}");
    }
    let apart = |line: f64| (place(line) - place(highest)).abs() > 14.0;
    if highest > low && line.is_none_or(apart) && place(highest) < y + height - 12.0 {
        text += &label(place(highest) + 4.0, highest);
    }
    for (class, curve) in [("usual", usual), ("curve", values)] {
        let place = |(at, (moment, value)): (usize, &(Ms, f64))| {
            format!(
                "{}{:.1} {:.1}",
                if at == 0 { "M" } else { "L" },
                axis.x(*moment),
                place(*value)
            )
        };
        let path: Vec<String> = curve.iter().enumerate().map(place).collect();
        let _ = write!(text, "<path class=\"{class}\" d=\"{}\"/>", path.concat());
    }
    if let [(moment, value)] = values {
        let _ = write!(
            text,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
            axis.x(*moment),
            place(*value)
        );
    }
    text
}

/// Times since the start, as many as have room.
fn ticks(axis: &Axis, top: f64, above: f64) -> String {
    const STEPS: [Ms; 12] = [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600];
    let span = axis.to - axis.from;
    let step =
        STEPS.iter().map(|step| step * SECOND).find(|step| span / step <= 5).unwrap_or(span.max(1));
    let mut text = String::new();
    let mut at = 0;
    while at <= span {
        let x = axis.x(axis.from + at);
        let label = if at == 0 { "0".to_owned() } else { length(at) };
        let anchor = if x > RIGHT - 20.0 { "end" } else { "middle" };
        let _ = write!(
            text,
            "<path class=\"grid\" d=\"M{x:.1} {above}V{:.0}\"/>\
             <text class=\"time\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{:.0}\">{label}</text>",
            top - 4.0,
            top + 10.0
        );
        at += step;
    }
    text
}

fn short_number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.1e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace(" %", "&nbsp;%")
}

const STYLE: &str = "\
:root{--back:#f6f7f9;--card:#fff;--text:#1c2430;--soft:#5b6778;--line:#d9dee6;--good:#2f9e5b;--bad:#d43d3d;--missing:#d99a1c;\
--warmup:#b3bcc9;--curve:#2f6fd0}\
@media(prefers-color-scheme:dark){:root{--back:#12161c;--card:#1b212a;--text:#e6eaf0;--soft:#9aa7b8;--line:#323c4a;--good:#4cc27d;\
--bad:#f06a6a;--missing:#e8b64c;--warmup:#566275;--curve:#6ea4ff}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:1080px;padding:16px;background:var(--back);color:var(--text);\
font:15px/1.45 system-ui,sans-serif}\
header{border-left:6px solid var(--verdict);padding:2px 0 2px 16px;margin-bottom:18px}\
.pass{--verdict:var(--good)}.fail{--verdict:var(--bad)}.inconclusive,.pending{--verdict:var(--missing)}\
.badge{display:inline-block;margin:0;padding:2px 12px;border-radius:99px;background:var(--verdict);color:#fff;font-weight:700;\
text-transform:uppercase;letter-spacing:.06em;font-size:13px}\
h1{display:inline;font-size:17px;margin-left:8px;color:var(--soft);font-weight:600}.message{font-size:18px;margin:10px 0 12px}\
dl{display:flex;flex-wrap:wrap;gap:6px 22px;margin:0}dt{color:var(--soft);font-size:12px}dd{margin:0}\
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:14px;align-items:start}\
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;max-width:520px;min-width:0}\
h2{font-size:16px;margin:0}h2 small{color:var(--soft);font-weight:400;font-size:13px}.card p{margin:4px 0 8px}\
svg{display:block;width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--soft)}svg .tick{text-anchor:end;font-size:10px}\
svg .time{font-size:11px}.frame{fill:none;stroke:var(--line)}.grid{stroke:var(--line);stroke-dasharray:2 3}\
.curve{fill:none;stroke:var(--curve);stroke-width:2;stroke-linejoin:round}.dot{fill:var(--curve)}.usual{fill:none;stroke:var(--soft);stroke-width:2}.limit{stroke:var(--bad);stroke-width:1.5;\
stroke-dasharray:6 3}.hold{fill:var(--good);opacity:.55}rect.good{fill:var(--good)}rect.bad{fill:var(--bad)}rect.missing{fill:var(--missing);\
opacity:.55}rect.warmup{fill:var(--warmup)}\
table{border-collapse:collapse;width:100%;font-size:13px;margin-top:6px}th{font-weight:400;color:var(--soft);text-align:left;\
vertical-align:top;padding:2px 12px 2px 0;white-space:nowrap}td{padding:2px 0}\
details{margin-top:8px}summary{cursor:pointer;color:var(--soft);font-size:13px}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;margin:6px 0 0}\
.key{color:var(--soft);font-size:13px}.key i{display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 4px 0 12px}\
i.good{background:var(--good)}i.bad{background:var(--bad)}i.missing{background:var(--missing)}i.warmup{background:var(--warmup)}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_message_becomes_markup() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(0.0, "0"), (0.25, "0.25"), (12.0, "12"), (1234.5, "1234"), (1e-5, "1.0e-5")]
        {
            assert_eq!(short_number(value), text);
        }
    }
}
