//! The data of an event: which fields it must have, of which form.

use cloudevent::validate::is_json;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use step::text::is_sha256;

use crate::{
    container::container,
    encoding::{refuse_mark, require_utf8},
    event::Event,
    event_type::EventType,
    patterns,
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
    canary: Field<'a>,
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
}

/// A field's JSON, if it is there.
type Field<'a> = Option<&'a RawValue>;

/// There, even when it is `null`, which is no value of any field here.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<'de>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Data<'_> {
    pub(crate) fn event(&self, ty: EventType) -> Result<Event, Refusal> {
        let service = required("serviceName", self.service_name, patterns::is_service, SERVICE)?;
        let version =
            required("serviceVersion", self.service_version, patterns::is_version, VERSION)?;
        let event = Event {
            version_label: patterns::version_label(&version),
            service,
            version,
            ..Event::default()
        };
        match ty {
            EventType::Requested => self.requested(event),
            EventType::CanaryCreated => self.created(event),
            EventType::Outcome => Ok(event),
        }
    }

    /// Service and version name the bento where the event does not.
    fn requested(&self, event: Event) -> Result<Event, Refusal> {
        let container = match self.container {
            Some(brought) => container(brought.get(), &event.service)?,
            None => String::new(),
        };
        let event = Event { container, ..event };
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

    fn created(&self, event: Event) -> Result<Event, Refusal> {
        const HINT: &str =
            "write what canary-create reports: image, revision, baselineRevision, startedAt";
        let canary = self.canary.ok_or_else(|| missing("canary", HINT))?;
        let Canary { image, revision, baseline_revision, baseline_image, weight, started_at } =
            object("canary", canary)?;
        Ok(Event {
            image: required("canary.image", image, patterns::is_image, IMAGE)?,
            revision: required("canary.revision", revision, patterns::is_revision, REVISION)?,
            baseline_revision: required(
                "canary.baselineRevision",
                baseline_revision,
                patterns::is_revision,
                REVISION,
            )?,
            baseline_image: optional(
                "canary.baselineImage",
                baseline_image,
                patterns::is_any_image,
                IMAGE,
            )?,
            weight: percent("canary.weight", weight)?,
            started_at: required("canary.startedAt", started_at, patterns::is_time, TIME)?,
            ..event
        })
    }
}

const SERVICE: &str = "write the InferenceService's name: at most 46 lower-case letters, digits and `-`, a letter first, no `-` at the end";
const VERSION: &str = "write a string of at most 128 letters, digits, `_`, `.` and `-`, the first none of `.` and `-`: \"1.10\" in quotes, not 1.10";
const TAG: &str = "write it as NAME:VERSION, such as \"iris_classifier:v2\"";
const STORE: &str = "write it as s3://BUCKET or s3://BUCKET/PREFIX";
const SHA256: &str = "write the archive's digest as 64 lower-case hex digits";
const IMAGE: &str = "write it as REPOSITORY@sha256:DIGEST";
const REVISION: &str = "write the name of a Knative revision, such as \"iris-predictor-00002\"";
const TIME: &str = "write it as \"2026-11-24T06:07:00Z\"";

fn required(
    name: &str,
    field: Field<'_>,
    fits: fn(&str) -> bool,
    hint: &str,
) -> Result<String, Refusal> {
    let raw = field.ok_or_else(|| missing(name, hint))?.get();
    let text: String = serde_json::from_str(raw).map_err(|_| {
        Refusal::invalid(format!("`{name}` is {}, not a string: `{}`", kind(raw), shown(raw)), hint)
    })?;
    if fits(&text) {
        return Ok(text);
    }
    let what = if text.is_empty() {
        format!("`{name}` is empty")
    } else {
        format!("`{name}` does not fit: `{}`", shown(&text))
    };
    Err(Refusal::invalid(what, hint))
}

fn optional(
    name: &str,
    field: Field<'_>,
    fits: fn(&str) -> bool,
    hint: &str,
) -> Result<String, Refusal> {
    if field.is_none() { Ok(String::new()) } else { required(name, field, fits, hint) }
}

/// A whole number below 100.
fn percent(name: &str, field: Field<'_>) -> Result<String, Refusal> {
    let Some(raw) = field.map(RawValue::get) else { return Ok(String::new()) };
    let number = serde_json::from_str::<f64>(raw).ok();
    let whole = (1..=99_u8).find(|whole| number == Some(f64::from(*whole)));
    match whole {
        Some(whole) => Ok(whole.to_string()),
        None if number == Some(0.0) => Ok(String::new()),
        None => Err(Refusal::invalid(
            format!("`{name}` is not a whole number from 0 to 99: `{}`", shown(raw)),
            "write the canary's percent as a JSON number, or leave it out",
        )),
    }
}

fn object<'a, T: Deserialize<'a>>(name: &str, raw: &'a RawValue) -> Result<T, Refusal> {
    if !raw.get().starts_with('{') {
        return Err(Refusal::invalid(
            format!("`{name}` is {}, not an object", kind(raw.get())),
            "leave it out, or write it as triggers/schemas has it",
        ));
    }
    serde_json::from_str(raw.get()).map_err(|error| unreadable(name, &error))
}

fn missing(name: &str, hint: &str) -> Refusal {
    Refusal::invalid(format!("`{name}` is missing"), hint)
}

fn unreadable(name: &str, error: &serde_json::Error) -> Refusal {
    Refusal::invalid(
        format!("`{name}` cannot be read: {error}"),
        "write each member once, as triggers/schemas has it",
    )
}

/// What a JSON value is, by its beginning.
fn kind(raw: &str) -> &'static str {
    match raw.trim() {
        "null" => "null",
        "true" | "false" => "a boolean",
        raw if raw.starts_with('"') => "a string",
        raw if raw.starts_with('{') => "an object",
        raw if raw.starts_with('[') => "a list",
        raw if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => "a number",
        _ => "not valid JSON",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_whole_percent() {
        let of = |raw: &str| {
            let raw: Box<RawValue> = serde_json::from_str(raw).unwrap();
            percent("weight", Some(&raw)).ok()
        };
        for (raw, wanted) in [
            ("10", "10"),
            ("10.0", "10"),
            ("1e1", "10"),
            ("99", "99"),
            ("1", "1"),
            ("0", ""),
            ("-0.0", ""),
        ] {
            assert_eq!(of(raw).as_deref(), Some(wanted), "{raw}");
        }
        for bad in ["100", "-1", "10.5", "\"10\"", "null", "1e400", "[]", "true"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(percent("weight", None), Ok(String::new()));
    }
}
