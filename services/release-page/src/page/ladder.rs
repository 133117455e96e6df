//! The rungs that a canary climbs: those behind it, the one that it stands on, those to come.

use maud::{Markup, html};
use release_record::release::{Outcome, Release};

use crate::{
    known::{Known, Service},
    page::{view::View, when::took},
};

/// The release that is under way on this service.
pub(super) fn release_under_way<'a>(known: &'a Known, service: &Service) -> Option<&'a Release> {
    let is_meant = |release: &&Release| {
        let is_of = release.namespace == service.namespace && release.service == service.name;
        let same = service.canary.as_ref().is_none_or(|canary| canary.version == release.version);
        is_of && same && release.outcome == Outcome::Underway
    };
    known.releases.iter().map(AsRef::as_ref).find(is_meant)
}

/// Percents to climb, the last of which is 100.
pub(super) fn rungs(release: &Release) -> Vec<u8> {
    let mut rungs = release.ladder.clone();
    if rungs.last().is_some_and(|last| *last < 100) {
        rungs.push(100);
    }
    rungs
}

/// `rung 2 of 4`.
pub(super) fn rung_in_words(known: &Known, service: &Service) -> Option<String> {
    let release = release_under_way(known, service)?;
    let at = service.canary.as_ref()?.percent;
    let rungs = rungs(release);
    let number = rungs.iter().filter(|rung| **rung <= at).count();
    (!rungs.is_empty()).then(|| match number {
        0 => format!("before the first of {} rungs", rungs.len()),
        number => format!("rung {number} of {}", rungs.len()),
    })
}

/// The ladder, drawn.
pub(super) fn ladder(view: &View<'_>, release: &Release, at: Option<u8>) -> Markup {
    let rungs = rungs(release);
    let is_over = release.outcome != Outcome::Underway;
    let ends_badly = is_over && release.outcome != Outcome::Promoted;
    let began = |rung: u8| release.shares.iter().position(|(percent, _)| *percent == rung);
    html! {
        @if !rungs.is_empty() {
            ol.ladder aria-label="Ladder" {
                @for rung in rungs.into_iter().take(24) {
                    @let is_here = at == Some(rung);
                    @let place = began(rung);
                    @let next = place.and_then(|place| release.shares.get(place + 1)).map(|(_, at)| *at);
                    @let (class, mark, word) = match (is_here, place) {
                        (true, _) => ("here", "◐", "now"),
                        (false, Some(place)) if ends_badly && place + 1 == release.shares.len() => ("bad", "✗", "ended here"),
                        (false, Some(_)) => ("done", "✓", "done"),
                        (false, None) if is_over => ("later", "–", "not reached"),
                        (false, None) => ("later", "○", "to come"),
                    };
                    li class=(class) aria-current=[is_here.then_some("step")] {
                        b { (rung) " %" }
                        span { span aria-hidden="true" { (mark) " " } (word) }
                        @if let Some((_, from)) = place.and_then(|place| release.shares.get(place)) {
                            small { (took(*from, next.or(release.ended), view.now)) }
                        }
                    }
                }
            }
        }
    }
}
