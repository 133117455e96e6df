//! The data of an event: which fields it must have, of which form.

use cloudevent::validate::is_json;
use serde::Deserialize;
use step::text::is_sha256;

use crate::{
    canary,
    container::container,
    encoding::{refuse_mark, require_utf8},
    event::Event,
    event_type::EventType,
    field::{Field, boolean, kind, missing, object, optional, required, unreadable, written},
    patterns,
    people::Request,
    refusal::{Refusal, shown},
};

/// The data, which must be a JSON object, with the fields that are read here still as they were written.
pub(crate) fn data<'a>(media_type: Option<&str>, written: &'a [u8]) -> Result<Data<'a>, Refusal> {
    let media_type = media_type.unwrap_or("application/json");
    if !is_json(media_type) {
        return Err(Refusal::invalid(
            format!("the data is of type `{}`, not JSON", shown(media_type)),
            "send a JSON object, and say so: `application/json` as `Content-Type` in binary mode, as `datacontenttype` in structured mode",
        ));
    }
    require_utf8("datacontenttype", media_type)?;
    let text = std::str::from_utf8(written)
        .map_err(|_| Refusal::invalid("the data is not valid UTF-8", "JSON is sent in UTF-8"))?;
    refuse_mark("the data", text)?;
    if text.trim().is_empty() {
        return Err(missing("data", OBJECT));
    }
    // Read as a structure, a list would pass for an object.
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::invalid(format!("`data` is {}, not an object", kind(text)), OBJECT));
    }
    serde_json::from_str(text).map_err(|error| unreadable("data", &error))
}

const OBJECT: &str =
    "write a JSON object such as {\"serviceName\": \"iris\", \"serviceVersion\": \"v2\"}";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Data<'a> {
    #[serde(borrow, default, deserialize_with = "written")]
    service_name: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    service_version: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    bento: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    container: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    expect_answer_shift: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    canary: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    decision: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    percent: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    by: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    reason: Field<'a>,
}

#[derive(Default, Deserialize)]
struct Bento<'a> {
    #[serde(borrow, default, deserialize_with = "written")]
    tag: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    store: Field<'a>,
    #[serde(borrow, default, deserialize_with = "written")]
    sha256: Field<'a>,
}

impl Data<'_> {
    pub(crate) fn event(&self, ty: EventType) -> Result<Event, Refusal> {
        let service = required("serviceName", self.service_name, patterns::is_service, SERVICE)?;
        // What serves all requests needs no name, to be taken back.
        let of_version = if ty == EventType::RollbackRequested { optional } else { required };
        let version =
            of_version("serviceVersion", self.service_version, patterns::is_version, VERSION)?;
        let event = Event {
            version_label: patterns::version_label(&version),
            service,
            version,
            ..Event::default()
        };
        match ty {
            EventType::Requested => self.requested(event),
            EventType::CanaryCreated => canary::created(self.canary, event),
            EventType::CanaryAdvanced => canary::advanced(self.canary, event),
            EventType::DecisionRequested => self.people().decision(event),
            EventType::RollbackRequested => self.people().rollback(event),
            EventType::Outcome => Ok(event),
        }
    }

    /// Service and version name the bento where the event does not.
    fn requested(&self, event: Event) -> Result<Event, Refusal> {
        let container = match self.container {
            Some(brought) => container(brought.get(), &event.service)?,
            None => String::new(),
        };
        let shift = boolean("expectAnswerShift", self.expect_answer_shift, SHIFT)?;
        let expect_answer_shift = if shift { "true".to_owned() } else { String::new() };
        let event = Event { container, expect_answer_shift, ..event };
        let Some(bento) = self.bento else {
            return Ok(Event { bento: format!("{}:{}", event.service, event.version), ..event });
        };
        let Bento { tag, store, sha256 } = object("bento", bento)?;
        Ok(Event {
            bento: required("bento.tag", tag, patterns::is_bento, TAG)?,
            bento_store: optional("bento.store", store, patterns::is_store, STORE)?,
            sha256: optional("bento.sha256", sha256, is_sha256, SHA256)?,
            ..event
        })
    }

    const fn people(&self) -> Request<'_> {
        let Self { decision, percent, by, reason, .. } = *self;
        Request { decision, percent, by, reason }
    }
}

const SERVICE: &str = "write the InferenceService's name: at most 46 lower-case letters, digits and `-`, a letter first, no `-` at the end";
const VERSION: &str = "write a string of at most 128 letters, digits, `_`, `.` and `-`, the first none of `.` and `-`: \"1.10\" in quotes, not 1.10";
const SHIFT: &str = "write true without quotes where this version is meant to answer in another way, or leave it out";
const TAG: &str = "write it as NAME:VERSION, such as \"iris_classifier:v2\"";
const STORE: &str = "write it as s3://BUCKET or s3://BUCKET/PREFIX";
const SHA256: &str = "write the archive's digest as 64 lower-case hex digits";
