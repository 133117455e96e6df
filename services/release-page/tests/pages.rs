//! Pages of a made-up site, whole, and of texts that mean harm.

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

#[path = "pages/markup.rs"]
mod markup;
mod sample;

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use release_page::{
    known::{Bento, Canary, Gate, Known, Service, Share, Source},
    page::{
        Manifest,
        address::Address,
        layout::{Frame, document},
        model, models, overview, release, service,
        view::{Page, Site, View},
    },
};
use release_record::{
    release::{Outcome, Release, Stage, Step},
    run::State,
};
use sample::{HOSTILE, manifests, sample, site};

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

struct Shown {
    known: Known,
    site: Site,
}

impl Shown {
    fn view(&self) -> View<'_> {
        View { known: &self.known, now: now(), base: "/base", site: &self.site }
    }

    fn document(&self, page: &Page) -> String {
        let frame = Frame { live: Some("/base/live?of=%2F&have=7"), is_signed_in: true };
        document(page, &self.view(), frame, None).into_string()
    }
}

fn shown() -> Shown {
    Shown { known: sample(now()), site: site() }
}

/// One element a line, and the gate's own charts left out.
fn lines(page: &Page) -> String {
    let html = page.main.0.replace("><", ">\n<");
    let without =
        match (html.find("<div class=\"gate cards\">"), html.find("</div>\n</details>\n</div>")) {
            (Some(from), Some(to)) if from < to => format!("{}…{}", &html[..from], &html[to..]),
            _ => html,
        };
    without.trim().to_owned()
}

/// The site without those who mean harm.
fn peaceful() -> Shown {
    let mut shown = shown();
    shown.known.services.retain(|service| service.namespace != "zoo");
    shown.known.releases.retain(|release| release.namespace != "zoo");
    shown.known.bentos.retain(|bento| bento.name != HOSTILE && bento.name != "churn");
    shown
}

#[test]
fn the_first_page_has_services_with_their_split_and_the_newest_releases() {
    insta::assert_snapshot!(lines(&overview(&peaceful().view(), "", 1)));
}

#[test]
fn models_are_listed_newest_first() {
    insta::assert_snapshot!(lines(&models(&peaceful().view(), "", 1)));
}

#[test]
fn a_model_has_all_of_its_manifest_but_values_of_variables() {
    let page = model(&peaceful().view(), "iris", "v3", &Manifest::There(&manifests::iris("v3")));
    assert!(!page.main.0.contains("t0p-s3cret"));
    insta::assert_snapshot!(lines(&page));
}

#[test]
fn a_service_has_its_canary_its_gate_and_its_releases() {
    insta::assert_snapshot!(lines(&service(&peaceful().view(), "models", "iris", 1)));
}

#[test]
fn a_release_has_its_stages_and_the_reports_of_its_gates() {
    let page = release(&peaceful().view(), "models", "iris", "release-iris-v2-rc1");
    insta::assert_snapshot!(lines(&page));
}

#[test]
fn a_frame_is_around_every_page() {
    let mut shown = shown();
    shown.known = Known::default();
    let html = shown.document(&overview(&shown.view(), "", 1)).replace("><", ">\n<");
    // The hash of a file's contents says nothing here.
    let is_digit = |c: char| c.is_ascii_hexdigit();
    let parts: Vec<_> = html.split("?v=").map(|part| part.trim_start_matches(is_digit)).collect();
    insta::assert_snapshot!(parts.join("?v=…"));
}

#[test]
fn a_search_finds_names_versions_frameworks_and_labels() {
    let shown = peaceful();
    let found = |query: &str| {
        let html = models(&shown.view(), query, 1).main.0;
        let names = html.split("<th scope=\"row\">").skip(1);
        names
            .map(|row| row.split_once("\">").unwrap().1.split_once('<').unwrap().0.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("team=flowers"), ["iris:v3", "iris:v2", "iris:v1"]);
    assert_eq!(found("team=flower"), [""; 0], "a label is compared whole");
    assert_eq!(found("TORCH"), ["digits:v1"]);
    assert_eq!(found("iris v3"), ["iris:v3"]);
    assert_eq!(found("candidate"), ["iris:v3"]);
    let html = overview(&shown.view(), "2026.11.2", 1).main.0;
    assert!(html.contains("/services/risk/fraud") && !html.contains("/services/models/digits\""));
}

#[test]
fn a_source_that_is_not_there_has_a_place_holder_on_every_page() {
    let mut shown = peaceful();
    let away = Source::Away { since: now(), error: "connection <refused>".into() };
    for (source, words) in [(Source::Loading, "come in a moment"), (away, "is away")] {
        (shown.known.api_server, shown.known.store) = (source.clone(), source);
        let view = shown.view();
        let unread = Manifest::Unread("the store did not answer".into());
        for page in [
            overview(&view, "", 1),
            models(&view, "", 1),
            model(&view, "iris", "v3", &unread),
            service(&view, "models", "iris", 1),
            release(&view, "models", "iris", "release-iris-v3"),
        ] {
            assert!(page.main.0.contains(words), "{}", page.title);
            assert!(!page.main.0.contains("<refused>"), "{}", page.title);
        }
    }
    shown.known = Known { api_server: Source::Absent, store: Source::Absent, ..Known::default() };
    assert!(models(&shown.view(), "", 1).main.0.contains("No store was given"));
}

#[test]
fn what_is_gone_says_so_and_what_is_known_of_it_is_shown() {
    let mut shown = peaceful();
    let gone = |shown: &Shown| model(&shown.view(), "iris", "v2", &Manifest::Gone);
    assert!(gone(&shown).main.0.contains("was deleted"), "a moment ago");
    shown.known.bentos.clear();
    assert!(gone(&shown).main.0.contains("any more"), "its releases are there");
    assert!(!model(&shown.view(), "iris", "v9", &Manifest::Gone).is_found);
    shown.known.services.clear();
    assert!(service(&shown.view(), "models", "iris", 1).main.0.contains("not there any more"));
    assert!(!service(&shown.view(), "models", "rose", 1).is_found);
    assert!(!release(&shown.view(), "models", "iris", "release-iris-v9").is_found);
}

#[test]
fn a_large_site_stays_below_a_hundred_kilobytes_a_page() {
    let mut shown = peaceful();
    let (service_, bento) = (shown.known.services[1].clone(), shown.known.bentos[0].clone());
    let release_ = shown.known.releases[0].clone();
    shown.known.services = (0..200)
        .map(|number| {
            Arc::new(Service { name: format!("service-{number:03}"), ..(*service_).clone() })
        })
        .collect();
    shown.known.bentos = (0..1000)
        .map(|number| Arc::new(Bento { version: format!("v{number}"), ..(*bento).clone() }))
        .collect();
    shown.known.releases = (0..4000)
        .map(|number| {
            Arc::new(Release {
                service: format!("service-{:03}", number % 200),
                ..(*release_).clone()
            })
        })
        .collect();
    let view = shown.view();
    for page in
        [overview(&view, "", 1), models(&view, "", 1), service(&view, "models", "service-007", 1)]
    {
        let size = shown.document(&page).len();
        assert!(size < 100_000, "{}: {size}", page.title);
    }
    assert!(overview(&view, "", 4).main.0.contains("Part 4 of 4"));
    assert!(models(&view, "", 99).main.0.contains("Part 20 of 20"), "the last, beyond the end");
}

/// All pages of a site.
fn all(shown: &Shown) -> Vec<String> {
    let view = shown.view();
    let mut pages = vec![
        overview(&view, "<q>", 1),
        overview(&view, "", 1),
        models(&view, "\"><q>", 1),
        models(&view, "", 1),
    ];
    for known in &shown.known.services {
        pages.push(service(&view, &known.namespace, &known.name, 1));
    }
    for known in &shown.known.releases {
        let run = known.runs.first().map_or("-", String::as_str);
        pages.push(release(&view, &known.namespace, &known.service, run));
    }
    for known in &shown.known.bentos {
        let manifest = manifests::hostile();
        pages.push(model(&view, &known.name, &known.version, &Manifest::There(&manifest)));
        pages.push(model(&view, &known.name, &known.version, &Manifest::Unread(known.url.clone())));
    }
    pages.iter().map(|page| shown.document(page)).collect()
}

#[test]
fn a_bento_named_script_harms_nobody() {
    let mut shown = shown();
    for gate in shown.known.gates.values_mut() {
        Arc::make_mut(gate).cards.clear(); // checked where they are made
    }
    let pages = all(&shown);
    assert!(pages.len() > 20);
    for page in &pages {
        markup::check(page, "/base").unwrap_or_else(|fault| panic!("{fault}"));
    }
    assert!(pages.iter().any(|page| page.contains("&lt;script&gt;alert(1)&lt;/script&gt;")));
}

/// A site in which every text is one of these.
#[expect(clippy::too_many_lines, reason = "each field once")]
fn filled(texts: &[String], percent: u8, seconds: i64, size: u64) -> Known {
    let mut next = texts.iter().cycle().cloned();
    let mut text = move || next.next().unwrap_or_default();
    let at =
        |more: i64| Timestamp::from_second(seconds.saturating_add(more)).unwrap_or(Timestamp::MAX);
    let (namespace, name, version, run) = (text(), text(), text(), text());
    let canary = Canary {
        version: version.clone(),
        revision: text(),
        percent,
        since: Some(at(0)),
        run: run.clone(),
    };
    let share = |version: &str, revision: String| Share {
        revision,
        version: version.into(),
        percent,
        is_canary: percent > 50,
    };
    let stage = |step: Step, state: State, [task, detail]: [String; 2]| Stage {
        step,
        task,
        run: run.clone(),
        began: at(-5),
        ended: Some(at(9)),
        state,
        detail,
    };
    let release = Release {
        namespace: namespace.clone(),
        service: name.clone(),
        version: version.clone(),
        began: at(0),
        ended: Some(at(-3)),
        outcome: if percent > 50 { Outcome::Underway } else { Outcome::RolledBack },
        cause: text(),
        reason: text(),
        ladder: vec![percent, 3],
        revision: text(),
        baseline_revision: text(),
        image: text(),
        bento_sha256: text(),
        bento: format!("{name}:{version}"),
        is_given_up: false,
        stages: vec![
            stage(Step::Gate(percent), State::Running, [text(), text()]),
            stage(Step::Other, State::Failed, [text(), text()]),
        ],
        runs: vec![run.clone(), text()],
        shares: vec![(percent, at(4)), (percent, at(-70))],
    };
    let service = Service {
        namespace: namespace.clone(),
        name: name.clone(),
        url: text(),
        is_ready: percent > 50,
        message: text(),
        split: vec![share(&version, text()), share("", text())],
        canary: Some(canary),
        decisions: vec![(text(), text()), ("hold".into(), text())],
        stopped: Some(text()),
    };
    let bento = Bento {
        name,
        version,
        created: text(),
        bytes: size,
        framework: text(),
        labels: [(text(), text())].into(),
        url: text(),
        error: Some(text()),
    };
    let gate = Gate {
        summary: serde_json::json!({ "verdict": text(), "message": text(), "waiting": { "for": text(), "since": text() },
            "criteria": [{ "name": text(), "state": text(), "evidence": { "logE": percent, "threshold": seconds } }] }),
        error: Some(text()),
        looked_at: at(0),
        ..Gate::default()
    };
    Known {
        services: vec![Arc::new(service)],
        releases: vec![Arc::new(release)],
        bentos: vec![Arc::new(bento)],
        gates: [((namespace, run), Arc::new(gate))].into(),
        api_server: Source::Away { since: at(0), error: text() },
        store: Source::Current,
        missing: vec![text()],
        reports: Arc::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_becomes_markup(
        texts in prop::collection::vec("[<>\"'&/= a-zA-Z(){}\\[\\]:;#?%\u{0}-\u{20}\u{202e}\u{2066}-]{0,40}|javascript:alert\\(1\\)|\\PC{0,60}", 1..12),
        percent in any::<u8>(),
        seconds in -100_000_000_000_i64..100_000_000_000,
        size in any::<u64>(),
    ) {
        let shown = Shown { known: filled(&texts, percent, seconds, size), site: site() };
        for page in all(&shown) {
            if let Err(fault) = markup::check(&page, "/base") {
                return Err(TestCaseError::fail(fault));
            }
        }
    }

    #[test]
    fn what_somebody_types_as_an_address_becomes_no_markup(path in "(/[^/?#]{0,20}){0,6}", query in "\\PC{0,60}") {
        if let Some(Address::Models { query, number }) = Address::parse("/models", Some(&query)) {
            let shown = peaceful();
            let page = shown.document(&models(&shown.view(), &query, number));
            prop_assert_eq!(markup::check(&page, "/base"), Ok(()));
        }
        let _ = Address::parse(&path, Some(&query));
    }
}
