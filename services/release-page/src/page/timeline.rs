//! A release over time: which percent it had when, and what was done meanwhile.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use release_record::release::{Outcome, Release, Stage, Step};
use step::text::short;

use crate::page::{
    outcome::{state, step, words},
    text::SENTENCE,
    view::View,
    when::{date, length, took},
};

/// Height of the chart of percents, in pixels.
const HEIGHT: f64 = 84.0;
/// Room above for the numbers.
const TOP: f64 = 14.0;

/// From moments to places, which are percents of the width, so that nothing is out of shape at any width.
struct Scale {
    from: Timestamp,
    span: SignedDuration,
}

impl Scale {
    fn new(release: &Release, now: Timestamp) -> Self {
        let stages = release.stages.iter().flat_map(|stage| [Some(stage.began), stage.ended]);
        let shares = release.shares.iter().map(|(_, at)| Some(*at));
        let open = (release.outcome == Outcome::Underway).then_some(now);
        let to = stages.chain(shares).chain([release.ended, open]).flatten().max();
        let span = to.unwrap_or(release.began).duration_since(release.began);
        // What it has at the end is seen as well.
        let span = if release.outcome == Outcome::Promoted { span + span / 16 } else { span };
        Self { from: release.began, span: span.max(SignedDuration::from_secs(1)) }
    }

    fn end(&self) -> Timestamp {
        self.from.checked_add(self.span).unwrap_or(Timestamp::MAX)
    }

    fn place(&self, at: Timestamp) -> f64 {
        let part = at.duration_since(self.from).as_secs_f64() / self.span.as_secs_f64();
        (100.0 * part).clamp(0.0, 100.0)
    }

    /// Times since the start, at most five.
    fn ticks(&self) -> Vec<(f64, String)> {
        const STEPS: [i64; 16] =
            [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400];
        let shown = self.span.as_secs();
        let step = STEPS.into_iter().find(|step| shown / step <= 4).unwrap_or((shown / 4).max(1));
        let ticks = (0..=shown / step).map(|at| SignedDuration::from_secs(at * step));
        ticks.map(|at| (100.0 * at.as_secs_f64() / self.span.as_secs_f64(), length(at))).collect()
    }
}

/// Which percent it had when.
pub(super) fn shares(view: &View<'_>, release: &Release) -> Markup {
    if release.shares.is_empty() {
        return html! {};
    }
    let scale = Scale::new(release, view.now);
    let ends = release.shares.iter().skip(1).map(|(_, at)| *at);
    let last = match release.outcome {
        Outcome::RolledBack | Outcome::Failed => release.ended.unwrap_or_else(|| scale.end()),
        Outcome::Underway | Outcome::Promoted => scale.end(),
    };
    let steps: Vec<_> = release.shares.iter().zip(ends.chain([last])).take(64).collect();
    let said = release.shares.iter().take(24).map(|(percent, at)| {
        format!("{percent} % after {}", length(at.duration_since(release.began)))
    });
    let label = format!("Percents over time: {}", said.collect::<Vec<_>>().join(", "));
    let room = HEIGHT - TOP;
    html! {
        figure.shares {
            figcaption { "Its part of the requests" }
            svg width="100%" height=(HEIGHT + 18.0) role="img" aria-label=(label) {
                @for (place, _) in scale.ticks() { line.grid x1=(at(place)) x2=(at(place)) y1=(TOP) y2=(HEIGHT) {} }
                line.axis x1="0" x2="100%" y1=(HEIGHT) y2=(HEIGHT) {}
                @for ((percent, from), to) in &steps {
                    @let (x, end) = (scale.place(*from), scale.place(*to));
                    @let height = room * f64::from((*percent).min(100)) / 100.0;
                    rect x=(at(x)) width=(at((end - x).max(0.3))) y=(px(HEIGHT - height)) height=(px(height)) {}
                    @if end - x > 9.0 { text x=(at(x)) y=(px(HEIGHT - height - 3.0)) { (percent) " %" } }
                }
                (axis(&scale, HEIGHT + 13.0))
            }
        }
    }
}

fn axis(scale: &Scale, y: f64) -> Markup {
    html! {
        @for (place, text) in scale.ticks() {
            text.time x=(at(place)) y=(px(y)) text-anchor=(if place < 4.0 { "start" } else if place > 93.0 { "end" } else { "middle" }) { (text) }
        }
    }
}

/// What was done, one row each: from the event to the end.
pub(super) fn stages(view: &View<'_>, release: &Release) -> Markup {
    let scale = Scale::new(release, view.now);
    html! {
        table.stages {
            thead { tr {
                th scope="col" { "Stage" }
                th.over scope="col" { span { "Over " (length(scale.span)) } }
                th scope="col" { "Took" } th scope="col" { "Came to" }
            } }
            tbody {
                tr.edge { th scope="row" { span aria-hidden="true" { "▸ " } "event" }
                    td { (mark(0.0)) } td {} td { "received " (date(release.began)) } }
                @for stage in release.stages.iter().take(200) { (row(view, &scale, stage)) }
                @if let Some(ended) = release.ended {
                    @let (class, mark_, word) = words(release.outcome);
                    tr.edge { th scope="row" { span class=(format!("state {class}")) { span aria-hidden="true" { (mark_) " " } (word) } }
                        td { (mark(scale.place(ended))) }
                        td.number data-label="after" { (length(ended.duration_since(release.began))) }
                        td { (short(&release.reason, SENTENCE)) } }
                }
            }
        }
    }
}

fn row(view: &View<'_>, scale: &Scale, stage: &Stage) -> Markup {
    let (class, sign, word) = state(stage.state);
    let (x, end) =
        (scale.place(stage.began), scale.place(stage.ended.unwrap_or_else(|| scale.end())));
    let kind = match stage.step {
        Step::Gate(_) => "judging",
        Step::Promote(_) | Step::Canary => "climb",
        Step::Rollback => "back",
        Step::Image | Step::Event | Step::Other => "work",
    };
    html! {
        tr {
            th scope="row" title=(short(&stage.task, 80)) { (step(stage)) }
            td.over { svg.span width="100%" height="12" aria-hidden="true" {
                rect.pit width="100%" height="12" rx="2" {}
                rect class=(format!("span {kind} {class}")) x=(at(x)) width=(at((end - x).max(0.6))) height="12" rx="2" {}
            } }
            td.number data-label="took" { (took(stage.began, stage.ended, view.now)) }
            td {
                span class=(format!("state {class}")) { span aria-hidden="true" { (sign) " " } (word) }
                @if !stage.detail.is_empty() { " " (short(&stage.detail, SENTENCE)) }
            }
        }
    }
}

fn mark(place: f64) -> Markup {
    html! {
        svg.span width="100%" height="12" aria-hidden="true" {
            line.moment x1=(at(place)) x2=(at(place)) y1="0" y2="12" {}
        }
    }
}

fn at(place: f64) -> String {
    format!("{place:.2}%")
}

fn px(place: f64) -> String {
    format!("{place:.1}")
}
