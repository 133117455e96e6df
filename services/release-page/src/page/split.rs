//! Who gets which part of the requests, as a bar.

use maud::{Markup, html};
use step::text::short;

use crate::{known::Share, page::text::version_or_revision};

/// Beside a bar there is room for a revision's name.
const LONGEST: usize = 40;

/// The bar and what its parts are.
pub(super) fn split(shares: &[Share]) -> Markup {
    if shares.is_empty() {
        return html! { p.soft { "No revision gets requests yet." } };
    }
    html! {
        div.split {
            (bar(shares))
            ul.parts {
                @for (number, share) in shares.iter().enumerate() {
                    li { (key(share, number)) " "
                        span.name { (name(share)) } " " b { (percents(share.percent)) }
                        @if share.is_canary { " " span.canary-word { "canary" } } }
                }
            }
        }
    }
}

/// Rectangles in percents, so that it is sharp and its hatch even at every width.
fn bar(shares: &[Share]) -> Markup {
    let mut from = 0_u32;
    let parts = shares.iter().enumerate().map(|(number, share)| {
        let x = from.min(100);
        from += u32::from(share.percent);
        (number, share, x, u32::from(share.percent).min(100 - x))
    });
    html! {
        svg.bar role="img" aria-label=(label(shares)) width="100%" height="14" {
            @for (number, share, x, width) in parts {
                rect class=(class(share, number)) x=(percent(x)) width=(percent(width)) height="14" {}
                @if share.is_canary {
                    rect.hatch x=(percent(x)) width=(percent(width)) height="14" fill="url(#hatch)" {}
                }
            }
        }
    }
}

/// The hatch by which a canary's part is told from others without colours; once a page.
pub(super) fn hatches() -> Markup {
    html! {
        svg.hatches width="0" height="0" aria-hidden="true" focusable="false" { defs {
            pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" { path d="M0 6L6 0M-1 1L1 -1M5 7L7 5" {} }
        } }
    }
}

fn key(share: &Share, number: usize) -> Markup {
    html! {
        svg.key width="12" height="12" aria-hidden="true" {
            rect class=(class(share, number)) width="12" height="12" {}
            @if share.is_canary { rect.hatch width="12" height="12" fill="url(#hatch)" {} }
        }
    }
}

fn class(share: &Share, number: usize) -> String {
    if share.is_canary { "share canary".into() } else { format!("share s{}", number % 4) }
}

fn name(share: &Share) -> String {
    short(&version_or_revision(&share.version, &share.revision), LONGEST)
}

/// In words, for who does not see the bar.
pub(super) fn label(shares: &[Share]) -> String {
    let words = shares.iter().map(|share| {
        format!(
            "{} {} %{}",
            name(share),
            share.percent,
            if share.is_canary { " (canary)" } else { "" }
        )
    });
    short(&words.collect::<Vec<_>>().join(", "), 400)
}

/// On one line.
pub(super) fn percents(value: u8) -> String {
    format!("{value}\u{a0}%")
}

fn percent(value: u32) -> String {
    format!("{value}%")
}
