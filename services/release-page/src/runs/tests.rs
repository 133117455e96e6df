use release_record::{
    release::Outcome,
    run::{RunRecord, State, TaskRecord},
};

use super::*;

fn run(version: &str, has_ended: bool) -> RunRecord {
    let at = |time: &str| Some(time.parse().unwrap());
    RunRecord {
        namespace: "models".into(),
        name: format!("release-{version}"),
        uid: format!("u-{version}"),
        pipeline: "canary-release".into(),
        service: "iris".into(),
        version: version.into(),
        correlation: format!("c-{version}"),
        created: at("2026-11-24T06:00:00Z"),
        ended: at("2026-11-24T06:05:00Z").filter(|_| has_ended),
        state: if has_ended { State::Failed } else { State::Running },
        params: [("ladder".to_owned(), "10,100".to_owned())].into(),
        ..RunRecord::default()
    }
}

fn task(name: &str, has_ended: bool) -> TaskRecord {
    let at = |time: &str| Some(time.parse().unwrap());
    TaskRecord {
        task: name.into(),
        name: format!("run-{name}"),
        started: at("2026-11-24T06:00:01Z"),
        ended: at("2026-11-24T06:01:00Z").filter(|_| has_ended),
        ..TaskRecord::default()
    }
}

fn versions(runs: &mut Runs) -> Vec<(String, Outcome, usize)> {
    with_canary(runs, None)
}

/// The same while a canary is out.
fn with_canary(runs: &mut Runs, canary: Option<(&str, &str)>) -> Vec<(String, Outcome, usize)> {
    runs.settle(true, |_, _| {
        canary.map(|(run, version)| CanaryOut { run: run.into(), version: version.into() })
    });
    let of =
        |release: &Arc<Release>| (release.version.clone(), release.outcome, release.stages.len());
    let mut found: Vec<_> = runs.releases().iter().map(of).collect();
    found.sort();
    found
}

fn found(version: &str, outcome: Outcome, stages: usize) -> (String, Outcome, usize) {
    (version.into(), outcome, stages)
}

#[test]
fn a_task_that_comes_before_its_run_or_long_after_its_end_is_joined_to_it() {
    let mut runs = Runs::default();
    assert!(!runs.put_task("models", "release-v1", task("bento-build", true)));
    assert!(runs.put_run(run("v1", true)));
    assert_eq!(versions(&mut runs), [found("v1", Outcome::Failed, 1)]);
    assert!(runs.put_task("models", "release-v1", task("canary-create", true)));
    assert!(
        !runs.put_task("models", "release-v1", task("canary-create", true)),
        "it says the same"
    );
    assert!(!runs.put_run(run("v1", true)), "so does this");
    assert_eq!(versions(&mut runs), [found("v1", Outcome::Failed, 2)]);
}

#[test]
fn what_has_not_changed_is_the_same_release_and_takes_no_memory_again() {
    let mut runs = Runs::default();
    runs.put_run(run("v1", true));
    runs.put_run(run("v2", false));
    runs.settle(true, |_, _| None);
    let before = runs.releases();
    runs.put_run(run("v2", true));
    runs.settle(true, |_, _| None);
    let same = |release: &&Arc<Release>| before.iter().any(|before| Arc::ptr_eq(before, release));
    assert_eq!(runs.releases().iter().filter(same).count(), 1);
}

#[test]
fn a_release_goes_on_while_its_canary_is_out_though_no_run_of_it_is_to_be_seen() {
    let mut runs = Runs::default();
    let outcomes = |runs: &mut Runs, canary| {
        with_canary(runs, canary).into_iter().map(|(_, outcome, _)| outcome).collect::<Vec<_>>()
    };
    runs.put_run(run("v1", true));
    runs.put_run(run("v2", true));
    let canary = task("canary-create", true);
    let results = [("outcome", "canary"), ("canary-revision", "iris-predictor-00002")];
    let results = results.map(|(name, value)| (name.to_owned(), value.to_owned()));
    runs.put_task("models", "release-v2", TaskRecord { results: results.into(), ..canary });
    let gone = [Outcome::Failed, Outcome::RolledBack];
    assert_eq!(outcomes(&mut runs, None), gone, "nothing else is known of it");
    let out = [Outcome::Failed, Outcome::Underway];
    assert_eq!(outcomes(&mut runs, Some(("release-v2", "v2"))), out);
    assert_eq!(outcomes(&mut runs, Some(("deleted", "v2"))), out);
    assert_eq!(outcomes(&mut runs, Some(("release-v3", "v3"))), gone, "it is another's");
    assert_eq!(outcomes(&mut runs, Some(("release-v2", "v2"))), out);
    assert_eq!(outcomes(&mut runs, None), gone, "the sweep has taken it back");
}

#[test]
fn a_run_that_the_store_has_stays_when_the_cluster_has_it_no_more() {
    let mut runs = Runs::default();
    runs.put_run(run("v1", true));
    runs.put_run(run("v2", true));
    runs.put_task("models", "release-v2", task("bento-build", true));
    assert!(!runs.put_kept(run("v2", true), 1), "the cluster's own is the newer");
    assert!(runs.put_kept(run("v3", true), 1));
    for version in ["v1", "v2"] {
        assert!(runs.remove_run("models", &format!("release-{version}")));
    }
    let stay = [found("v2", Outcome::Failed, 1), found("v3", Outcome::Failed, 0)];
    assert_eq!(versions(&mut runs), stay);
    assert!(runs.mark_kept("models", "release-v3", 2));
    assert!(!runs.mark_kept("models", "release-v1", 2), "it has to be read");
    assert!(runs.end_round(2), "the store has v2 no more");
    assert_eq!(versions(&mut runs), [found("v3", Outcome::Failed, 0)]);
}

#[test]
fn a_list_that_begins_anew_removes_what_it_does_not_have_in_its_namespace_alone() {
    let mut runs = Runs::default();
    runs.put_run(run("v1", true));
    runs.put_run(run("v2", true));
    runs.put_run(RunRecord { namespace: "others".into(), ..run("v3", true) });
    assert!(runs.retain_runs(Some("models"), &|_, name| name == "release-v2"));
    let stay = [found("v2", Outcome::Failed, 0), found("v3", Outcome::Failed, 0)];
    assert_eq!(versions(&mut runs), stay);
    assert!(runs.retain_runs(None, &|_, _| false));
    assert_eq!(versions(&mut runs), []);
}

#[test]
fn only_a_task_that_has_begun_and_not_ended_runs() {
    let mut runs = Runs::default();
    runs.put_run(run("v1", false));
    runs.put_task("models", "release-v1", task("bento-build", true));
    assert_eq!(runs.running("models", "iris", "prometheus-gate"), []);
    runs.put_task("models", "release-v1", task("prometheus-gate", false));
    runs.settle(true, |_, _| None);
    let gate = ("release-v1".to_owned(), "run-prometheus-gate".to_owned());
    assert_eq!(runs.running("models", "iris", "prometheus-gate"), [gate]);
    assert_eq!(runs.running("others", "iris", "prometheus-gate"), []);
    runs.put_task("models", "release-v1", task("prometheus-gate", true));
    assert_eq!(runs.running("models", "iris", "prometheus-gate"), []);
}
