use super::*;
use crate::terminal::example::{at, known, release, rolled_back, service, stage, story, until};

fn names(events: &[Event]) -> Vec<String> {
    events.iter().map(name).collect()
}

fn name(event: &Event) -> String {
    match event {
        Event::Waiting(_) => "waiting".into(),
        Event::Begun(release) => format!("{} begun", release.version),
        Event::StageBegun(stage) => format!("{} begun", stage.task),
        Event::StageState { stage, detail } => format!("{}: {detail}", stage.task),
        Event::StageEnded(stage) => format!("{} ended", stage.task),
        Event::Split(shares) => format!("split of {}", shares.len()),
        Event::Decided(service) => format!("{} decisions", service.decisions.len()),
        Event::ApiServer(source) => format!("{source:?}"),
        Event::Ended(release) => format!("{} {:?}", release.version, release.outcome),
    }
}

/// Of another version, some seconds before.
fn ended(version: &str, seconds: i64) -> Release {
    let step = stage(Step::Image, ["bento-build", version], [-60, -40], State::Succeeded, "");
    let ended = release(Outcome::Promoted, ["", ""], vec![step]);
    Release { version: version.into(), began: at(seconds), ..ended }
}

#[test]
fn who_comes_late_or_again_is_told_all_that_has_been() {
    let mut followed = Followed::new("iris", None);
    let told = followed.changes(&story(150));
    let gate = "prometheus-gate: errors: 0 of 40 requests failed; 10 more are needed";
    assert_eq!(
        names(&told),
        [
            "v2 begun",
            "bento-build begun",
            "bento-build ended",
            "canary-create begun",
            "canary-create ended",
            "canary-created begun",
            "canary-created ended",
            "prometheus-gate begun",
            "split of 2",
            gate,
        ]
    );
    assert_eq!(names(&followed.changes(&story(150))), Vec::<String>::new(), "and only once");
}

#[test]
fn a_release_that_has_ended_is_not_watched_for_unless_its_version_is_named() {
    let past = known(vec![service(0)], vec![ended("v1", -60)]);
    let mut followed = Followed::new("iris", None);
    assert_eq!(names(&followed.changes(&past)), ["waiting"]);
    assert_eq!(names(&followed.changes(&past)), Vec::<String>::new(), "said once");
    let mut named = Followed::new("iris", Some("v1"));
    assert_eq!(names(&named.changes(&past)).last().unwrap(), "v1 Promoted");
}

#[test]
fn the_next_release_is_taken_even_where_it_begins_and_ends_between_two_looks() {
    let mut followed = Followed::new("iris", None);
    followed.changes(&known(vec![service(0)], vec![ended("v1", -60)]));
    let both = known(vec![service(0)], vec![rolled_back(), ended("v1", -60)]);
    let told = names(&followed.changes(&both));
    assert_eq!((&told[0][..], &told[told.len() - 1][..]), ("v2 begun", "v2 RolledBack"));
}

#[test]
fn what_is_under_way_goes_before_what_failed_after_it_and_a_newer_one_does_not_replace_it() {
    let refused = Release { outcome: Outcome::Failed, ..ended("v3", 30) };
    let mut followed = Followed::new("iris", None);
    let both = known(vec![service(10)], vec![refused, until(&rolled_back(), 100)]);
    assert_eq!(names(&followed.changes(&both))[0], "v2 begun");
    let newer = Release { outcome: Outcome::Underway, ..ended("v4", 200) };
    let all = known(vec![service(10)], vec![newer, until(&rolled_back(), 204)]);
    assert!(names(&followed.changes(&all)).iter().all(|told| !told.contains("v4")));
}

#[test]
fn another_service_or_version_is_nothing_to_it() {
    for mut followed in [Followed::new("lily", None), Followed::new("iris", Some("v9"))] {
        assert_eq!(names(&followed.changes(&story(100))), ["waiting"]);
        assert_eq!(names(&followed.changes(&story(300))), Vec::<String>::new());
    }
}

#[test]
fn a_service_of_another_name_is_hinted_at() {
    let others = |service: &str, known: &Known| match &Followed::new(service, None).changes(known)[..]
    {
        [Event::Waiting(waiting)] => waiting.others.clone(),
        events => panic!("{events:?}"),
    };
    assert_eq!(others("lily", &story(100)), Some(vec!["iris".into()]));
    assert_eq!(others("lily", &known(vec![], vec![])), Some(vec![]));
    assert_eq!(others("iris", &known(vec![service(0)], vec![])), None);
}

#[test]
fn before_all_lists_were_read_nothing_is_told_but_that_the_api_server_is_away() {
    let mut followed = Followed::new("iris", None);
    let half = Known { api_server: Source::Loading, ..story(100) };
    assert_eq!(names(&followed.changes(&half)), Vec::<String>::new());
    let away = Source::Away { since: at(0), error: "refused".into() };
    let away = Known { api_server: away, ..story(100) };
    assert_eq!(followed.changes(&away).len(), 1);
    assert_eq!(followed.changes(&away).len(), 0);
}

#[test]
fn a_release_is_gone_when_its_runs_are() {
    let mut followed = Followed::new("iris", None);
    followed.changes(&story(100));
    assert!(!followed.is_gone(&story(100)));
    assert!(followed.is_gone(&known(vec![service(10)], vec![])));
    let away = Source::Away { since: at(0), error: "refused".into() };
    let away = Known { api_server: away, ..known(vec![], vec![]) };
    assert!(!followed.is_gone(&away), "nobody knows");
}

#[test]
fn a_stage_whose_run_was_deleted_ends_with_the_release() {
    let mut followed = Followed::new("iris", None);
    followed.changes(&story(180));
    let mut rest = rolled_back();
    rest.stages.retain(|stage| stage.run != "iris-v2-c3");
    let told = followed.changes(&known(vec![service(0)], vec![rest]));
    assert_eq!(names(&told)[1..], ["prometheus-gate ended", "v2 RolledBack"]);
    let Event::StageEnded(stage) = &told[1] else { panic!("{told:?}") };
    assert_eq!((stage.state, stage.detail.as_str()), (State::Failed, "its end was not seen"));
}

#[test]
fn a_gate_that_cannot_be_looked_at_says_why() {
    let mut known = story(110);
    let gate =
        crate::known::Gate { error: Some("refused".into()), ..crate::known::Gate::default() };
    known.gates.insert(("models".into(), "iris-v2-b2".into()), Arc::new(gate));
    let told = names(&Followed::new("iris", None).changes(&known));
    assert_eq!(
        told.last().unwrap(),
        "prometheus-gate: what it sees cannot be read from here: refused"
    );
}
