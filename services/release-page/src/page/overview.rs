//! The first page: services with who gets their requests, and the newest releases.

use std::sync::Arc;

use maud::{Markup, html};
use release_record::release::Release;
use step::text::short;

use crate::{
    known::Service,
    page::{
        address::{Address, service},
        ladder::rung_in_words,
        layout::{pages, part, search},
        outcome::{badge, outcome_link},
        source::{nothing, notices},
        split::{percents, split},
        text::{NAME, SENTENCE},
        view::{Page, View},
        when::{moment, took},
    },
};

/// As many as a person looks through, and as have room in 100 kB beside the releases.
const SERVICES: usize = 50;
const RELEASES: usize = 20;

pub fn overview(view: &View<'_>, query: &str, number: usize) -> Page {
    let mut found: Vec<&Arc<Service>> =
        view.known.services.iter().filter(|service| is_meant(service, query)).collect();
    found.sort_by_key(|service| !needs_a_look(service));
    let (shown, number, count) = part(&found, number, SERVICES);
    let here = Address::Services { query: query.to_owned(), number };
    let canaries = view.known.services.iter().filter(|service| service.canary.is_some()).count();
    let total = view.known.services.len();
    let main = html! {
        (notices(view))
        div.title {
            h1 { "Services" }
            p.about { (total) @if total == 1 { " service, " } @else { " services, " }
                @match canaries { 0 => "no release under way", 1 => "one release under way", more => { (more) " releases under way" } } }
            @if total > 8 || !query.is_empty() {
                (search(&view.link(&Address::Services { query: String::new(), number: 1 }), query, "Search services", "name, namespace or version"))
            }
        }
        @if shown.is_empty() {
            @if query.is_empty() {
                (nothing(&view.known.api_server, "Services come in a moment.", "No API server was given.",
                    "There is no service yet: the first release of a model makes one."))
            } @else {
                p.empty { "No service matches “" (short(query, 80)) "”." }
            }
        } @else {
            table.services {
                thead { tr { th scope="col" { "Service" } th scope="col" { "Requests" } th scope="col" { "Release" } } }
                tbody { @for service in shown { (row(view, service)) } }
            }
            (pages(view, &here, number, count))
        }
        section aria-labelledby="newest" {
            h2 #newest { "Newest releases" }
            (newest(view))
        }
    };
    Page {
        title: "Services".into(),
        main,
        is_moving: canaries > 0,
        news: format!("{canaries} releases under way"),
        is_found: true,
    }
}

/// Those on which something goes on come first.
fn needs_a_look(service: &Service) -> bool {
    service.canary.is_some() || !service.is_ready
}

fn is_meant(service: &Service, query: &str) -> bool {
    query.split_whitespace().map(str::to_lowercase).all(|word| {
        let has = |text: &str| text.to_lowercase().contains(&word);
        has(&service.name)
            || has(&service.namespace)
            || service.split.iter().any(|share| has(&share.version) || has(&share.revision))
    })
}

fn row(view: &View<'_>, shown: &Service) -> Markup {
    let address = service(&shown.namespace, &shown.name);
    html! {
        tr {
            th scope="row" {
                a href=(view.link(&address)) { (short(&shown.name, NAME)) }
                span.namespace { (short(&shown.namespace, NAME)) }
                (readiness(shown))
                @if !shown.is_ready && !shown.message.is_empty() { span.soft { (short(&shown.message, 160)) } }
            }
            td { (split(&shown.split)) }
            td { (under_way(view, shown)) }
        }
    }
}

/// Whether it answers, in a mark and a word.
pub(super) fn readiness(service: &Service) -> Markup {
    html! {
        @if service.is_ready {
            span.state.good { span aria-hidden="true" { "● " } "ready" }
        } @else {
            span.state.bad { span aria-hidden="true" { "✗ " } "not ready" }
        }
    }
}

fn under_way(view: &View<'_>, service: &Service) -> Markup {
    let held = service.decisions.iter().find(|(decision, _)| decision == "hold");
    html! {
        @if let Some(canary) = &service.canary {
            p.canary-line {
                b { (short(&canary.version, NAME)) } " at " b { (percents(canary.percent)) }
                @if let Some(since) = canary.since { ", began " (moment(since, view.now)) }
            }
            @if let Some(rung) = rung_in_words(view.known, service) { p.soft { (rung) } }
            @if let Some((_, who)) = held {
                p.held { span aria-hidden="true" { "‖ " } "held: " (short(who, 120)) }
            }
        } @else { span.soft.none { "none" } }
        @if let Some(stop) = &service.stopped {
            p.held { span aria-hidden="true" { "‖ " } "all releases stopped: " (short(stop, 120)) }
        }
    }
}

fn newest(view: &View<'_>) -> Markup {
    let releases = &view.known.releases;
    if releases.is_empty() {
        return nothing(
            &view.known.api_server,
            "Releases come in a moment.",
            "No API server was given.",
            "There was no release yet. The page of a model has the event that begins one.",
        );
    }
    html! {
        table.releases {
            thead { tr {
                th scope="col" { "Release" } th scope="col" { "Outcome" } th scope="col" { "Why" }
                th scope="col" { "Began" } th scope="col" { "Took" }
            } }
            tbody { @for release in releases.iter().take(RELEASES) { (line(view, release, true)) } }
        }
    }
}

/// A release as a row of a table.
pub(super) fn line(view: &View<'_>, release: &Release, with_service: bool) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href=(outcome_link(view, release)) {
                    @if with_service { (short(&release.service, NAME)) " " }
                    (short(&release.version, NAME))
                }
                @if with_service { span.namespace { (short(&release.namespace, NAME)) } }
            }
            td { (badge(release.outcome)) }
            td.why { (short(&release.reason, SENTENCE.min(160))) }
            td data-label="began" { (moment(release.began, view.now)) }
            td.number data-label="took" { (took(release.began, release.ended, view.now)) }
        }
    }
}
