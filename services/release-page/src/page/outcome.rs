//! How a release ended, or a part of it, in a mark and a word.

use maud::{Markup, html};
use release_record::{
    release::{Outcome, Release, Stage, Step},
    run::State,
};

use step::text::short;

use crate::page::{address::Address, text::NAME, view::View};

/// Class, mark and word.
pub(super) const fn words(outcome: Outcome) -> (&'static str, &'static str, &'static str) {
    match outcome {
        Outcome::Underway => ("open", "◐", "under way"),
        Outcome::Promoted => ("good", "✓", "promoted"),
        Outcome::RolledBack => ("bad", "↩", "rolled back"),
        Outcome::Failed => ("bad", "✗", "failed"),
    }
}

pub(super) fn badge(outcome: Outcome) -> Markup {
    let (class, mark, word) = words(outcome);
    html! { span class=(format!("badge {class}")) { span aria-hidden="true" { (mark) " " } (word) } }
}

/// The page of a release.
pub(super) fn outcome_link(view: &View<'_>, release: &Release) -> String {
    view.link(&Address::Release {
        namespace: release.namespace.clone(),
        service: release.service.clone(),
        run: release.runs.first().cloned().unwrap_or_else(|| "-".into()),
    })
}

/// Class, mark and word of a part.
pub(super) const fn state(state: State) -> (&'static str, &'static str, &'static str) {
    match state {
        State::Running => ("open", "◐", "running"),
        State::Succeeded => ("good", "✓", "done"),
        State::Failed => ("bad", "✗", "failed"),
    }
}

/// What a part of a release is about.
pub(super) fn step(stage: &Stage) -> String {
    match stage.step {
        Step::Image => "image".into(),
        Step::Canary => "canary".into(),
        Step::Gate(percent) => format!("gate at {percent} %"),
        Step::Promote(percent) => format!("to {percent} %"),
        Step::Rollback => "rollback".into(),
        Step::Event => "event".into(),
        Step::Other => short(&stage.task, NAME),
    }
}
