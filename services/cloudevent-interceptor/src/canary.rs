//! What an event says of a canary: what runs, at which percent since when, and what it has climbed.

use jiff::Timestamp;
use ladder::{Climbed, Ladder, Rung};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    event::Event,
    field::{
        Field, kind, missing, object, optional, percent, prose, required, text, unreadable, written,
    },
    patterns,
    refusal::Refusal,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Canary<'a> {
    #[serde(borrow, default, deserialize_with = "written")]
    image: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    revision: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    baseline_revision: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    baseline_image: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    weight: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    started_at: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    ladder: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    climbed: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    answers: Field<'a>,
}

/// A rung of `climbed`, as it was written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Below<'a> {
    #[serde(borrow, default, deserialize_with = "written")]
    weight: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    started_at: Field<'a>,
}

/// A canary that got its first requests.
pub(crate) fn created(canary: Field<'_>, event: Event) -> Result<Event, Refusal> {
    const HINT: &str =
        "write what canary-create reports: image, revision, baselineRevision, startedAt";
    let canary: Canary<'_> = object("canary", canary.ok_or_else(|| missing("canary", HINT))?)?;
    let weight = percent("canary.weight", canary.weight, 0..=99)?;
    canary.event(weight.unwrap_or(0), event)
}

/// A canary that climbed a rung. One at 100 is watched before it counts as promoted.
pub(crate) fn advanced(canary: Field<'_>, event: Event) -> Result<Event, Refusal> {
    const HINT: &str =
        "write what canary-promote reports: as canary.created has it, and weight and climbed";
    let canary: Canary<'_> = object("canary", canary.ok_or_else(|| missing("canary", HINT))?)?;
    let weight = percent("canary.weight", canary.weight, 1..=100)?;
    let weight = weight.ok_or_else(|| missing("canary.weight", HINT))?;
    // Without it the gate would forget what the gates before it have seen.
    if canary.climbed.is_none() {
        return Err(missing("canary.climbed", CLIMBED));
    }
    canary.event(weight, event)
}

impl Canary<'_> {
    fn event(&self, weight: u8, event: Event) -> Result<Event, Refusal> {
        Ok(Event {
            image: required("canary.image", self.image, patterns::is_image, IMAGE)?,
            revision: required("canary.revision", self.revision, patterns::is_revision, REVISION)?,
            baseline_revision: required(
                "canary.baselineRevision",
                self.baseline_revision,
                patterns::is_revision,
                REVISION,
            )?,
            baseline_image: optional(
                "canary.baselineImage",
                self.baseline_image,
                patterns::is_any_image,
                IMAGE,
            )?,
            weight: if weight == 0 { String::new() } else { weight.to_string() },
            started_at: required("canary.startedAt", self.started_at, patterns::is_time, TIME)?,
            ladder: ladder(self.ladder)?,
            climbed: match self.climbed {
                Some(raw) => climbed(raw, weight)?.to_string(),
                None => String::new(),
            },
            answers: answers(self.answers)?,
            ..event
        })
    }
}

/// Empty where there is none: then the next percent is 100.
fn ladder(field: Field<'_>) -> Result<String, Refusal> {
    let text = text("canary.ladder", field, LADDER)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(text);
    }
    let ladder = text.parse::<Ladder>().map_err(|error| {
        Refusal::invalid(format!("`canary.ladder` does not fit: {error}"), LADDER)
    })?;
    Ok(ladder.to_string())
}

/// Longer, a reason why answers are not compared tells nobody more.
const MOST_OF_ANSWERS: usize = 200;

/// A gate without a word about answers would look for some that nobody counts, and wait for them.
fn answers(field: Field<'_>) -> Result<String, Refusal> {
    let said = prose("canary.answers", field, MOST_OF_ANSWERS, ANSWERS)?;
    Ok(if said.is_empty() { UNSAID.to_owned() } else { said })
}

const UNSAID: &str = "the event does not say whether answers are counted";

/// More than a hundred rungs take.
const LONGEST: usize = 16 << 10;

/// The rungs below this percent, each above the one before, and none before it in time.
fn climbed(raw: &RawValue, weight: u8) -> Result<Climbed, Refusal> {
    let refused = |what: String| Refusal::invalid(format!("`canary.climbed` {what}"), CLIMBED);
    if !raw.get().starts_with('[') {
        return Err(refused(format!("is {}, not a list", kind(raw.get()))));
    }
    if raw.get().len() > LONGEST {
        return Err(refused(format!("has more than {LONGEST} bytes")));
    }
    let written: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|error| unreadable("canary.climbed", &error))?;
    let mut rungs: Vec<Rung> = Vec::new();
    for raw in written {
        let rung = rung(&format!("canary.climbed[{}]", rungs.len()), raw)?;
        if let Some(below) = rungs.last() {
            if below.percent >= rung.percent {
                let what = format!("does not ascend: {} follows {}", rung.percent, below.percent);
                return Err(refused(what));
            }
            if below.started_at > rung.started_at {
                let what =
                    format!("goes back in time: {} follows {}", rung.started_at, below.started_at);
                return Err(refused(what));
            }
        }
        rungs.push(rung);
    }
    match rungs.last() {
        Some(last) if last.percent >= weight => Err(refused(format!(
            "ends at {}, which is not below `canary.weight`, {weight}",
            last.percent
        ))),
        _ => Ok(Climbed(rungs)),
    }
}

fn rung(name: &str, raw: &RawValue) -> Result<Rung, Refusal> {
    let Below { weight, started_at } = object(name, raw)?;
    let [weight_name, time_name] = ["weight", "startedAt"].map(|field| format!("{name}.{field}"));
    let percent = percent(&weight_name, weight, 0..=99)?;
    let started_at = required(&time_name, started_at, is_moment, TIME)?;
    Ok(Rung {
        percent: percent.ok_or_else(|| missing(&weight_name, CLIMBED))?,
        started_at: started_at.parse().map_err(|_| missing(&time_name, TIME))?,
    })
}

/// A time that was or will be: there is no 30 February.
fn is_moment(text: &str) -> bool {
    patterns::is_time(text) && text.parse::<Timestamp>().is_ok()
}

const IMAGE: &str = "write it as REPOSITORY@sha256:DIGEST";
const REVISION: &str = "write the name of a Knative revision, such as \"iris-predictor-00002\"";
const TIME: &str = "write it as \"2026-11-24T06:07:00Z\"";
const LADDER: &str = "write it as \"10,25,50,100\", or leave it out";
const ANSWERS: &str = "write what canary-create reports: compared, observed, or in at most 200 characters why answers are not compared";
const CLIMBED: &str = "write the rungs below this one, from the first on: [{\"weight\": 10, \"startedAt\": \"2026-11-24T06:07:00Z\"}]";
