//! What the triggers get of an event: its type, who it is, and the fields that a run is made of.

use cloudevent::{
    event::Draft,
    id::{is_label, object_name},
    validate::is_json,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{
    binding::{refuse_mark, require_utf8},
    container::container,
    forms,
    refusal::{Code, Refusal, shown},
};

/// `extensions.event`: texts only, and each one always there, so that a binding always finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) ty: String,
    pub(crate) id: String,
    pub(crate) source: String,
    /// What is made for this event is named so
    pub(crate) name: String,
    pub(crate) correlation_id: String,
    pub(crate) hops: String,
    pub(crate) service: String,
    pub(crate) version: String,
    pub(crate) version_label: String,
    pub(crate) bento: String,
    pub(crate) bento_store: String,
    pub(crate) sha256: String,
    /// JSON, as the step takes it
    pub(crate) container: String,
    pub(crate) image: String,
    pub(crate) revision: String,
    pub(crate) baseline_revision: String,
    pub(crate) baseline_image: String,
    /// Percent; empty where none is given and at 0, where there is no share to judge by
    pub(crate) weight: String,
    pub(crate) started_at: String,
}

/// The types of this catalog, by what follows their prefix.
pub(crate) struct Types {
    prefix: String,
}

/// What an event of a type is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Asks for a release
    Requested,
    /// Tells of a canary that has its first users
    Created,
    /// Tells how something ended, which starts nothing
    Told,
}

impl Types {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{}.", prefix.trim_end_matches('.')) }
    }

    /// Types are compared whole: a prefix would match what the pipelines send themselves, a loop.
    pub(crate) fn purpose(&self, ty: &str) -> Result<Purpose, Refusal> {
        match ty.strip_prefix(&self.prefix) {
            Some("requested.v1") => Ok(Purpose::Requested),
            Some("canary.created.v1") => Ok(Purpose::Created),
            Some(
                "canary.promoted.v1"
                | "canary.rolledback.v1"
                | "gate.passed.v1"
                | "gate.failed.v1"
                | "failed.v1",
            ) => Ok(Purpose::Told),
            _ => Err(Refusal::invalid(
                format!("attribute `type` is `{}`, which is unknown here", shown(ty)),
                format!(
                    "write `{0}requested.v1` to ask for a release; `{0}canary.created.v1` starts a promotion",
                    self.prefix
                ),
            )),
        }
    }
}

/// The event in the form of the triggers; nothing if it is one that starts nothing.
pub(crate) fn normalise(mut draft: Draft, types: &Types) -> Result<Option<Event>, Refusal> {
    // Its data is read here, once: a megabyte takes its time.
    let written = std::mem::take(&mut draft.data);
    let draft = &draft;
    draft.check_received().map_err(|broken| Refusal::invalid(broken.what, broken.hint))?;
    let purpose = types.purpose(&draft.ty)?;
    if purpose == Purpose::Told {
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
        ..data(draft.datacontenttype.as_deref(), &written)?.event(purpose)?
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

/// The data, which must be a JSON object, with the fields that are read here still as they were written.
fn data<'a>(media_type: Option<&str>, written: &'a [u8]) -> Result<Data<'a>, Refusal> {
    let media_type = media_type.unwrap_or("application/json");
    if !is_json(media_type) {
        return Err(Refusal::invalid(
            format!("the data is of type `{}`, not JSON", shown(media_type)),
            "send a JSON object, and say so: `application/json` as `Content-Type` in binary mode, as `datacontenttype` in structured mode",
        ));
    }
    require_utf8("datacontenttype", media_type)?;
    let text = std::str::from_utf8(written)
        .map_err(|_| Refusal::invalid("the data is no UTF-8", "JSON is sent in UTF-8"))?;
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
struct Data<'a> {
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
    fn event(&self, purpose: Purpose) -> Result<Event, Refusal> {
        let service = required("serviceName", self.service_name, forms::is_service, SERVICE)?;
        let version = required("serviceVersion", self.service_version, forms::is_version, VERSION)?;
        let event = Event {
            version_label: forms::version_label(&version),
            service,
            version,
            ..Event::default()
        };
        match purpose {
            Purpose::Requested => self.requested(event),
            Purpose::Created => self.created(event),
            Purpose::Told => Ok(event),
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
            bento: required("bento.tag", tag, forms::is_bento, TAG)?,
            bento_store: optional("bento.store", store, forms::is_store, STORE)?,
            sha256: optional("bento.sha256", sha256, forms::is_sha256, SHA256)?,
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
            image: required("canary.image", image, forms::is_image, IMAGE)?,
            revision: required("canary.revision", revision, forms::is_revision, REVISION)?,
            baseline_revision: required(
                "canary.baselineRevision",
                baseline_revision,
                forms::is_revision,
                REVISION,
            )?,
            baseline_image: optional(
                "canary.baselineImage",
                baseline_image,
                forms::is_any_image,
                IMAGE,
            )?,
            weight: percent("canary.weight", weight)?,
            started_at: required("canary.startedAt", started_at, forms::is_time, TIME)?,
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
    is_form: fn(&str) -> bool,
    hint: &str,
) -> Result<String, Refusal> {
    let raw = field.ok_or_else(|| missing(name, hint))?.get();
    let text: String = serde_json::from_str(raw).map_err(|_| {
        Refusal::invalid(format!("`{name}` is {}, not a string: `{}`", kind(raw), shown(raw)), hint)
    })?;
    if is_form(&text) {
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
    is_form: fn(&str) -> bool,
    hint: &str,
) -> Result<String, Refusal> {
    if field.is_none() { Ok(String::new()) } else { required(name, field, is_form, hint) }
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
            format!("`{name}` is no whole number from 0 to 99: `{}`", shown(raw)),
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
        _ => "no JSON",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_has_a_schema_is_known() {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../triggers/schemas");
        let types = Types::new("build.canary.release");
        let mut known = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let schema: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let title = schema["title"].as_str().unwrap();
            if title.starts_with("build.") {
                types.purpose(title).unwrap_or_else(|refusal| panic!("{}", refusal.line()));
                known += 1;
            }
        }
        assert!(known > 2, "{known}");
    }

    #[test]
    fn a_type_is_compared_whole() {
        let types = Types::new("org.example.");
        assert_eq!(types.purpose("org.example.requested.v1"), Ok(Purpose::Requested));
        for unknown in [
            "org.example.requested.v2",
            "org.example.requested.v1 ",
            "ORG.example.requested.v1",
            "requested.v1",
            "",
        ] {
            assert!(types.purpose(unknown).is_err(), "{unknown}");
        }
    }

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
