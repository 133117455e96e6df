//! The same for programs: one object an event, with names that stay.

use jiff::Timestamp;
use release_record::release::{Release, Stage, Step};
use serde_json::{Value, json};
use step::text;

use crate::{
    known::{Service, Share, Source},
    terminal::{
        follow::{Event, Waiting},
        words::{outcome_name, step_name},
    },
};

/// One line.
pub(crate) fn line(event: &Event) -> String {
    text::json(&value(event).to_string()) + "\n"
}

fn value(event: &Event) -> Value {
    match event {
        Event::Waiting(Waiting { service, version, last, others }) => json!({
            "event": "waiting", "service": service, "version": version,
            "lastRelease": last.as_deref().map(release), "services": others,
        }),
        Event::Begun(begun) => named("release-begun", release(begun)),
        Event::StageBegun(begun) => named("stage-begun", stage(begun)),
        Event::StageState { stage: seen, detail } => {
            let mut seen = stage(seen);
            seen["detail"] = json!(detail);
            named("stage-state", seen)
        }
        Event::StageEnded(ended) => named("stage-ended", stage(ended)),
        Event::Split(shares) => json!({ "event": "split", "split": split(shares) }),
        Event::Decided(service) => named("decisions", decisions(service)),
        Event::ApiServer(Source::Away { since, error }) => {
            json!({ "event": "api-server", "state": "away", "since": since, "error": error })
        }
        Event::ApiServer(_) => json!({ "event": "api-server", "state": "current" }),
        Event::Ended(ended) => named("release-ended", release(ended)),
    }
}

/// With the event's name among its fields.
fn named(event: &str, mut value: Value) -> Value {
    value["event"] = event.into();
    value
}

/// A release and how it ended; `seconds` and what is about its end are null before.
pub(crate) fn release(release: &Release) -> Value {
    let Release { namespace, service, version, began, ended, outcome, cause, reason, .. } = release;
    json!({
        "namespace": namespace, "service": service, "version": version, "began": began, "ended": ended,
        "seconds": ended.map(|ended| seconds(*began, ended)),
        "outcome": outcome_name(*outcome), "cause": cause, "reason": reason,
        "ladder": release.ladder, "bento": release.bento, "image": release.image,
        "revision": release.revision, "baselineRevision": release.baseline_revision, "runs": release.runs,
    })
}

fn stage(stage: &Stage) -> Value {
    let Stage { step, task, run, began, ended, state, detail } = stage;
    let percent = match step {
        Step::Gate(percent) | Step::Promote(percent) => Some(percent),
        _ => None,
    };
    json!({
        "stage": step_name(*step), "percent": percent, "task": task, "run": run,
        "began": began, "ended": ended, "seconds": ended.map(|ended| seconds(*began, ended)),
        "state": state, "detail": detail, // `running`, `succeeded` or `failed`
    })
}

/// Who gets which part of the requests.
pub(crate) fn split(shares: &[Share]) -> Value {
    let share = |Share { revision, version, percent, is_canary }: &Share| json!({ "percent": percent, "version": version, "revision": revision, "canary": is_canary });
    shares.iter().map(share).collect()
}

/// What people decided, and who stopped all releases.
pub(crate) fn decisions(service: &Service) -> Value {
    let decision =
        |(decision, words): &(String, String)| json!({ "decision": decision, "words": words });
    let decided: Vec<_> = service.decisions.iter().map(decision).collect();
    json!({ "decisions": decided, "stopped": service.stopped })
}

fn seconds(began: Timestamp, ended: Timestamp) -> i64 {
    ended.duration_since(began).as_secs().max(0)
}
