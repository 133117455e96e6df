//! Decisions about releases on the simulator.

use inference_service::{
    Action, Decision, Mark, Release,
    simulator::{NAMESPACE, Simulator},
};

use super::*;
use crate::word::Said;

/// A canary C of version v2 at 10 % beside B, as canary-create makes it.
async fn live() -> Simulator {
    let simulator = Simulator::new();
    simulator.serve("b");
    mark(&simulator, |mark| mark.begin("c", "iris-predictor-00001", "b").of(&released())).await;
    simulator.ask("c", Some(10));
    mark(&simulator, |mark| mark.go_live("2026-11-24T06:07:00Z")).await;
    simulator
}

fn released() -> Release {
    Release { version: "v2".into(), run_uid: "release-1".into(), ..Release::default() }
}

async fn mark(simulator: &Simulator, change: impl Fn(&Mark) -> Mark) {
    let service = Service::new(simulator.client(), None, "iris");
    let mut is_written = false;
    let write = |observed: &inference_service::Observed| {
        let is_first = !std::mem::replace(&mut is_written, true);
        let mark = || Action::Mark(Box::new(change(&observed.mark)));
        Ok(if is_first { mark() } else { Action::Done(()) })
    };
    service.reconcile(Duration::from_secs(10), write).await.unwrap();
}

fn word(said: Said, by: &str) -> Word {
    let (version, by) = ("v2".to_owned(), by.to_owned());
    let args = WordArgs { decision: said, version, percent: None, by, reason: Some("why".into()) };
    Word::of(args).unwrap()
}

async fn run(simulator: &Simulator, word: &Word) -> Result<String> {
    let service = Service::new(simulator.client(), Some(NAMESPACE.into()), "iris");
    service
        .with_runs()
        .with_decisions()
        .reconcile(Duration::from_mins(1), |observed| next(word, observed))
        .await
}

fn written(key: &str, value: &str) -> Vec<(String, String)> {
    vec![(key.into(), value.into())]
}

#[tokio::test(start_paused = true)]
async fn each_word_becomes_the_annotation_that_the_gate_reads() {
    for (said, decision) in [
        (Said::Approve, Decision::Approve),
        (Said::Hold, Decision::Hold),
        (Said::Promote, Decision::Promote),
        (Said::Abort, Decision::Abort),
    ] {
        let simulator = live().await;
        run(&simulator, &word(said, "ada")).await.unwrap();
        let wanted = written(decision.key(), "v2 ada: why");
        assert_eq!(simulator.decisions(), Some(wanted), "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn to_resume_removes_the_hold_of_whoever_wrote_it_and_nothing_else() {
    let simulator = live().await;
    simulator.decide(Decision::Hold, "v2 bob");
    simulator.decide(Decision::Approve, "v2@50 bob");
    run(&simulator, &word(Said::Resume, "ada")).await.unwrap();
    assert_eq!(simulator.decisions(), Some(written("kanaria.dev/approve", "v2@50 bob")));
    let writes = simulator.writes();
    assert_eq!(run(&simulator, &word(Said::Resume, "ada")).await.unwrap(), "nobody holds it");
    assert_eq!(simulator.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn the_last_word_of_two_people_counts() {
    let simulator = live().await;
    run(&simulator, &word(Said::Hold, "ada")).await.unwrap();
    run(&simulator, &word(Said::Hold, "bob")).await.unwrap();
    assert_eq!(simulator.decisions(), Some(written("kanaria.dev/hold", "v2 bob: why")));
}

#[tokio::test(start_paused = true)]
async fn killed_at_its_write_and_run_again_it_is_written_once() {
    for applied in [false, true] {
        let simulator = live().await;
        let before = simulator.writes().len();
        simulator.kill_at_write(0, applied);
        assert!(simulator.until_killed(run(&simulator, &word(Said::Abort, "ada"))).await.is_none());
        run(&simulator, &word(Said::Abort, "ada")).await.unwrap();
        assert_eq!(simulator.writes().len(), before + 1, "applied {applied}");
        assert_eq!(simulator.decisions(), Some(written("kanaria.dev/abort", "v2 ada: why")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_that_has_had_its_effect_is_written_already() {
    let simulator = live().await;
    run(&simulator, &word(Said::Abort, "ada")).await.unwrap();
    mark(&simulator, |mark| mark.reject("c", "iris-predictor-00002")).await;
    simulator.ask("b", None);
    let writes = simulator.writes();
    run(&simulator, &word(Said::Abort, "ada")).await.unwrap();
    assert_eq!(simulator.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_in_progress_is_not_decided_about_and_the_version_that_is_gets_named() {
    let nothing = Simulator::new();
    let serves = Simulator::new();
    serves.serve("b");
    let promoted = live().await;
    promoted.ask("c", None);
    let other = live().await;
    let of_v3 = || Release { version: "v3".into(), ..released() };
    mark(&other, |mark| mark.of(&of_v3())).await;
    let taken_back = live().await;
    mark(&taken_back, |mark| mark.reject("c", "iris-predictor-00002")).await;
    for (simulator, why) in [
        (nothing, "there is no such service"),
        (serves, "no release of it is in progress"),
        (promoted, "no release of it is in progress"),
        (other, "version `v3` is in progress"),
        (taken_back, "it is being taken back"),
    ] {
        let writes = simulator.writes();
        let error = run(&simulator, &word(Said::Hold, "ada")).await.unwrap_err().to_string();
        assert_eq!(error, format!("failed to hold version `v2` of `models/iris`: {why}"));
        assert_eq!(simulator.writes(), writes, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_has_all_requests_can_be_aborted_while_a_run_watches_it() {
    let simulator = live().await;
    simulator.ask("c", None);
    simulator.run("PipelineRun", "promotion-3", &[("service", "iris"), ("canary-image", "c")]);
    run(&simulator, &word(Said::Abort, "ada")).await.unwrap();
    simulator.end_run("promotion-3");
    let error = run(&simulator, &word(Said::Hold, "ada")).await.unwrap_err();
    assert!(error.to_string().ends_with("no release of it is in progress"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_gone_is_made_again() {
    let simulator = live().await;
    simulator.lose_decisions();
    run(&simulator, &word(Said::Hold, "ada")).await.unwrap();
    assert_eq!(simulator.decisions(), Some(written("kanaria.dev/hold", "v2 ada: why")));
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_leases_it_says_so() {
    let simulator = live().await;
    simulator.forbid("leases");
    let error = run(&simulator, &word(Said::Hold, "ada")).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.starts_with("failed to write Lease `models/iris-canary-decision`: "), "{text}");
}
