//! Why a canary was taken back or never came, as the event of its end tells it.

use step::text::short;

use crate::run::{RunRecord, State};

/// Characters of a name, as a rollback's event has it
const LONGEST_NAME: usize = 64;

pub(super) struct Cause {
    /// As the schema of rolled-back events has it
    pub(super) word: &'static str,
    pub(super) reason: String,
}

/// The first thing that went wrong in a run: the same that `canary-rollback` finds when it asks.
pub(super) fn of_run(run: &RunRecord) -> Cause {
    let cause = |word, reason: &str| Cause { word, reason: reason.to_owned() };
    let name = &run.name;
    if let Some(by_hand) = by_hand(run) {
        return cause("manual", &by_hand);
    }
    if !run.cannot_go_on.is_empty() {
        return cause("error", &run.cannot_go_on);
    }
    if run.cancelled || run.reason == "Cancelled" {
        return cause("cancelled", &format!("run `{name}` was cancelled"));
    }
    let tasks = || run.tasks.iter().filter(|task| task.task != "canary-rollback");
    for task in tasks() {
        let reason = task.result("reason");
        match (task.result("verdict"), first_word(reason)) {
            ("fail" | "inconclusive", "override" | "not-approved") => {
                return cause("manual", reason);
            }
            ("fail", _) => return cause("gate-failed", reason),
            ("inconclusive", _) => return cause("gate-inconclusive", reason),
            _ => {}
        }
    }
    if let Some(task) = tasks().find(|task| task.state == State::Failed) {
        let word = match (task.reason.as_str(), task.result("outcome")) {
            ("TaskRunTimeout", _) => "timeout",
            (_, "changed") => "changed",
            _ => "error",
        };
        return match (task.result("error"), task.result("outcome")) {
            ("", "advanced") => cause(word, &format!("{}: {}", not_taken_over(run), task.message)),
            ("", _) => cause(word, &task.message),
            (error, _) => cause(word, error),
        };
    }
    if tasks().any(|task| ["advanced", "canary"].contains(&task.result("outcome"))) {
        // Its Task has seen the next run, unless it was told not to wait for it: then somebody deleted it.
        return match run.params.get("promotion").map(String::as_str) {
            Some("") => cause("error", &not_taken_over(run)),
            _ => cause("cancelled", &format!("{}, or it was deleted", not_taken_over(run))),
        };
    }
    match (run.state, run.reason.as_str()) {
        (State::Failed, "PipelineRunTimeout") => {
            cause("timeout", &format!("run `{name}` took longer than its timeout"))
        }
        (State::Failed, _) => cause("error", &run.message),
        _ => cause("error", &format!("run `{name}` did not end its canary")),
    }
}

/// Who asked for an undo, and why
pub(super) fn by_hand(run: &RunRecord) -> Option<String> {
    let by = short(run.param("by"), LONGEST_NAME);
    let who = if by.is_empty() { "somebody" } else { &by };
    let why = match run.param("reason") {
        "" => String::new(),
        why => format!(": {why}"),
    };
    (run.pipeline == "canary-rollback-now").then(|| format!("{who} asked for it{why}"))
}

fn not_taken_over(run: &RunRecord) -> String {
    let given =
        run.tasks.iter().map(|task| task.result("percent")).rfind(|percent| !percent.is_empty());
    let percent = given.unwrap_or("?");
    format!("run `{}` gave it {percent} %, and no run came to judge it there", run.name)
}

/// `override` of `override: ada: wrong model`
fn first_word(reason: &str) -> &str {
    reason.split([':', ' ']).next().unwrap_or_default()
}
