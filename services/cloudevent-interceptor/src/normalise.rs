//! An event of CloudEvents in the form that the triggers read.

use std::mem::take;

use cloudevent::{
    event::Draft,
    id::{is_label, object_name},
};

use crate::{
    data::data,
    event::Event,
    event_type::{EventType, EventTypes},
    refusal::{Code, Refusal, shown},
};

/// The event in the form of the triggers; nothing if it is one that starts nothing.
pub(crate) fn normalise(mut draft: Draft, types: &EventTypes) -> Result<Option<Event>, Refusal> {
    // Its data is read here, once: a megabyte takes its time.
    let written = take(&mut draft.data);
    let draft = &draft;
    draft.check_received().map_err(|broken| Refusal::invalid(broken.what, broken.hint))?;
    let ty = types.find(&draft.ty)?;
    if ty == EventType::Outcome {
        return Ok(None);
    }
    let name = object_name(&draft.source, &draft.id);
    let event = Event {
        ty: draft.ty.clone(),
        id: draft.id.clone(),
        source: draft.source.clone(),
        correlation_id: correlation(draft, &name)?,
        hops: hops(draft)?,
        name,
        ..data(draft.datacontenttype.as_deref(), &written)?.event(ty)?
    };
    Ok(Some(event))
}

/// The first event of a release may lack it, and lends its name.
fn correlation(draft: &Draft, name: &str) -> Result<String, Refusal> {
    let Some(correlation) = extension(draft, "correlationid") else { return Ok(name.to_owned()) };
    if is_label(&correlation) {
        return Ok(correlation);
    }
    Err(Refusal::invalid(
        format!("attribute `correlationid` is `{}`, which fits no label", shown(&correlation)),
        "write a UUID, or at most 63 letters, digits, `-`, `_` and `.` that begin and end with a letter or digit; or leave it out",
    ))
}

/// The second guard against a loop; the first is that types are exact.
fn hops(draft: &Draft) -> Result<String, Refusal> {
    let hops = extension(draft, "chainhops").unwrap_or_else(|| "0".into());
    if matches!(hops.as_bytes(), [b'0'..=b'7']) {
        return Ok(hops);
    }
    Err(Refusal {
        code: Code::FailedPrecondition,
        what: format!("attribute `chainhops` is `{}`, not 0 to 7: events that start each other are a loop", shown(&hops)),
        hint: "leave it out of the first event of a release; if nobody wrote it by hand, look for what sends an event on".into(),
    })
}

fn extension(draft: &Draft, name: &str) -> Option<String> {
    draft.extensions.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_string())
}
