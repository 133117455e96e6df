//! The evidence as files: `verdict.json` for programs, `report.html` for people.
//!
//! The page needs nothing but itself: pictures are SVG in it, colours follow the reader's choice of
//! light or dark, and it fits a phone.

mod bars;
mod card;
mod chart;
mod escape;

use std::{fmt::Write as _, fs, io, path::Path};

use anyhow::{Context, Result};
use step::Failure;

use crate::decisions::decision::Kind;
use crate::judge::decided::SeenDecision;
use crate::judge::verdict::{Judgement, Verdict};
use crate::output::point_style::Shade;
use crate::output::report::card::{card, notes};
pub(crate) use crate::output::report::chart::HATCHES;
use crate::output::report::chart::block;
use crate::output::report::escape::{escaped, escaped_lines};
use crate::record::{run::Record, summary::Summary};
use crate::spec::rollout::{Subject, Version};
use crate::time::{length, rfc3339};

/// Writes both files into the folder, which is made where it is missing.
pub(crate) fn write(folder: &Path, summary: &Summary, record: &Record) -> Result<()> {
    let write = || {
        fs::create_dir_all(folder)?;
        replace(&folder.join("verdict.json"), &summary.json())?;
        replace(&folder.join("report.html"), &page(summary, record))
    };
    write().with_context(|| Failure {
        what: format!("failed to write the evidence into `{}`", folder.display()),
        hint: "`--report` names a folder that can be written, such as the workspace `evidence`"
            .to_owned(),
    })
}

/// Writes a file whole: who looks at it while a gate waits, or after it was killed, sees no half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

/// What the cards need, wherever they stand: all of it is about what is within `class="gate"`.
pub const STYLE: &str = include_str!("report/cards.css");

/// The rest of the page.
const PAGE_STYLE: &str = include_str!("report/report.css");

/// What there is to see of each criterion, as markup, every text escaped.
pub(crate) fn cards(judgement: &Judgement, record: &Record) -> String {
    let all = judgement.criteria.iter().zip(&record.spec.criteria);
    all.map(|(state, criterion)| card(state, criterion, record, judgement.decided_at)).collect()
}

/// The same with what was not judged, for a page that says nothing else of it.
pub(crate) fn cards_and_notes(judgement: &Judgement, record: &Record) -> String {
    notes(&record.subject.notes) + &cards(judgement, record)
}

fn page(summary: &Summary, record: &Record) -> String {
    let judgement = &summary.judgement;
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{verdict}: {name}</title>\n<style>\n{STYLE}{PAGE_STYLE}</style></head>\n<body class=\"gate {verdict}\">\n{HATCHES}\
         {header}<main class=\"cards\">\n{cards}</main>\n{legend}{again}\
         <details><summary>verdict.json</summary><pre>{json}</pre></details>\n\
         <footer>prometheus-gate {version}</footer>\n</body></html>\n",
        verdict = judgement.verdict,
        name = name(&summary.subject),
        header = header(summary, record),
        cards = cards(judgement, record),
        legend = legend(),
        again = AGAIN,
        json = escaped_lines(&summary.json()),
        version = summary.version,
    )
}

fn name(subject: &Subject) -> String {
    subject.service.as_deref().map_or_else(|| "a canary".to_owned(), escaped)
}

fn header(summary: &Summary, record: &Record) -> String {
    let judgement = &summary.judgement;
    let mark = match judgement.verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Inconclusive | Verdict::Pending => "?",
    };
    let namespace = summary.subject.namespace.as_deref();
    format!(
        "<header>\n<p class=\"badge\">{mark} {verdict}</p>\n<h1>{name}{namespace}</h1>\n\
         <p class=\"message\"><b>{reason}</b>: {message}</p>\n{notes}{people}{sides}<dl>\n{facts}</dl>\n</header>\n",
        verdict = judgement.verdict,
        name = name(&summary.subject),
        namespace = namespace
            .map(|namespace| format!(" <small>in {}</small>", escaped(namespace)))
            .unwrap_or_default(),
        reason = judgement.reason,
        message = escaped(&judgement.message),
        notes = notes(&summary.notes),
        people = people(&summary.decisions),
        sides = sides(&summary.subject),
        facts = facts(summary, record),
    )
}

/// What people decided, a line each.
fn people(decisions: &[SeenDecision]) -> String {
    if decisions.is_empty() {
        return String::new();
    }
    let line = |SeenDecision { decision, seen_at, gone_at }: &SeenDecision| {
        let what = match decision.kind {
            Kind::Approve => format!("approved up to {} %", decision.percent),
            Kind::Hold => "held".to_owned(),
            Kind::Promote => format!("promoted up to {} %", decision.percent),
            Kind::Abort => "aborted".to_owned(),
            Kind::StopHold => "all releases of the namespace held".to_owned(),
            Kind::StopRollback => "all releases of the namespace taken back".to_owned(),
        };
        let until = gone_at.map(|gone| format!(" until {}", rfc3339(gone))).unwrap_or_default();
        let text = format!("{what} by {decision}; from {}{until}", rfc3339(*seen_at));
        format!("<li>{}</li>\n", escaped(&text))
    };
    format!("<ul class=\"notes\">\n{}</ul>\n", decisions.iter().map(line).collect::<String>())
}

/// The two versions beside each other.
fn sides(Subject { canary, baseline, percent, .. }: &Subject) -> String {
    if canary.is_unknown() && baseline.is_unknown() {
        return String::new();
    }
    let share = percent
        .map(|percent| {
            format!(" <small>{} of the traffic</small>", escaped(&format!("{percent} %")))
        })
        .unwrap_or_default();
    let row = |name: &str, of: &dyn Fn(&Version) -> Option<String>| {
        let (canary, baseline) = (of(canary), of(baseline));
        if canary.is_none() && baseline.is_none() {
            return String::new();
        }
        let [canary, baseline] = [canary, baseline].map(|text| text.unwrap_or_else(|| "–".into()));
        format!("<tr><th scope=\"row\">{name}</th><td>{canary}</td><td>{baseline}</td></tr>\n")
    };
    format!(
        "<table class=\"sides\">\n<tr><td></td><th scope=\"col\">canary{share}</th>\
         <th scope=\"col\">baseline</th></tr>\n{}{}{}</table>\n",
        row("version", &|side| side.version.as_deref().map(escaped)),
        row("revision", &|side| side.revision.as_deref().map(escaped)),
        row("image", &|side| side.image.as_deref().map(image)),
    )
}

/// An image with as much of its digest as people compare; all of it when pointed at.
fn image(image: &str) -> String {
    const SHOWN: usize = 12;
    let Some((name, digest)) = image.split_once("@sha256:") else { return escaped(image) };
    let short: String = digest.chars().take(SHOWN).collect();
    let dots = if digest.chars().count() > SHOWN { "…" } else { "" };
    format!(
        "<span title=\"{}\">{}@sha256:{}{dots}</span>",
        escaped(image),
        escaped(name),
        escaped(&short)
    )
}

fn facts(summary: &Summary, record: &Record) -> String {
    let timing = record.spec.timing;
    let subject = &summary.subject;
    // Where the versions are not known, their table is not there to say it.
    let alone = subject.canary.is_unknown() && subject.baseline.is_unknown();
    let percent = subject.percent.filter(|_| alone);
    let facts = [
        ("traffic", percent.map(|percent| format!("{percent} %"))),
        ("run", subject.run.clone()),
        ("climbed before", Some(summary.climbed.clone()).filter(|climbed| !climbed.is_empty())),
        ("started", Some(summary.t0.clone())),
        ("decided", Some(summary.decided_at.clone())),
        ("decided after", Some(length(summary.judgement.decided_at.duration_since(record.t0)))),
        ("hold", Some(length(timing.hold))),
        ("deadline", Some(length(timing.deadline))),
        ("queries", Some(summary.queries.to_string())),
    ];
    let known = facts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value));
        text
    })
}

fn legend() -> String {
    let meaning = |shade: Shade| match shade {
        Shade::Good => "what the lane's title says",
        Shade::Suspect => "half of the evidence that fails the canary",
        Shade::Bad => "a bad value, or proven worse; ✗ ends a lane that failed the gate",
        Shade::Missing => "nothing to see",
        Shade::Warmup => "not judged yet",
    };
    let one = |shade: Shade| {
        format!(
            "<li><svg viewBox=\"0 0 26 12\" width=\"26\" height=\"12\" aria-hidden=\"true\">{}</svg>\
             <b>{}</b> {}</li>\n",
            block(shade, 0.0, 26.0, 12.0),
            shade.word(),
            meaning(shade)
        )
    };
    format!("<ul class=\"legend\">\n{}</ul>\n", Shade::ALL.map(one).concat())
}

const AGAIN: &str = "<section class=\"again\"><p>The same verdict and page from what was recorded:</p>\
                     <pre>prometheus-gate replay record.ndjson --report again</pre>\
                     <p>The record may also lie in a store: <code>s3://BUCKET/…/record.ndjson.gz</code></p></section>\n";

#[cfg(test)]
mod tests;
