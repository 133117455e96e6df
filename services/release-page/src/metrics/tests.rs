use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use release_record::{
    release::{Outcome, Release, Stage, Step},
    run::State,
};

use super::*;
use crate::known::{Bento, Canary, Service};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_500_000 + seconds).unwrap()
}

fn stage(step: Step, began: i64, ended: Option<i64>) -> Stage {
    Stage {
        step,
        task: String::new(),
        run: String::new(),
        began: at(began),
        ended: ended.map(at),
        state: State::Succeeded,
        detail: String::new(),
    }
}

fn release(service: &str, outcome: Outcome, ended: Option<i64>) -> Release {
    Release {
        namespace: "models".into(),
        service: service.into(),
        version: "v2".into(),
        began: at(0),
        ended: ended.map(at),
        outcome,
        cause: String::new(),
        reason: String::new(),
        ladder: vec![10, 100],
        revision: String::new(),
        baseline_revision: String::new(),
        image: String::new(),
        bento_sha256: String::new(),
        bento: String::new(),
        is_given_up: false,
        stages: Vec::new(),
        runs: Vec::new(),
        shares: Vec::new(),
    }
}

fn known(releases: Vec<Release>) -> Known {
    Known { releases: releases.into_iter().map(Arc::new).collect(), ..Known::default() }
}

#[test]
fn metrics_say_how_releases_went() {
    let promoted = Release {
        stages: vec![
            stage(Step::Image, 0, Some(20)),
            stage(Step::Canary, 20, Some(30)),
            stage(Step::Gate(10), 40, Some(340)),
            stage(Step::Promote(100), 340, Some(342)),
            stage(Step::Event, 342, Some(350)),
        ],
        shares: vec![(10, at(30)), (100, at(342))],
        ..release("iris", Outcome::Promoted, Some(400))
    };
    let rolled_back = Release {
        cause: "gate-failed".into(),
        stages: vec![stage(Step::Gate(10), 40, Some(100)), stage(Step::Rollback, 100, Some(115))],
        shares: vec![(10, at(30))],
        ..release("iris", Outcome::RolledBack, Some(130))
    };
    let underway = Release {
        stages: vec![stage(Step::Image, 0, None)],
        ..release("wine \"red\"\\\n", Outcome::Underway, None)
    };
    let long_ago =
        Release { ended: Some(at(-40 * 86_400)), ..release("old", Outcome::Failed, None) };
    let canary = Canary { version: "v3".into(), percent: 10, ..Canary::default() };
    let service = Service {
        namespace: "models".into(),
        name: "iris".into(),
        canary: Some(canary),
        ..Service::default()
    };
    let known = Known {
        services: vec![Arc::new(service)],
        bentos: vec![Arc::new(Bento::default())],
        api_server: Source::Current,
        store: Source::Away { since: at(0), error: "refused".into() },
        ..known(vec![promoted, rolled_back, underway, long_ago])
    };
    let counts = Counts::default();
    counts.api_request("list", "taskruns");
    counts.api_request("watch", "taskruns");
    counts.api_request("watch", "taskruns");
    counts.watch_event();
    insta::assert_snapshot!(metrics(&known, &counts, at(1000)));
}

#[test]
fn a_store_that_was_not_given_is_not_down() {
    let known = Known { store: Source::Absent, ..Known::default() };
    let text = metrics(&known, &Counts::default(), at(0));
    assert!(text.contains("kanaria_page_source_up{source=\"api-server\"} 0"), "{text}");
    assert!(!text.contains("source=\"store\""), "{text}");
}

/// The panels of `examples/grafana/releases.json` ask for nothing that is not there.
#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard = include_str!("../../../../examples/grafana/releases.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let text = metrics(&Known::default(), &Counts::default(), at(0));
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let there: BTreeSet<String> = families
        .flat_map(|(name, kind)| {
            let suffixes: &[&str] = if kind == "summary" { &["", "_sum", "_count"] } else { &[""] };
            suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
        })
        .collect();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = queries.iter().flat_map(|query| query.split(|c| !is_name(c)));
    let asked: BTreeSet<_> = names.filter(|name| name.starts_with("kanaria_")).collect();
    for needed in ["kanaria_releases", "kanaria_change_failure_ratio", "kanaria_rollbacks"] {
        assert!(asked.contains(needed), "no panel shows {needed}");
    }
    let unknown: Vec<_> = asked.iter().filter(|name| !there.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Name, labels and value
type Sample = (String, Vec<(String, String)>, f64);

/// One line of the format, by its own rules: `NAME{LABEL="VALUE",…} NUMBER`
fn parse(line: &str) -> Option<Sample> {
    let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let mut chars = line.chars().peekable();
    let take = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        let mut name = String::new();
        while let Some(c) = chars.next_if(is_name) {
            name.push(c);
        }
        (!name.is_empty()).then_some(name)
    };
    let name = take(&mut chars)?;
    let mut labels = Vec::new();
    if chars.next_if_eq(&'{').is_some() {
        loop {
            let label = take(&mut chars)?;
            (chars.next()? == '=' && chars.next()? == '"').then_some(())?;
            let mut value = String::new();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => value.push(match chars.next()? {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        _ => return None,
                    }),
                    c => value.push(c),
                }
            }
            labels.push((label, value));
            match chars.next()? {
                ',' => {}
                '}' => break,
                _ => return None,
            }
        }
    }
    (chars.next()? == ' ').then_some(())?;
    Some((name, labels, chars.collect::<String>().parse().ok()?))
}

proptest! {
    #[test]
    fn whatever_names_are_the_text_can_be_read_and_says_them(
        service in "\\PC{0,12}|[\\\\\"\n{},= ]{0,8}", cause in "[\\\\\"\n\\PC]{0,8}", seconds in 0i64..1_000_000,
    ) {
        let stages = vec![stage(Step::Rollback, 0, Some(seconds))];
        let one = Release { cause: cause.clone(), stages, ..release(&service, Outcome::RolledBack, Some(seconds)) };
        let text = metrics(&known(vec![one]), &Counts::default(), at(seconds));
        let mut lines = BTreeSet::new();
        let mut said = Vec::new();
        for line in text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((name, labels, _)) = parse(line) else { panic!("{line:?}") };
            prop_assert!(lines.insert((name.clone(), labels.clone())), "twice: {}", line);
            if name == "kanaria_rollbacks" {
                said = labels;
            }
        }
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        prop_assert_eq!(said, [label("namespace", "models"), label("service", &service), label("cause", &cause)]);
    }
}
