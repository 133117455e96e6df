//! How often each side gave which answer, as bars side by side.

use std::fmt::Write as _;

use crate::judge::answers::shown;
use crate::judge::counts::{grouped, percent};
use crate::judge::distribution::{Distribution, Part};
use crate::judge::evidence::Evidence;
use crate::output::report::escape::escaped;

/// Width of a drawing, in its own units, and where its bars are.
const WIDTH: f64 = 340.0;
const LEFT: f64 = 116.0;
const RIGHT: f64 = 284.0;

/// Height of the two bars of an answer.
const ROW: f64 = 27.0;

/// Characters that have room beside a bar.
const LABEL: usize = 18;

/// The field that says most, and all others below it.
pub(super) fn figures(evidence: &Evidence) -> String {
    let (field, answer) = match &evidence.told {
        Some((field, answer)) => (field.as_str(), answer.as_str()),
        None => ("", ""),
    };
    let (told, others): (Vec<&Distribution>, Vec<&Distribution>) =
        evidence.fields.iter().partition(|distribution| distribution.field == field);
    // Where no field says most, the first is as good as any.
    let (told, others) = if told.is_empty() {
        others.split_at(others.len().min(1))
    } else {
        (told.as_slice(), others.as_slice())
    };
    let mut text: String = told.iter().map(|told| figure(told, answer)).collect();
    if !others.is_empty() {
        let all: String = others.iter().map(|other| figure(other, "")).collect();
        let _ = writeln!(
            text,
            "<details><summary>{} more of the answers' fields</summary>\n{all}</details>",
            others.len()
        );
    }
    text
}

fn figure(distribution: &Distribution, told: &str) -> String {
    let field = escaped(shown(&distribution.field));
    let (canary, baseline) = (grouped(distribution.canary), grouped(distribution.baseline));
    format!(
        "<figure class=\"answers\"><figcaption>{field} <i class=\"curve\"></i>canary, {canary} \
         <i class=\"baseline\"></i>baseline, {baseline}</figcaption>\n{}</figure>\n",
        drawing(distribution, told)
    )
}

fn drawing(distribution: &Distribution, told: &str) -> String {
    let parts: Vec<&Part> = distribution.answers.iter().chain(&distribution.others).collect();
    let (mut body, mut words) = (String::new(), Vec::new());
    let mut top = 0.0;
    for part in parts {
        let shares = distribution.shares(part);
        let [canary, baseline] = shares.map(percent);
        words.push(format!("{} {canary} and {baseline}", part.answer));
        let class = if part.answer == told { "label told" } else { "label" };
        let answer = escaped(&part.answer);
        let _ = write!(
            body,
            "<text class=\"{class}\" x=\"{:.0}\" y=\"{:.0}\">{}<title>{answer}</title></text>",
            LEFT - 6.0,
            top + 16.0,
            escaped(&cut(&part.answer)),
        );
        let sides = [("canary", shares[0], canary, 3.0), ("baseline", shares[1], baseline, 14.0)];
        for (side, share, told, below) in sides {
            let _ = write!(
                body,
                "<rect class=\"bar {side}\" x=\"{LEFT}\" y=\"{:.0}\" width=\"{:.1}\" height=\"9\"/>\
                 <text class=\"tick\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
                top + below,
                (RIGHT - LEFT) * share.clamp(0.0, 1.0),
                WIDTH - 4.0,
                top + below + 8.0,
                escaped(&told)
            );
        }
        body.push('\n');
        top += ROW;
    }
    let label = format!(
        "{}, of the canary and of the baseline: {}",
        shown(&distribution.field),
        words.join("; ")
    );
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{}\">\n{body}</svg>",
        top.max(1.0),
        escaped(&label)
    )
}

/// A name with as much as has room.
fn cut(text: &str) -> String {
    if text.chars().count() <= LABEL {
        return text.to_owned();
    }
    text.chars().take(LABEL - 1).collect::<String>() + "…"
}
