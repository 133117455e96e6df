//! Every bento in the store.

use std::{collections::BTreeMap, sync::Arc};

use maud::{Markup, html};
use step::text::short;

use crate::{
    known::{Bento, Known, Service, Share},
    page::{
        address::{Address, service},
        layout::{pages, part, search},
        source::{nothing, notices},
        split::percents,
        text::{NAME, labels},
        view::{Page, View},
        when::{size, written},
    },
};

const MODELS: usize = 50;

pub fn models(view: &View<'_>, query: &str, number: usize) -> Page {
    let found: Vec<&Arc<Bento>> =
        view.known.bentos.iter().filter(|bento| is_meant(bento, query)).collect();
    let (shown, number, count) = part(&found, number, MODELS);
    let here = Address::Models { query: query.to_owned(), number };
    let total = view.known.bentos.len();
    let runners = runners(view.known);
    let main = html! {
        (notices(view))
        div.title {
            h1 { "Models" }
            p.about {
                @if query.is_empty() { (total) " in the store, newest first" }
                @else { (found.len()) " of " (total) " match “" (short(query, 80)) "”, newest first" }
            }
            (search(&view.link(&Address::Models { query: String::new(), number: 1 }), query, "Search models", "name, version, framework or team=x"))
        }
        @if shown.is_empty() {
            @if query.is_empty() {
                (nothing(&view.known.store, "Models come in a moment.",
                    "No store was given: with --store the page lists its bentos.", "The store has no bento yet."))
            } @else {
                p.empty { "No model matches. "
                    a href=(view.link(&Address::Models { query: String::new(), number: 1 })) { "Show all" } }
            }
        } @else {
            table.models {
                thead { tr {
                    th scope="col" { "Model" } th scope="col" { "Framework" } th scope="col" { "Labels" }
                    th scope="col" { "Serves" } th scope="col" { "Created" } th scope="col" { "Size" }
                } }
                tbody { @for bento in shown { (row(view, bento, &runners)) } }
            }
            (pages(view, &here, number, count))
        }
    };
    Page {
        title: "Models".into(),
        main,
        is_moving: false,
        news: format!("{total} models"),
        is_found: true,
    }
}

/// All words have to be there: `NAME=VALUE` as a label, others in a name, version, framework or label.
fn is_meant(bento: &Bento, query: &str) -> bool {
    query.split_whitespace().map(str::to_lowercase).all(|word| {
        if let Some((name, value)) = word.split_once('=') {
            return bento
                .labels
                .iter()
                .any(|(key, text)| key.to_lowercase() == name && text.to_lowercase() == value);
        }
        let has = |text: &str| text.to_lowercase().contains(&word);
        has(&bento.name)
            || has(&bento.version)
            || has(&bento.framework)
            || bento.labels.iter().any(|(key, text)| has(key) || has(text))
    })
}

fn row(view: &View<'_>, bento: &Bento, runners: &BTreeMap<String, Vec<Runner<'_>>>) -> Markup {
    let address = Address::Model { name: bento.name.clone(), version: bento.version.clone() };
    html! {
        tr {
            th scope="row" {
                a href=(view.link(&address)) { (short(&bento.name, NAME)) ":" (short(&bento.version, NAME)) }
                @if let Some(error) = &bento.error {
                    span.state.bad { span aria-hidden="true" { "✗ " } "unreadable" }
                    span.soft { (short(error, 160)) }
                }
            }
            td { (short(&bento.framework, 80)) }
            td { (labels(bento.labels.iter().take(4))) }
            td { (serves(view, runners.get(&format!("{}:{}", bento.name, bento.version)).map_or(&[], Vec::as_slice))) }
            td { (written(&bento.created, view.now)) }
            td.number { (size(bento.bytes)) }
        }
    }
}

/// A service that runs a bento, and which part of its requests
pub(super) type Runner<'a> = (&'a Service, &'a Share);

/// Who runs which bento now, by its tag.
pub(super) fn runners(known: &Known) -> BTreeMap<String, Vec<Runner<'_>>> {
    // Which bento a version is of, its release knows; without one it has the service's name.
    let bentos: BTreeMap<(&str, &str, &str), &str> = known
        .releases
        .iter()
        .filter(|release| !release.bento.is_empty())
        .map(|release| {
            let key = (&*release.namespace, &*release.service, &*release.version);
            (key, &*release.bento)
        })
        .collect();
    let mut found: BTreeMap<String, Vec<Runner<'_>>> = BTreeMap::new();
    for service in &known.services {
        for share in service.split.iter().filter(|share| !share.version.is_empty()) {
            let key = (&*service.namespace, &*service.name, &*share.version);
            let tag = bentos.get(&key).map_or_else(
                || format!("{}:{}", service.name, share.version),
                |tag| (*tag).to_owned(),
            );
            found.entry(tag).or_default().push((service, share));
        }
    }
    found
}

fn serves(view: &View<'_>, found: &[Runner<'_>]) -> Markup {
    html! {
        @for (shown, share) in found.iter().take(3) {
            span.serves {
                a href=(view.link(&service(&shown.namespace, &shown.name))) { (short(&shown.name, NAME)) }
                " " (percents(share.percent)) @if share.is_canary { " " span.canary-word { "canary" } }
            } " "
        }
        @if found.len() > 3 { "and " (found.len() - 3) " more" }
    }
}
