//! The event that tells what became of a canary, as a file for `cloudevent-send`.

use std::{fs, path::Path, time::SystemTime};

use anyhow::{Context, Result};
use cloudevent::{
    event::Draft,
    id::derived_id,
    wire::{self, Mode},
};
use inference_service::{Mark, Seen, has_digest};
use serde_json::{Map, Value, json};
use step::{
    Failure, OwnRun,
    text::{from_trigger, short},
};

use crate::{
    EventArgs,
    plan::{Asked, Ended},
    rollback_cause::Cause,
};

const ROLLED_BACK: &str = "build.canary.release.canary.rolledback.v1";
const PROMOTED: &str = "build.canary.release.canary.promoted.v1";
const FAILED: &str = "build.canary.release.failed.v1";

/// As the schemas have it.
const LONGEST_MESSAGE: usize = 1024;

/// What the event says beside its outcome.
pub(crate) struct Report<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) service: &'a str,
    pub(crate) asked: &'a Asked,
    /// As the last look found it
    pub(crate) seen: &'a Seen,
    pub(crate) cause: &'a Cause,
    pub(crate) event: &'a EventArgs,
    pub(crate) run: &'a OwnRun,
    /// The event's attribute
    pub(crate) source: String,
}

impl Report<'_> {
    /// Writes the event as `NAME.json`, in CloudEvents' JSON format.
    pub(crate) fn write(&self, folder: &Path, name: &str, ended: &Result<Ended>) -> Result<()> {
        let file = folder.join(format!("{name}.json"));
        let event = self.draft(ended).build().context("failed to build the event")?;
        let body = wire::message(&event, Mode::Structured, None).body;
        fs::write(&file, body).with_context(|| Failure {
            what: format!("failed to write event `{}`", file.display()),
            hint: "`event-folder` must be a folder that exists and can be written".into(),
        })
    }

    fn draft(&self, ended: &Result<Ended>) -> Draft {
        let (ty, told) = self.told(ended);
        let weight = if ty == PROMOTED { 100 } else { 0 };
        let subject = format!("{}/{}", self.namespace, self.service);
        let uid = first(&[self.run.uid(), &self.mark().release.run_uid]);
        let given = self.event.correlation_id.as_deref().unwrap_or_default();
        let correlation = first(&[given, &self.mark().release.correlation, uid, self.service]);
        let cause = self.event.causation_id.as_deref();
        let hops = cause.map_or(0, |_| i64::from(self.event.chainhops.unwrap_or(0)) + 1);
        let mut extensions =
            vec![("correlationid".into(), correlation.into()), ("chainhops".into(), hops.into())];
        extensions.extend(cause.map(|cause| ("causationid".into(), from_trigger(cause).into())));
        Draft {
            id: derived_id(&[
                &self.source,
                ty,
                &subject,
                correlation,
                uid,
                self.revision(),
                &weight.to_string(),
            ]),
            source: self.source.clone(),
            ty: ty.into(),
            subject: Some(subject),
            time: Some(humantime::format_rfc3339_millis(SystemTime::now()).to_string()),
            datacontenttype: Some("application/json".into()),
            dataschema: None,
            extensions,
            data: Value::Object(self.data(told, weight)).to_string().into_bytes(),
        }
    }

    fn mark(&self) -> &Mark {
        &self.seen.mark
    }

    fn image(&self) -> &str {
        self.asked.canary_image.as_deref().unwrap_or_default()
    }

    fn revision(&self) -> &str {
        first(&[
            self.asked.canary_revision.as_deref().unwrap_or_default(),
            &self.mark().canary_revision,
        ])
    }

    /// Whether the canary had requests, as far as the mark tells
    fn was_live(&self) -> bool {
        !(self.mark().is_of(self.image()) && self.mark().live_since.is_empty())
    }

    /// The type, and what its schema wants. "Rolled back" is said of what had requests and has none
    /// any more; of everything else, that the release failed, and where.
    fn told(&self, ended: &Result<Ended>) -> (&'static str, Value) {
        let Cause { reason, stage, message } = self.cause;
        match ended {
            Ok(Ended::RolledBack { .. }) if self.was_live() => {
                (ROLLED_BACK, json!({"reason": reason, "message": text(message)}))
            }
            Ok(Ended::Promoted) => (PROMOTED, json!({})),
            Ok(Ended::Replaced) => {
                let newer = first(&[&self.mark().release.version, "another one"]);
                let message = format!("a newer release, {newer}, has taken its place");
                (ROLLED_BACK, json!({"reason": "replaced", "message": text(&message)}))
            }
            Ok(Ended::RolledBack { .. }) => {
                (FAILED, json!({"stage": stage, "reason": reason, "message": text(message)}))
            }
            Ok(Ended::Nothing(why)) => {
                let message = format!("{message}; nothing to roll back: {why}");
                (FAILED, json!({"stage": stage, "reason": reason, "message": text(&message)}))
            }
            Err(error) => {
                let message = format!("{error:#}; it was to be taken back because: {message}");
                (
                    FAILED,
                    json!({"stage": "canary-rollback", "reason": "error", "message": text(&message)}),
                )
            }
        }
    }

    fn data(&self, told: Value, weight: u8) -> Map<String, Value> {
        let mark = self.mark();
        let asked = self.event.service_version.as_deref().unwrap_or_default();
        let noted = if mark.is_of(self.image()) { mark.release.version.as_str() } else { "" };
        let mut data = Map::from_iter([
            ("serviceName".to_owned(), Value::from(self.service)),
            ("serviceVersion".to_owned(), first(&[asked, noted, "unknown"]).into()),
            ("namespace".to_owned(), self.namespace.into()),
        ]);
        if let Value::Object(told) = told {
            data.extend(told);
        }
        if !self.run.uid().is_empty() {
            let pipeline = self.run.pipeline.as_deref().unwrap_or_default();
            let run = object(&[
                ("uid", self.run.uid()),
                ("name", self.run.name()),
                ("pipeline", pipeline),
            ]);
            data.insert("run".into(), run);
        }
        if has_digest(self.image()) {
            let baseline = Some(mark.baseline_image.as_str()).filter(|image| has_digest(image));
            let mut canary = object(&[
                ("image", self.image()),
                ("revision", self.revision()),
                ("baselineRevision", &mark.baseline_revision),
                ("baselineImage", baseline.unwrap_or_default()),
                ("startedAt", &mark.live_since),
            ]);
            canary["weight"] = weight.into();
            data.insert("canary".into(), canary);
        }
        data
    }
}

/// The first text that is not empty
fn first<'a>(texts: &[&'a str]) -> &'a str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or_default()
}

/// The fields that are not empty
fn object(fields: &[(&str, &str)]) -> Value {
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    Value::Object(given.map(|(name, value)| ((*name).to_owned(), (*value).into())).collect())
}

/// One line, as long as the schema allows
fn text(message: &str) -> String {
    short(message, LONGEST_MESSAGE)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anyhow::anyhow;
    use inference_service::Release;

    use super::*;

    const C: &str =
        "r/iris@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

    fn mark(live_since: &str) -> Mark {
        let release = Release { version: "v3".into(), run_uid: "u-1".into(), ..Release::default() };
        Mark::default()
            .begin(C, "iris-predictor-00001", "r/iris:v1")
            .of(&release)
            .go_live(live_since)
    }

    /// Type and data of the event.
    fn told(mark: Mark, cause: &Cause, ended: &Result<Ended>) -> (String, Value) {
        let asked = Asked { canary_image: Some(C.into()), ..Asked::default() };
        let event = EventArgs {
            event_folder: None,
            service_version: None,
            correlation_id: None,
            causation_id: Some("größe 7".into()),
            chainhops: Some(1),
        };
        let run = OwnRun {
            pipeline: Some("canary-promotion".into()),
            pipeline_run: Some("promotion-1".into()),
            pipeline_run_uid: Some("u-2".into()),
            ..OwnRun::default()
        };
        let seen = Seen { mark, ..Seen::default() };
        let source = "/tekton/models/pipelines/canary-promotion".into();
        let report = Report {
            namespace: "models",
            service: "iris",
            asked: &asked,
            seen: &seen,
            cause,
            event: &event,
            run: &run,
            source,
        };
        let draft = report.draft(ended);
        let data = serde_json::from_slice(&draft.data).unwrap();
        assert!(draft.extensions.contains(&("chainhops".into(), 2.into())));
        let ty = draft.ty.clone();
        draft.build().unwrap();
        (ty, data)
    }

    const LIVE: &str = "2026-11-24T06:07:00Z";

    fn rolled_back() -> Ended {
        Ended::RolledBack { image: "r/iris:v1".into() }
    }

    #[test]
    fn rolled_back_is_said_only_of_what_had_requests_and_has_none() {
        let cause = Cause::new("gate-failed", "prometheus-gate", "errors: too many");
        let cases = [
            (LIVE, Ok(rolled_back()), ROLLED_BACK, "gate-failed"),
            ("", Ok(rolled_back()), FAILED, "gate-failed"),
            (LIVE, Ok(Ended::Replaced), ROLLED_BACK, "replaced"),
            (LIVE, Ok(Ended::Nothing("it serves all requests".into())), FAILED, "gate-failed"),
            (LIVE, Err(anyhow!("failed to patch")), FAILED, "error"),
        ];
        for (live_since, ended, ty, reason) in cases {
            let (told, data) = told(mark(live_since), &cause, &ended);
            assert_eq!((told.as_str(), data["reason"].as_str()), (ty, Some(reason)), "{data}");
            assert_eq!(data["serviceVersion"], "v3");
            assert_eq!(data["canary"]["weight"], 0);
        }
    }

    #[test]
    fn a_rollback_that_failed_names_its_own_error_and_why_it_was_needed() {
        let cause = Cause::new("gate-failed", "prometheus-gate", "errors: too many");
        let (_, data) = told(mark(LIVE), &cause, &Err(anyhow!("failed to patch")));
        assert_eq!(data["stage"], "canary-rollback");
        let message = data["message"].as_str().unwrap();
        assert!(message.contains("failed to patch") && message.contains("too many"), "{message}");
    }

    #[test]
    fn every_event_keeps_to_the_schema_of_its_type() {
        let schemas = schemas();
        let long = format!("two\nlines\u{1b}[31m {}", "é".repeat(3000));
        for reason in [
            "gate-failed",
            "gate-inconclusive",
            "changed",
            "cancelled",
            "timeout",
            "manual",
            "error",
        ] {
            for ended in [
                Ok(rolled_back()),
                Ok(Ended::Replaced),
                Ok(Ended::Promoted),
                Ok(Ended::Nothing(long.clone())),
                Err(anyhow!("{long}")),
            ] {
                for live_since in ["", LIVE] {
                    for mark in [Mark::default(), mark(live_since)] {
                        let cause = Cause::new(reason, "prometheus-gate", &long);
                        let (ty, data) = told(mark, &cause, &ended);
                        let errors: Vec<String> = schemas[&ty]
                            .iter_errors(&data)
                            .map(|error| error.to_string())
                            .collect();
                        assert!(errors.is_empty(), "{ty} {data}: {errors:?}");
                    }
                }
            }
        }
    }

    fn schemas() -> BTreeMap<String, jsonschema::Validator> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../triggers/schemas");
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(folder.join(format!("{name}.schema.json"))).unwrap())
                .unwrap()
        };
        let common = read("common");
        let registry = jsonschema::Registry::new()
            .add(common["$id"].as_str().unwrap(), common.clone())
            .unwrap()
            .prepare()
            .unwrap();
        ["canary-promoted", "canary-rolledback", "failed"]
            .map(|name| {
                let schema = read(name);
                let validator = jsonschema::options()
                    .with_registry(&registry)
                    .should_validate_formats(true)
                    .build(&schema)
                    .unwrap();
                (schema["title"].as_str().unwrap().to_owned(), validator)
            })
            .into()
    }
}
