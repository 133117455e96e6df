use super::*;
use crate::{
    known::Service,
    terminal::example::{at, known, release, rolled_back, service, share, stage, story, until},
};
use release_record::{
    release::{Outcome as Ending, Release, Step},
    run::State,
};

fn named(name: &str, service: Service) -> Service {
    let namespace = if name < "m" { "models" } else { "team" };
    Service { name: name.into(), namespace: namespace.into(), ..service }
}

fn of(name: &str, release: Release) -> Release {
    let namespace = if name < "m" { "models" } else { "team" };
    Release { service: name.into(), namespace: namespace.into(), ..release }
}

/// A service in each state that there is.
fn all() -> Known {
    let image = stage(Step::Image, ["bento-build", "run"], [0, 400], State::Succeeded, "");
    let first = until(&release(Ending::Promoted, ["", ""], vec![image]), 60);
    let queued =
        Release { stages: vec![], reason: "run `x` waits to be started".into(), ..first.clone() };
    let promoted = Release {
        outcome: Ending::Promoted,
        cause: String::new(),
        version: "v1".into(),
        began: at(-1000),
        runs: vec!["before".into()],
        ended: Some(at(-300_000)),
        ..rolled_back()
    };
    let held = Service {
        decisions: vec![("hold".into(), "ada: p99 is up".into())],
        stopped: Some("grace: outage".into()),
        ..service(25)
    };
    let broken = Service {
        is_ready: false,
        message: "revision failed: no image".into(),
        split: vec![share("", 1, 100)],
        ..service(0)
    };
    let services = vec![
        named("aster", service(0)),
        named("broken", broken),
        named("held", held),
        named("iris", service(10)),
        named("stable", Service { split: vec![share("v1", 1, 100)], ..service(0) }),
    ];
    let releases = vec![
        of("queued", queued),
        of("new", first),
        of("iris", until(&rolled_back(), 120)),
        of("iris", promoted.clone()),
        of("held", until(&rolled_back(), 94)),
        of("broken", rolled_back()),
        of("stable", promoted),
    ];
    Known { gates: story(120).gates, ..known(services, releases) }
}

#[test]
fn each_service_is_a_row_with_its_state_and_its_last_release() {
    let known = all();
    insta::assert_snapshot!(table(&rows(&known), true, at(300)));
}

#[test]
fn of_one_namespace_its_name_is_left_out() {
    let known = story(120);
    insta::assert_snapshot!(table(&rows(&known), false, at(120)));
}

#[test]
fn programs_get_all_of_it() {
    insta::assert_snapshot!(objects(&rows(&story(120))).unwrap());
}

#[test]
fn a_service_without_any_release_and_a_release_without_a_service_are_there_too() {
    let known = known(vec![service(0)], vec![of("new", until(&rolled_back(), 60))]);
    let rows = rows(&known);
    let shown = rows.iter().map(|row| (row.name, row.state_name(), row.last_release(at(0))));
    let none = || "none known".to_owned();
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [("iris", "stable", none()), ("new", "releasing", none())]
    );
}

#[test]
fn what_strangers_wrote_adds_no_row_and_no_colour() {
    let hostile = "v1\niris  stable\x1b[2K\u{202e}";
    let mut known = story(120);
    let service = Service {
        message: hostile.into(),
        is_ready: false,
        decisions: vec![(hostile.into(), hostile.into())],
        split: vec![share(hostile, 1, 100)],
        ..service(10)
    };
    known.services = vec![Arc::new(service)];
    let text = table(&rows(&known), true, at(120));
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
    let json = objects(&rows(&known)).unwrap();
    assert!(!json.contains(['\x1b', '\u{202e}']), "{json}");
}

#[test]
fn a_source_that_is_away_is_said_after_what_was_read() {
    let limit = Duration::from_secs(30);
    let away = || Source::Away { since: at(0), error: "connection refused".into() };
    let said = |known: &Known| whole(known, limit).err().map(|error| error.to_string());
    let store = Known { store: away(), ..story(100) };
    let missing = Known { missing: vec!["Leases may not be read".into()], ..story(100) };
    let lines = [
        said(&Known { api_server: away(), ..story(100) }),
        said(&store),
        said(&Known { store: Source::Loading, ..story(100) }),
        said(&missing),
    ];
    insta::assert_snapshot!(lines.map(Option::unwrap).join("\n"), @"
    failed to list all that there is: the API server is away: connection refused
    failed to list all that there is: the store of ended releases is away: connection refused
    failed to list all that there is: the store of ended releases was not read within 30 s
    failed to list all that there is: see the warnings
    ");
    assert_eq!(said(&story(100)), None);
}
