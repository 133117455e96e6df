//! One service: who gets its requests, the release that is under way, and those that were.

use std::sync::Arc;

use maud::{Markup, html};
use release_record::release::{Outcome, Release};
use step::text::short;

use crate::{
    known::{Canary, Service, Source},
    page::{
        address::{Address, service as address_of},
        commands::decisions,
        gate::gate,
        ladder::{ladder, release_under_way, rungs},
        layout::{fault, pages, part},
        outcome::{badge, outcome_link},
        overview::readiness,
        source::{nothing, notices},
        split::{label, split},
        text::{NAME, SENTENCE},
        timeline::{shares, stages},
        view::{Page, View},
        when::{moment, took},
    },
};

const RELEASES: usize = 10;

pub fn service(view: &View<'_>, namespace: &str, name: &str, number: usize) -> Page {
    let releases: Vec<&Arc<Release>> = view.known.releases_of(namespace, name).collect();
    let found = view.known.service(namespace, name);
    if found.is_none() && releases.is_empty() && view.known.api_server != Source::Loading {
        let all = Address::Services { query: String::new(), number: 1 };
        let more = html! { p { a href=(view.link(&all)) { "All services" } } };
        let text =
            format!("There is no service `{}` in `{}`.", short(name, NAME), short(namespace, NAME));
        return fault("No such service", &text, &more);
    }
    let (shown, number, count) = part(&releases, number, RELEASES);
    let here = Address::Service { namespace: namespace.to_owned(), name: name.to_owned(), number };
    let under_way = found.and_then(|service| release_under_way(view.known, service));
    let main = html! {
        (notices(view))
        nav.crumbs aria-label="Way" { a href=(view.link(&Address::Services { query: String::new(), number: 1 })) { "Services" } }
        div.title {
            h1 { (short(name, NAME)) span.namespace { (short(namespace, NAME)) } }
            @if let Some(service) = found { (head(service)) }
        }
        @match found {
            Some(service) => (now(view, service, under_way)),
            None => p.notice.away role="status" { span aria-hidden="true" { "! " }
                @if view.known.api_server == Source::Current { "This service is not there any more. Its releases are shown." }
                @else { "Nothing is known of this service yet." } },
        }
        section aria-labelledby="releases" {
            h2 #releases { "Releases" }
            @if shown.is_empty() {
                (nothing(&view.known.api_server, "Releases come in a moment.", "No API server was given.", "No release of it is known."))
            }
            @for (place, release) in shown.iter().enumerate() { (one(view, release, number == 1 && place == 0)) }
            (pages(view, &here, number, count))
        }
    };
    Page {
        title: format!("{} in {}", short(name, NAME), short(namespace, NAME)),
        main,
        is_moving: under_way.is_some() || found.is_some_and(|service| service.canary.is_some()),
        news: found.map(|service| label(&service.split)).unwrap_or_default(),
        is_found: true,
    }
}

fn head(service: &Service) -> Markup {
    html! {
        p.about {
            (readiness(service))
            @if !service.message.is_empty() { " " (short(&service.message, SENTENCE)) }
            @if !service.url.is_empty() { " " code { (short(&service.url, 300)) } }
        }
    }
}

/// Its state of this moment.
fn now(view: &View<'_>, service: &Service, under_way: Option<&Release>) -> Markup {
    html! {
        section aria-labelledby="requests" {
            h2 #requests { "Requests" }
            div.large { (split(&service.split)) }
        }
        @if let Some(stop) = &service.stopped {
            p.notice.away role="status" { span aria-hidden="true" { "‖ " } strong { "All releases of the namespace are stopped: " } (short(stop, SENTENCE)) }
        }
        @match (&service.canary, under_way) {
            (Some(canary), _) => (release_now(view, service, canary, under_way)),
            (None, Some(release)) => section aria-labelledby="release" {
                h2 #release { "Release " (short(&release.version, NAME)) " is under way" }
                p { "It has no requests yet. " (short(&release.reason, SENTENCE)) }
                (ladder(view, release, None))
            },
            (None, None) => {}
        }
    }
}

fn release_now(
    view: &View<'_>,
    service: &Service,
    canary: &Canary,
    under_way: Option<&Release>,
) -> Markup {
    let next = under_way
        .and_then(|release| rungs(release).into_iter().find(|rung| *rung > canary.percent));
    html! {
        section.now aria-labelledby="release" {
            h2 #release { "Release " (short(&canary.version, NAME)) " at " (canary.percent) " %" }
            p {
                @if let Some(since) = canary.since { "Its first requests came " (moment(since, view.now)) ". " }
                @if let Some(release) = under_way {
                    a href=(outcome_link(view, release)) { "All of this release" }
                }
            }
            @if let Some(release) = under_way { (ladder(view, release, Some(canary.percent))) }
            @if !service.decisions.is_empty() {
                h3 { "What people decided" }
                ul.plain { @for (decision, who) in service.decisions.iter().take(12) {
                    li { b.decided { (short(decision, 40)) } " " (short(who, SENTENCE)) }
                } }
            }
            h3 { "The gate" }
            @match view.known.gate(&service.namespace, &canary.run) {
                Some(found) => (gate(view, found)),
                None => p.empty { "No gate is judging at this moment, or it was not looked at yet." }
            }
            @if !canary.run.is_empty() { p.soft { "Run " code { (short(&canary.run, 120)) } } }
            details.decide {
                summary { "Decide about this release" }
                div.decisions { (decisions(service, &canary.version, next)) }
            }
        }
    }
}

/// One release in the list; the newest is open.
fn one(view: &View<'_>, release: &Release, is_open: bool) -> Markup {
    html! {
        article.release {
            h3 {
                a href=(outcome_link(view, release)) { (short(&release.version, NAME)) } " " (badge(release.outcome))
                span.soft { " " (moment(release.began, view.now)) (if release.ended.is_some() { ", took " } else { ", so far " }) (took(release.began, release.ended, view.now)) }
            }
            @if !release.reason.is_empty() && release.outcome != Outcome::Underway { p { (short(&release.reason, SENTENCE)) } }
            (shares(view, release))
            details open[is_open] { summary { "Its stages" } (stages(view, release)) }
        }
    }
}

/// Where a release that is not known any more may be looked for.
pub(super) fn no_release(view: &View<'_>, namespace: &str, name: &str, run: &str) -> Page {
    let more = html! { p { a href=(view.link(&address_of(namespace, name))) { "Releases of " (short(name, NAME)) } } };
    let text = format!(
        "No release of `{}` began with the run `{}`. Its runs may have been removed, and nothing of it was kept.",
        short(name, NAME),
        short(run, 120)
    );
    fault("No such release", &text, &more)
}
