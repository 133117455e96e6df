//! One release, whole: its facts, its stages over time, and what its gates saw.

use maud::{Markup, html};
use release_record::{
    release::{Outcome, Release, Step},
    run::State,
};
use step::text::short;

use crate::page::{
    address::{Address, path, service},
    gate::gate,
    ladder::ladder,
    outcome::{badge, step},
    service::no_release,
    source::notices,
    text::{NAME, SENTENCE, command, shell},
    timeline::{shares, stages},
    view::{Page, View},
    when::{date, moment, took},
};

pub fn release(view: &View<'_>, namespace: &str, name: &str, run: &str) -> Page {
    let is_it = |release: &&std::sync::Arc<Release>| release.runs.iter().any(|known| known == run);
    let Some(release) = view.known.releases_of(namespace, name).find(is_it) else {
        return no_release(view, namespace, name, run);
    };
    let is_moving = release.outcome == Outcome::Underway;
    let main = html! {
        (notices(view))
        nav.crumbs aria-label="Way" {
            a href=(view.link(&Address::Services { query: String::new(), number: 1 })) { "Services" } " / "
            a href=(view.link(&service(namespace, name))) { (short(name, NAME)) }
        }
        div.title {
            h1 { (short(name, NAME)) " " (short(&release.version, NAME)) }
            p.about { (badge(release.outcome)) " " (short(&release.reason, SENTENCE)) }
        }
        (facts(view, release))
        (ladder(view, release, at(view, release)))
        (shares(view, release))
        section aria-labelledby="stages" { h2 #stages { "Stages" } (stages(view, release)) }
        (gates(view, release))
        section aria-labelledby="runs" {
            h2 #runs { "Runs" }
            @for run in release.runs.iter().take(60) {
                (command(run, &format!("tkn pipelinerun describe -n {} {}", shell(namespace), shell(run))))
            }
        }
    };
    Page {
        title: format!("{} {}", short(name, NAME), short(&release.version, NAME)),
        main,
        is_moving,
        news: format!(
            "{} {}",
            crate::page::outcome::words(release.outcome).2,
            short(&release.reason, 160)
        ),
        is_found: true,
    }
}

/// The percent that it has now, where it is under way.
fn at(view: &View<'_>, release: &Release) -> Option<u8> {
    let service = view.known.service(&release.namespace, &release.service)?;
    let canary = service.canary.as_ref().filter(|canary| canary.version == release.version)?;
    (release.outcome == Outcome::Underway).then_some(canary.percent)
}

fn facts(view: &View<'_>, release: &Release) -> Markup {
    let row = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    let code = |name: &str, value: &str| {
        if value.is_empty() {
            html! {}
        } else {
            row(name, html! { code { (short(value, 300)) } })
        }
    };
    html! {
        dl.facts {
            (row("began", html! { (date(release.began)) ", " (moment(release.began, view.now)) }))
            @if let Some(ended) = release.ended { (row("ended", date(ended))) }
            (row(if release.ended.is_some() { "took" } else { "so far" }, html! { (took(release.began, release.ended, view.now)) }))
            @if !release.cause.is_empty() { (row("cause", html! { code { (short(&release.cause, NAME)) } })) }
            @if let Some((bento, version)) = release.bento.split_once(':') {
                @let model = Address::Model { name: bento.to_owned(), version: version.to_owned() };
                (row("model", html! { a href=(view.link(&model)) { (short(&release.bento, 140)) } }))
            }
            (code("SHA-256 of the bento", &release.bento_sha256))
            (code("image", &release.image))
            (code("revision", &release.revision))
            (code("baseline", &release.baseline_revision))
        }
    }
}

/// What each gate saw: live, or as it was kept.
fn gates(view: &View<'_>, release: &Release) -> Markup {
    let judged: Vec<_> = release
        .stages
        .iter()
        .filter(|stage| matches!(stage.step, Step::Gate(_)))
        .take(40)
        .collect();
    if judged.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="gates" {
            h2 #gates { "What the gates saw" }
            @for stage in judged {
                h3 { (step(stage).replacen('g', "G", 1)) }
                @if !stage.detail.is_empty() { p { (short(&stage.detail, SENTENCE)) } }
                @if stage.state == State::Running {
                    @match view.known.gate(&release.namespace, &stage.run) {
                        Some(found) => (gate(view, found)),
                        None => p.empty { "It is judging; what it sees comes in a moment." }
                    }
                } @else { (kept(view, release, &stage.run, &step(stage), stage.state == State::Failed)) }
            }
        }
    }
}

/// A kept report, in a frame in which nothing can act.
fn kept(view: &View<'_>, release: &Release, run: &str, gate: &str, is_open: bool) -> Markup {
    let file = |name: &str| {
        let segments = ["services", &release.namespace, &release.service, "runs", run, name];
        format!("{}{}", view.base, path(&segments))
    };
    if !view.known.reports.contains(&(release.namespace.clone(), run.to_owned())) {
        return html! { p.empty { "No report of this gate is kept." } };
    }
    html! {
        details.report open[is_open] {
            summary { "Report of the " (gate) }
            p { a href=(file("report.html")) { "Report on a page of its own" } " · "
                a href=(file("verdict.json")) { "verdict.json" } " · "
                a href=(file("record.ndjson.gz")) { "record.ndjson.gz" } }
            iframe sandbox="" loading="lazy" title=(format!("Report of the {gate}")) src=(file("report.html")) {}
        }
    }
}
