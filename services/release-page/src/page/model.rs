//! One bento: what its manifest has, how to get and to release it, and what became of it.

use bento_retrieve::bento::{Details, Model};
use maud::{Markup, html};
use release_record::release::Release;
use serde_json::Value;
use step::text::{clean_lines, short};

use crate::{
    known::{Bento, Source},
    page::{
        address::{Address, service},
        commands::{request_release, retrieve},
        layout::fault,
        models::runners,
        overview::line,
        source::notices,
        split::percents,
        text::{NAME, command, labels},
        view::{Page, View},
        when::{size, written},
    },
};

/// What the store said of a bento when it was asked for this page
pub enum Manifest<'a> {
    There(&'a Details),
    /// It is not there, or not any more
    Gone,
    /// Why it could not be read
    Unread(String),
}

/// Longest manifest and schema that are shown; both may be of any length.
const LONGEST: usize = 64 * 1024;

pub fn model(view: &View<'_>, name: &str, version: &str, manifest: &Manifest<'_>) -> Page {
    let tag = format!("{name}:{version}");
    let listed = view.known.bento(name, version);
    let releases: Vec<&Release> = view
        .known
        .releases
        .iter()
        .map(AsRef::as_ref)
        .filter(|release| {
            release.bento == tag
                || (release.bento.is_empty()
                    && release.service == name
                    && release.version == version)
        })
        .collect();
    let is_absent =
        listed.is_none() && releases.is_empty() && !matches!(manifest, Manifest::There(_));
    if is_absent && view.known.store == Source::Current {
        let all = Address::Models { query: name.to_owned(), number: 1 };
        let more = html! { p { a href=(view.link(&all)) { "Look for models of this name" } } };
        let text =
            format!("The store has no bento `{}`. It may have been deleted.", short(&tag, 140));
        return fault("No such model", &text, &more);
    }
    let main = html! {
        (notices(view))
        nav.crumbs aria-label="Way" { a href=(view.link(&Address::Models { query: String::new(), number: 1 })) { "Models" } }
        div.title { h1 { (short(name, NAME)) ":" (short(version, NAME)) } }
        (state_of(manifest, listed.is_some()))
        (facts(view, listed.map(AsRef::as_ref), manifest, &releases))
        section aria-labelledby="use" {
            h2 #use { "Use it" }
            h3 { "Get it" }
            (command("the command that gets it", &retrieve(view.site, name, version)))
            h3 { "Release it" }
            p.soft { "This event begins a canary release. It needs the listener's key, where one is set." }
            (command("the event that releases it", &request_release(view.site, name, version)))
        }
        (serving(view, &tag))
        (history(view, &releases))
        @if let Manifest::There(details) = manifest { (contents(details)) }
    };
    Page {
        title: format!("{}:{}", short(name, NAME), short(version, NAME)),
        main,
        is_moving: false,
        news: String::new(),
        is_found: true,
    }
}

fn state_of(manifest: &Manifest<'_>, is_listed: bool) -> Markup {
    html! {
        @match manifest {
            Manifest::There(_) => {}
            Manifest::Gone => p.notice.away role="status" {
                span aria-hidden="true" { "! " }
                @if is_listed { "The bento was deleted from the store a moment ago. What was known before is shown." }
                @else { "The store does not have this bento any more. Its releases are shown." }
            }
            Manifest::Unread(error) => div.notice.away role="status" {
                p { strong { span aria-hidden="true" { "! " } "Its manifest could not be read" } ". What the list has of it is shown." }
                p.cause { code { (short(error, 600)) } }
            }
        }
    }
}

fn facts(
    view: &View<'_>,
    listed: Option<&Bento>,
    manifest: &Manifest<'_>,
    releases: &[&Release],
) -> Markup {
    let details = if let Manifest::There(details) = manifest { Some(*details) } else { None };
    let created = details.map(|details| details.created.as_str()).filter(|text| !text.is_empty());
    let created = created.or(listed.map(|bento| bento.created.as_str())).unwrap_or_default();
    let framework =
        details.map(|details| &details.framework).or(listed.map(|bento| &bento.framework));
    let all_labels = details.map(|details| &details.labels).or(listed.map(|bento| &bento.labels));
    let sha =
        releases.iter().map(|release| release.bento_sha256.as_str()).find(|sha| !sha.is_empty());
    let row = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    let text = |name: &str, value: &str| {
        if value.is_empty() {
            html! {}
        } else {
            row(name, html! { (short(value, 300)) })
        }
    };
    html! {
        dl.facts {
            (row("created", written(created, view.now)))
            @if let Some(bento) = listed { (row("size", html! { (size(bento.bytes)) })) }
            @if let Some(framework) = framework { (text("framework", framework)) }
            @if let Some(details) = details {
                (text("Python", &details.python))
                (text("BentoML", &details.bentoml))
                (text("service", &details.service))
                (text("base image", &details.base_image))
            }
            @if let Some(all) = all_labels.filter(|all| !all.is_empty()) { (row("labels", labels(all))) }
            @if let Some(bento) = listed { (row("stored as", html! { code { (short(&bento.url, 400)) } })) }
            @if let Some(sha) = sha { (row("SHA-256", html! { code { (short(sha, 64)) } })) }
        }
    }
}

fn serving(view: &View<'_>, tag: &str) -> Markup {
    let all = runners(view.known);
    let found = all.get(tag).map_or(&[][..], Vec::as_slice);
    html! {
        section aria-labelledby="serves" {
            h2 #serves { "Serves now" }
            @if found.is_empty() { p.empty { "No service runs it." } } @else {
                ul.plain { @for (shown, share) in found.iter().take(50) {
                    li {
                        a href=(view.link(&service(&shown.namespace, &shown.name))) { (short(&shown.name, NAME)) }
                        span.namespace { (short(&shown.namespace, NAME)) } " "
                        b { (percents(share.percent)) } " of the requests"
                        @if share.is_canary { " " span.canary-word { "canary" } }
                    }
                } }
            }
        }
    }
}

fn history(view: &View<'_>, releases: &[&Release]) -> Markup {
    html! {
        section aria-labelledby="releases" {
            h2 #releases { "Releases of it" }
            @if releases.is_empty() { p.empty { "It was not released yet." } } @else {
                table.releases {
                    thead { tr {
                        th scope="col" { "Release" } th scope="col" { "Outcome" } th scope="col" { "Why" }
                        th scope="col" { "Began" } th scope="col" { "Took" }
                    } }
                    tbody { @for release in releases.iter().take(50) { (line(view, release, true)) } }
                }
            }
        }
    }
}

/// What only the manifest has.
fn contents(details: &Details) -> Markup {
    let packages = packages(&details.manifest);
    html! {
        section aria-labelledby="contents" {
            h2 #contents { "What is in it" }
            @if !details.models.is_empty() {
                h3 { "Models" }
                @for model in details.models.iter().take(50) { (one_model(model)) }
            }
            @if !details.routes.is_empty() { h3 { "APIs" } (apis(details)) }
            @let runners = names(&details.manifest["runners"]);
            @if !runners.is_empty() { h3 { "Runners" } ul.plain { @for name in runners { li { (name) } } } }
            @let services = names(&details.manifest["services"]);
            @if !services.is_empty() { h3 { "Services" } ul.plain { @for name in services { li { (name) } } } }
            @if !packages.is_empty() {
                h3 { "Python packages" }
                ul.packages { @for package in packages.iter().take(300) { li { code { (short(package, 200)) } } } }
            }
            @if !details.variables.is_empty() {
                h3 { "Environment variables" }
                p { @for name in details.variables.iter().take(100) { code { (short(name, NAME)) } " " } span.soft { "their values are not shown" } }
            }
            details { summary { "The whole manifest" } pre { (json(&details.manifest)) } }
        }
    }
}

fn one_model(model: &Model) -> Markup {
    html! {
        div.model {
            p { b { (short(&model.tag, 140)) } " " span.soft { (short(&model.module, 100)) } }
            @if !model.metadata.is_empty() {
                dl.facts { @for (name, value) in model.metadata.iter().take(50) {
                    div { dt { (short(name, NAME)) } dd { (short(value, 300)) } }
                } }
            }
            p { (labels(&model.labels)) (labels(&model.framework_versions)) }
        }
    }
}

fn apis(details: &Details) -> Markup {
    let routes = details.manifest["schema"]["routes"].as_array().map_or(&[][..], Vec::as_slice);
    html! {
        @for route in details.routes.iter().take(50) {
            div.api {
                p { code { (short(&route.path, 200)) }
                    @if !route.takes.is_empty() { " " span.soft { "takes " (short(&route.takes.join(", "), 300)) } } }
                @if let Some(schema) = routes.iter().find(|found| found["route"].as_str() == Some(&route.path)) {
                    details { summary { "Schema" } pre { (json(schema)) } }
                }
            }
        }
    }
}

/// In the manifests of all generations: a list, or lines as in `requirements.txt`.
fn packages(manifest: &Value) -> Vec<String> {
    let texts = [
        &manifest["image"]["python_requirements"],
        &manifest["python"]["packages"],
        &manifest["env"]["pip_packages"],
        &manifest["env"]["requirements_txt"],
    ];
    let lines = texts.into_iter().flat_map(|value| match value {
        Value::String(text) => text.lines().map(str::to_owned).collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    });
    lines
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

fn names(list: &Value) -> Vec<String> {
    let name = |item: &Value| item["name"].as_str().or(item.as_str()).map(|name| short(name, 140));
    list.as_array().into_iter().flatten().filter_map(name).take(50).collect()
}

fn json(value: &Value) -> String {
    let text = clean_lines(&serde_json::to_string_pretty(value).unwrap_or_default());
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}\n… (the rest is not shown)", &text[..end]),
        None => text,
    }
}
