//! The event that says what became of a canary, as a file for `cloudevent-send`.

use std::path::Path;

use anyhow::Result;
use cloudevent::{
    event::Draft,
    run_event::{self, RunEvent, first, known, run_of},
};
use inference_service::{Mark, Observed, has_digest};
use serde_json::{Value, json};
use step::{OwnRun, text::short};

use crate::{
    args::EventArgs, desired::Desired, plan::RollbackOutcome, rollback_cause::RollbackCause,
};

const ROLLED_BACK: &str = "build.canary.release.canary.rolledback.v1";
const PROMOTED: &str = "build.canary.release.canary.promoted.v1";
const FAILED: &str = "build.canary.release.failed.v1";

/// As the schemas have it.
const LONGEST_MESSAGE: usize = 1024;

/// The same for every run of a Pipeline
pub(crate) fn source_of(namespace: &str, run: &OwnRun) -> String {
    run_event::source_of(namespace, run, "canary-rollback")
}

/// What the event says beside its outcome.
pub(crate) struct OutcomeEvent {
    pub(crate) desired: Desired,
    /// As the last look found it
    pub(crate) observed: Observed,
    pub(crate) cause: RollbackCause,
    /// Of which release it is, and what led to it
    pub(crate) context: EventArgs,
    pub(crate) run: OwnRun,
    /// The event's attribute
    pub(crate) source: String,
}

impl OutcomeEvent {
    /// Writes the event as `NAME.json`, in CloudEvents' JSON format.
    pub(crate) fn write(
        &self,
        folder: &Path,
        name: &str,
        ended: &Result<RollbackOutcome>,
    ) -> Result<()> {
        run_event::write(self.draft(ended), folder, name)
    }

    fn draft(&self, ended: &Result<RollbackOutcome>) -> Draft {
        let (ty, details) = self.type_and_details(ended);
        let weight = if ty == PROMOTED { 100 } else { 0 };
        let uid = first(&[self.run.uid(), &self.mark().release.run_uid]);
        let chain = &self.context.chain;
        let given = chain.correlation_id.as_deref().unwrap_or_default();
        let correlation =
            first(&[given, &self.mark().release.correlation, uid, &self.observed.name]);
        let event = RunEvent {
            source: &self.source,
            ty,
            subject: self.observed.full_name(),
            correlation,
            causation: chain.causation_id.as_deref(),
            hops: chain.hops_of_cause().map_or(0, |hops| hops + 1),
            run: uid,
            revision: self.revision(),
            weight,
            data: self.data(details, weight),
        };
        event.draft()
    }

    fn mark(&self) -> &Mark {
        &self.observed.mark
    }

    fn image(&self) -> &str {
        self.desired.canary_image.as_deref().unwrap_or_default()
    }

    fn revision(&self) -> &str {
        first(&[
            self.desired.canary_revision.as_deref().unwrap_or_default(),
            &self.mark().canary_revision,
        ])
    }

    /// Whether the canary had requests, as far as the mark knows; what an undo takes back had all of them
    fn was_live(&self) -> bool {
        self.desired.undo.is_some()
            || !(self.mark().is_of(self.image()) && self.mark().live_since.is_empty())
    }

    /// The type, and what its schema wants. "Rolled back" is said of what had requests and has none
    /// any more; of everything else, that the release failed, and where.
    fn type_and_details(&self, ended: &Result<RollbackOutcome>) -> (&'static str, Value) {
        let RollbackCause { reason, stage, message } = &self.cause;
        let rolled_back = |reason: &str, message: &str| {
            (ROLLED_BACK, json!({"reason": reason, "message": text(message)}))
        };
        let failed = |stage: &str, reason: &str, message: &str| {
            (FAILED, json!({"stage": stage, "reason": reason, "message": text(message)}))
        };
        match ended {
            Ok(RollbackOutcome::RolledBack { .. }) if self.was_live() => {
                rolled_back(reason, message)
            }
            Ok(RollbackOutcome::RolledBack { .. }) => failed(stage, reason, message),
            Ok(RollbackOutcome::Replaced) => {
                let newer = first(&[&self.mark().release.version, "another one"]);
                rolled_back("replaced", &format!("a newer release, {newer}, has taken its place"))
            }
            Ok(RollbackOutcome::Promoted) => (PROMOTED, json!({})),
            Ok(RollbackOutcome::Nothing(why)) => {
                failed(stage, reason, &format!("{message}; nothing to roll back: {why}"))
            }
            Err(error) => {
                let message = format!("{error:#}; it was to be taken back because: {message}");
                failed("canary-rollback", "error", &message)
            }
        }
    }

    fn data(&self, details: Value, weight: u8) -> Value {
        let (mark, image) = (self.mark(), self.image());
        let given = self.context.service_version.as_deref().unwrap_or_default();
        let noted = if mark.is_of(image) { mark.release.version.as_str() } else { "" };
        let baseline_image = Some(&mark.baseline_image).filter(|image| has_digest(image));
        let canary = has_digest(image).then(|| {
            known(json!({
                "image": image,
                "weight": weight,
                "revision": self.revision(),
                "baselineRevision": mark.baseline_revision,
                "baselineImage": baseline_image,
                "startedAt": mark.live_since,
            }))
        });
        let mut data = known(json!({
            "serviceName": self.observed.name,
            "serviceVersion": first(&[given, noted, "unknown"]),
            "namespace": self.observed.namespace,
            "run": run_of(&self.run),
            "canary": canary,
        }));
        if let (Value::Object(data), Value::Object(details)) = (&mut data, details) {
            data.extend(details);
        }
        data
    }
}

/// One line, as long as the schema allows
fn text(message: &str) -> String {
    short(message, LONGEST_MESSAGE)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use anyhow::anyhow;
    use cloudevent::run_event::ChainArgs;
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
    fn type_and_data(
        mark: Mark,
        cause: &RollbackCause,
        ended: &Result<RollbackOutcome>,
    ) -> (String, Value) {
        let event = OutcomeEvent {
            desired: Desired { canary_image: Some(C.into()), ..Desired::default() },
            observed: Observed {
                namespace: "models".into(),
                name: "iris".into(),
                mark,
                ..Observed::default()
            },
            cause: cause.clone(),
            context: EventArgs {
                event_folder: None,
                service_version: None,
                chain: ChainArgs {
                    causation_id: Some("größe 7".into()),
                    chainhops: Some(1),
                    ..ChainArgs::default()
                },
            },
            run: OwnRun {
                pipeline: Some("canary-promotion".into()),
                pipeline_run: Some("promotion-1".into()),
                pipeline_run_uid: Some("u-2".into()),
                ..OwnRun::default()
            },
            source: "/tekton/models/pipelines/canary-promotion".into(),
        };
        let draft = event.draft(ended);
        let data = serde_json::from_slice(&draft.data).unwrap();
        assert!(draft.extensions.contains(&("chainhops".into(), 2.into())));
        let ty = draft.ty.clone();
        draft.build().unwrap();
        (ty, data)
    }

    const LIVE: &str = "2026-11-24T06:07:00Z";

    fn rolled_back() -> RollbackOutcome {
        RollbackOutcome::RolledBack { image: "r/iris:v1".into() }
    }

    #[test]
    fn rolled_back_is_said_only_of_what_had_requests_and_has_none() {
        let cause = RollbackCause::new("gate-failed", "prometheus-gate", "errors: too many");
        let cases = [
            (LIVE, Ok(rolled_back()), ROLLED_BACK, "gate-failed"),
            ("", Ok(rolled_back()), FAILED, "gate-failed"),
            (LIVE, Ok(RollbackOutcome::Replaced), ROLLED_BACK, "replaced"),
            (
                LIVE,
                Ok(RollbackOutcome::Nothing("it serves all requests".into())),
                FAILED,
                "gate-failed",
            ),
            (LIVE, Err(anyhow!("failed to patch")), FAILED, "error"),
        ];
        for (live_since, ended, ty, reason) in cases {
            let (found, data) = type_and_data(mark(live_since), &cause, &ended);
            assert_eq!((found.as_str(), data["reason"].as_str()), (ty, Some(reason)), "{data}");
            assert_eq!(data["serviceVersion"], "v3");
            assert_eq!(data["canary"]["weight"], 0);
        }
    }

    #[test]
    fn a_rollback_that_failed_names_its_own_error_and_why_it_was_needed() {
        let cause = RollbackCause::new("gate-failed", "prometheus-gate", "errors: too many");
        let (_, data) = type_and_data(mark(LIVE), &cause, &Err(anyhow!("failed to patch")));
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
                Ok(RollbackOutcome::Replaced),
                Ok(RollbackOutcome::Promoted),
                Ok(RollbackOutcome::Nothing(long.clone())),
                Err(anyhow!("{long}")),
            ] {
                for live_since in ["", LIVE] {
                    for mark in [Mark::default(), mark(live_since)] {
                        let cause = RollbackCause::new(reason, "prometheus-gate", &long);
                        let (ty, data) = type_and_data(mark, &cause, &ended);
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
