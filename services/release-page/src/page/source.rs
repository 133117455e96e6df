//! Place-holders for what could not be read.

use maud::{Markup, html};
use step::text::short;

use crate::{
    known::Source,
    page::{view::View, when::moment},
};

/// What has to be said about the two sources before anything that comes from them.
pub(super) fn notices(view: &View<'_>) -> Markup {
    html! {
        (notice(view, "the API server", "services and releases", &view.known.api_server))
        (notice(view, "the store", "models and releases of the past", &view.known.store))
        @for text in view.known.missing.iter().take(12) {
            p.notice.away role="status" { span aria-hidden="true" { "! " } (short(text, 600)) }
        }
    }
}

fn notice(view: &View<'_>, name: &str, what: &str, source: &Source) -> Markup {
    match source {
        Source::Current | Source::Absent => html! {},
        Source::Loading => html! {
            p.notice.loading role="status" { span aria-hidden="true" { "○ " } "Reading " (name) ": " (what) " come in a moment." }
        },
        Source::Away { since, error } => html! {
            div.notice.away role="status" {
                p { strong { span aria-hidden="true" { "! " } (capital(name)) " is away" } " since " (moment(*since, view.now))
                    ". What was known before is shown: " (what) " may be others by now." }
                p.cause { code { (short(error, 600)) } }
            }
        },
    }
}

/// In place of a list that is empty, why it is.
pub(super) fn nothing(source: &Source, loading: &str, absent: &str, none: &str) -> Markup {
    let text = match source {
        Source::Loading => loading,
        Source::Absent => absent,
        Source::Current => none,
        Source::Away { .. } => "Nothing was read before it went away.",
    };
    html! { p.empty { (text) } }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}
