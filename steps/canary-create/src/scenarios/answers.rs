//! Where the answers of each version are sent.

mod stories;

use inference_service::{DesiredSpec, GuardedPatch, LoggerChange};
use serde_json::Value;

use super::*;
use crate::answer_counter::{AnswerCounter, Answers, AnswersOf, Reply};

fn counter() -> AnswerCounter {
    let url = AnswerCounter::read("http://answer-counter:8080").unwrap();
    AnswerCounter::of(&url, "canary", None)
}

/// Counts answers, of new services or of all.
fn counting(of: AnswersOf) -> Answers {
    Answers { counter: Some(counter()), of, ..Answers::default() }
}

/// The same with a counter that says so.
fn replying(reply: Reply, of: AnswersOf) -> Answers {
    Answers { reply, ..counting(of) }
}

/// The image as that version, and what becomes of its answers.
fn of_version(image: &str, version: &str, answers: Answers) -> Desired {
    let release = Release { version: version.into(), ..Release::default() };
    Desired { answers, release, ..desired(image) }
}

fn url(version: &str) -> Value {
    format!("http://answer-counter.canary:8080/models/iris/{version}").into()
}

fn logger(version: &str) -> Value {
    json!({"mode": "response", "url": url(version)})
}

const FROM_THE_NEXT_ON: &str = "the answers of the version before are not counted, so they are compared from the next release on";

fn owners() -> Value {
    json!({"mode": "all", "url": "http://broker.owner", "metadataHeaders": ["X-Team"]})
}

/// The release without asking the counter, which is nowhere
async fn answers_of(simulator: &Simulator, desired: Desired) -> String {
    released_by(simulator, desired).await.answers
}

async fn released_by(simulator: &Simulator, mut desired: Desired) -> Released {
    let service = Service::new(simulator.client(), None, "iris");
    let next = |observed: &Observed| {
        desired.learn(observed);
        next(&desired, observed, "2026-11-24T09:30:00Z")
    };
    match service.reconcile(Duration::from_hours(1), next).await.unwrap() {
        Attempt::Released(released) => released,
        Attempt::Busy(failure) => panic!("{failure}"),
    }
}

/// B is there as v1, and sends its answers.
async fn counted() -> Simulator {
    let simulator = Simulator::new();
    released_by(&simulator, of_version(B, "v1", counting(AnswersOf::New))).await;
    simulator.settle();
    simulator
}

#[tokio::test(start_paused = true)]
async fn a_first_release_sends_its_answers_and_the_next_one_is_compared_with_it() {
    let simulator = Simulator::new();
    let first = released_by(&simulator, of_version(B, "v1", counting(AnswersOf::New))).await;
    assert_eq!(first.outcome, "first");
    assert_eq!(
        first.answers,
        "nothing serves beside it, so there is nothing to compare answers with"
    );
    assert_eq!(simulator.logger(), logger("v1"));
    let writes = simulator.writes().len();
    let next = of_version(C, "v2", counting(AnswersOf::New));
    assert_eq!(answers_of(&simulator, next).await, "compared");
    simulator.settle();
    let sinks = [(B.to_owned(), url("v1")), (C.to_owned(), url("v2"))];
    assert_eq!(simulator.sinks(), sinks.into());
    assert_eq!(simulator.revisions().len(), 2, "one revision for the image and its logger");
    assert_eq!(simulator.writes().len(), writes + 5, "no patch more than without");
    simulator.ask(C, None);
    assert_eq!(simulator.logger(), logger("v2"), "a promotion keeps it");
}

#[tokio::test(start_paused = true)]
async fn a_shift_that_is_meant_is_observed() {
    let simulator = counted().await;
    let answers = Answers { shift_is_expected: true, ..counting(AnswersOf::New) };
    assert_eq!(answers_of(&simulator, of_version(C, "v2", answers)).await, "observed");
}

#[tokio::test(start_paused = true)]
async fn a_service_without_a_logger_gets_one_only_where_all_shall() {
    let simulator = serving(B);
    let answers = answers_of(&simulator, of_version(C, "v2", counting(AnswersOf::New))).await;
    assert_eq!(
        answers,
        "the service has no logger, which only `answers-of` `all` would add, so answers are not compared"
    );
    assert_eq!(simulator.logger(), Value::Null);
    simulator.ask(C, None);
    let answers = answers_of(&simulator, of_version(D, "v3", counting(AnswersOf::All))).await;
    assert_eq!(answers, FROM_THE_NEXT_ON);
    assert_eq!(simulator.logger(), logger("v3"));
    simulator.ask(D, None);
    let answers = answers_of(&simulator, of_version(B, "v4", counting(AnswersOf::New))).await;
    assert_eq!(answers, "compared");
}

#[tokio::test(start_paused = true)]
async fn a_logger_of_the_owner_s_stays_and_nothing_is_compared() {
    let of_owner = "the service has a logger of its own, so answers are not compared";
    for of in [AnswersOf::New, AnswersOf::All] {
        let simulator = serving(B);
        simulator.set_logger(&owners());
        assert_eq!(answers_of(&simulator, of_version(C, "v2", counting(of))).await, of_owner);
        assert_eq!(simulator.logger(), owners());
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_counted_any_more_our_logger_goes_with_the_next_image() {
    let off = of_version(C, "v2", Answers::default());
    let without_a_version = of_version(C, "", counting(AnswersOf::All));
    for (desired, said) in [
        (off, "answers are not counted"),
        (without_a_version, "the release has no version to count by, so answers are not compared"),
    ] {
        let simulator = counted().await;
        assert_eq!(answers_of(&simulator, desired).await, said);
        simulator.settle();
        let sinks = [(B.to_owned(), url("v1")), (C.to_owned(), Value::Null)];
        assert_eq!(simulator.sinks(), sinks.into());
    }
    let simulator = serving(B);
    simulator.set_logger(&owners());
    released_by(&simulator, of_version(C, "v2", Answers::default())).await;
    assert_eq!(simulator.logger(), owners());
}

#[tokio::test(start_paused = true)]
async fn a_counter_that_does_not_answer_gets_no_logger_but_one_that_is_there_moves_on() {
    let said = "the answer-counter at answer-counter.canary:8080 did not answer, so answers are not compared";
    let silent = |of| replying(Reply::Silent, of);
    let simulator = Simulator::new();
    let first = of_version(B, "v1", silent(AnswersOf::All));
    assert_eq!(answers_of(&simulator, first).await, said);
    assert_eq!(simulator.logger(), Value::Null);
    let second = of_version(C, "v2", silent(AnswersOf::All));
    assert_eq!(answers_of(&simulator, second).await, said);
    assert_eq!(simulator.logger(), Value::Null);
    let simulator = counted().await;
    assert_eq!(answers_of(&simulator, of_version(C, "v2", silent(AnswersOf::New))).await, said);
    assert_eq!(simulator.logger(), logger("v2"), "else its answers would be v1's");
}

#[tokio::test(start_paused = true)]
async fn a_counter_that_does_not_count_the_service_gets_no_logger_and_takes_the_one_away_that_is_there()
 {
    let said = "the answer-counter at answer-counter.canary:8080 does not count this service, so answers are not compared";
    let refused = || replying(Reply::Refuses, AnswersOf::All);
    let simulator = Simulator::new();
    assert_eq!(answers_of(&simulator, of_version(B, "v1", refused())).await, said);
    assert_eq!(simulator.logger(), Value::Null);
    let simulator = counted().await;
    assert_eq!(answers_of(&simulator, of_version(C, "v2", refused())).await, said);
    assert_eq!(simulator.logger(), Value::Null, "nothing that it sends would be counted");
    roll_back(&simulator).await;
    assert_eq!(simulator.logger(), logger("v1"));
}

#[tokio::test(start_paused = true)]
async fn what_only_the_counter_kept_from_a_service_comes_with_the_next_release_also_after_a_rollback()
 {
    for reply in [Reply::Silent, Reply::Refuses] {
        let simulator = Simulator::new();
        released_by(&simulator, of_version(B, "v1", replying(reply, AnswersOf::New))).await;
        simulator.settle();
        let next = |image, version| of_version(image, version, counting(AnswersOf::New));
        assert_eq!(answers_of(&simulator, next(C, "v2")).await, FROM_THE_NEXT_ON);
        assert_eq!(simulator.logger(), logger("v2"));
        roll_back(&simulator).await;
        assert_eq!(simulator.logger(), Value::Null);
        assert_eq!(answers_of(&simulator, next(D, "v3")).await, FROM_THE_NEXT_ON);
        assert_eq!(simulator.logger(), logger("v3"));
        simulator.ask(D, None);
        // From here on it is a logger like any other: who takes it away has the last word.
        simulator.set_logger(&Value::Null);
        released_by(&simulator, next(B, "v4")).await;
        assert_eq!(simulator.logger(), Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_the_counter_kept_from_being_compared_says_so_when_it_is_repeated() {
    let simulator = counted().await;
    let refused = replying(Reply::Refuses, AnswersOf::New);
    released_by(&simulator, of_version(C, "v2", refused)).await;
    let said = answers_of(&simulator, of_version(C, "v2", counting(AnswersOf::New))).await;
    assert_eq!(
        said,
        "the answer-counter did not take the answers when the version was released, so they are not compared"
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_canary_begins_from_the_logger_that_the_one_it_replaces_took_away() {
    for (number, applied) in (0..6).flat_map(|number| [(number, false), (number, true)]) {
        let simulator = counted().await;
        released_by(&simulator, of_version(C, "v2", Answers::default())).await;
        assert_eq!(simulator.logger(), Value::Null);
        let desired = || Desired {
            when_busy: WhenBusy::Replace,
            ..of_version(D, "v3", counting(AnswersOf::New))
        };
        simulator.kill_at_write(number, applied);
        Box::pin(simulator.until_killed(released_by(&simulator, desired()))).await;
        assert_eq!(answers_of(&simulator, desired()).await, "compared", "{number} {applied}");
        assert_eq!(simulator.logger(), logger("v3"), "{number} {applied}");
        let observed = Service::new(simulator.client(), None, "iris").observe().await.unwrap();
        let noted = LoggerChange { from: logger("v1"), to: logger("v3") };
        assert_eq!(observed.mark.logger, Some(noted), "{number} {applied}");
        roll_back(&simulator).await;
        assert_eq!(simulator.logger(), logger("v1"), "{number} {applied}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_version_before_sends_its_answers_elsewhere_they_are_not_compared() {
    let simulator = counted().await;
    let url = AnswerCounter::read("http://answer-counter.moved:8080").unwrap();
    let moved = Answers {
        counter: Some(AnswerCounter::of(&url, "canary", None)),
        ..counting(AnswersOf::New)
    };
    let answers = answers_of(&simulator, of_version(C, "v2", moved)).await;
    assert_eq!(
        answers,
        "the version before sends its answers elsewhere, so they are compared from the next release on"
    );
}

#[tokio::test(start_paused = true)]
async fn two_releases_of_one_version_are_not_told_apart() {
    let simulator = counted().await;
    let answers = answers_of(&simulator, of_version(C, "v1", counting(AnswersOf::New))).await;
    assert_eq!(
        answers,
        "the version before is v1, too: answers of one version are not told apart, so not compared"
    );
    // The image is there already, as another version.
    let simulator = counted().await;
    released_by(&simulator, of_version(C, "v2", counting(AnswersOf::New))).await;
    let answers = answers_of(&simulator, of_version(C, "v3", counting(AnswersOf::New))).await;
    assert_eq!(answers, "answers are counted as those of version v2, so they are not compared");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_the_answers_fits_an_event() {
    let long = "v".repeat(300);
    let simulator = counted().await;
    released_by(&simulator, of_version(C, &long, counting(AnswersOf::New))).await;
    let said = answers_of(&simulator, of_version(C, "v3", counting(AnswersOf::New))).await;
    assert_eq!(said.chars().count(), 200, "{said}");
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_and_run_again_each_version_has_its_own_url() {
    for (number, applied) in (0..5).flat_map(|number| [(number, false), (number, true)]) {
        let simulator = counted().await;
        let desired = || of_version(C, "v2", counting(AnswersOf::New));
        simulator.kill_at_write(number, applied);
        Box::pin(simulator.until_killed(released_by(&simulator, desired()))).await;
        assert_eq!(answers_of(&simulator, desired()).await, "compared", "{number} {applied}");
        simulator.settle();
        let sinks = [(B.to_owned(), url("v1")), (C.to_owned(), url("v2"))];
        assert_eq!(simulator.sinks(), sinks.into(), "{number} {applied}");
        let observed = Service::new(simulator.client(), None, "iris").observe().await.unwrap();
        let noted = LoggerChange { from: logger("v1"), to: logger("v2") };
        assert_eq!(observed.mark.logger, Some(noted), "{number} {applied}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_never_served_gets_the_logger_of_its_next_version() {
    let simulator = Simulator::new();
    simulator.behave(C, Behaviour::Exits);
    let service = Service::new(simulator.client(), None, "iris");
    let failing = of_version(C, "v1", counting(AnswersOf::New));
    service
        .reconcile(Duration::from_mins(2), |observed| next(&failing, observed, "now"))
        .await
        .unwrap_err();
    assert_eq!(simulator.logger(), logger("v1"));
    released_by(&simulator, of_version(D, "v2", counting(AnswersOf::New))).await;
    assert_eq!(simulator.logger(), logger("v2"));
}

/// As canary-rollback does it, in one patch.
async fn roll_back(simulator: &Simulator) {
    let service = Service::new(simulator.client(), None, "iris");
    let observed = service.observe().await.unwrap();
    let Some(baseline) = observed.image_of(observed.rolled_out()) else { return };
    if observed.percent().is_none() || Some(baseline) == observed.image() {
        return;
    }
    let image = observed.image().unwrap_or_default().to_owned();
    let logger = Some(observed.logger_without_canary(&image, observed.rolled_out()));
    let annotations = observed.annotations_like(observed.rolled_out());
    let spec = DesiredSpec { logger, annotations, ..DesiredSpec::image(baseline) };
    let restore = GuardedPatch::restore_at_zero(&observed, &spec);
    let rejected = observed.mark.reject(&image, observed.latest());
    let mut steps = vec![Action::Patch(restore), Action::Mark(Box::new(rejected))];
    let rollback = |_: &Observed| Ok(steps.pop().unwrap_or(Action::Done(())));
    service.reconcile(Duration::from_mins(1), rollback).await.unwrap();
    let baseline = baseline.to_owned();
    simulator.settle();
    simulator.ask(&baseline, None);
}
