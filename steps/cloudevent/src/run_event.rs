//! The event that a step of a run leaves in a file for `cloudevent-send`, which sends it as it is.

use std::{fs, path::Path, time::SystemTime};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use step::{Failure, OwnRun, text::from_trigger};

use crate::{
    event::Draft,
    http_binding::{self, Mode},
    id::derived_id,
};

/// The release that a run is of, and what led to the run: a Task reads it from its pod.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Event")]
pub struct ChainArgs {
    /// What all events of one release have in common [default: what canary-create was given, or the uid of the run]
    #[arg(long, value_name = "ID", env = "CORRELATION_ID")]
    pub correlation_id: Option<String>,
    /// Id of the event that led to this run
    #[arg(long, value_name = "ID", env = "CAUSATION_ID")]
    pub causation_id: Option<String>,
    /// The attribute `chainhops` of that event
    #[arg(long, value_name = "NUMBER", env = "CHAINHOPS")]
    pub chainhops: Option<u16>,
}

impl ChainArgs {
    /// None where no event led to the run, and 0 where it did not say.
    pub fn hops_of_cause(&self) -> Option<i64> {
        self.causation_id.as_ref().map(|_| self.chainhops.unwrap_or(0).into())
    }
}

/// What an event of a run says of itself, beside its data.
#[derive(Clone, Debug)]
pub struct RunEvent<'a> {
    /// See [`source_of`]
    pub source: &'a str,
    pub ty: &'a str,
    /// `NAMESPACE/SERVICE`
    pub subject: String,
    /// What all events of one release have in common
    pub correlation: &'a str,
    /// Id of the event that led to the run, as Tekton Triggers wrote it
    pub causation: Option<&'a str>,
    pub hops: i64,
    /// Uid of the run; a canary and its weight tell several events of one run apart
    pub run: &'a str,
    pub revision: &'a str,
    pub weight: u8,
    pub data: Value,
}

impl RunEvent<'_> {
    /// A step that is run again gives its event the same id.
    pub fn draft(self) -> Draft {
        let mut extensions = vec![
            ("correlationid".into(), self.correlation.into()),
            ("chainhops".into(), self.hops.into()),
        ];
        let cause = self.causation.map(|cause| ("causationid".into(), from_trigger(cause).into()));
        extensions.extend(cause);
        Draft {
            id: derived_id(&[
                self.source,
                self.ty,
                &self.subject,
                self.correlation,
                self.run,
                self.revision,
                &self.weight.to_string(),
            ]),
            source: self.source.into(),
            ty: self.ty.into(),
            subject: Some(self.subject),
            time: Some(humantime::format_rfc3339_millis(SystemTime::now()).to_string()),
            datacontenttype: Some("application/json".into()),
            dataschema: None,
            extensions,
            data: self.data.to_string().into_bytes(),
        }
    }
}

/// The same for every run of a Pipeline; outside of one, the Task's.
pub fn source_of(namespace: &str, run: &OwnRun, task: &str) -> String {
    match &run.pipeline {
        Some(pipeline) => format!("/tekton/{namespace}/pipelines/{pipeline}"),
        None => format!("/tekton/{namespace}/tasks/{task}"),
    }
}

/// The data's field `run`; null at a terminal.
pub fn run_of(run: &OwnRun) -> Value {
    if run.uid().is_empty() {
        return Value::Null;
    }
    known(json!({"uid": run.uid(), "name": run.name(), "pipeline": run.pipeline}))
}

/// The fields of a map that are not empty
pub fn known(mut fields: Value) -> Value {
    if let Value::Object(fields) = &mut fields {
        fields.retain(|_, value| !value.is_null() && *value != "");
    }
    fields
}

/// The first text that is not empty
pub fn first<'a>(texts: &[&'a str]) -> &'a str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or_default()
}

/// Writes an event as `NAME.json`, in CloudEvents' JSON format.
pub fn write(draft: Draft, folder: &Path, name: &str) -> Result<()> {
    let file = folder.join(format!("{name}.json"));
    let event = draft.build().context("failed to build the event")?;
    let body = http_binding::message(&event, Mode::Structured, None).body;
    fs::write(&file, body).with_context(|| Failure {
        what: format!("failed to write event `{}`", file.display()),
        hint: "`event-folder` must be a folder that exists and can be written".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(run: &'static str, weight: u8) -> RunEvent<'static> {
        RunEvent {
            source: "/tekton/team/pipelines/canary-promotion",
            ty: "build.canary.release.canary.advanced.v1",
            subject: "team/iris".into(),
            correlation: "r-1",
            causation: Some("a $$(b)"),
            hops: 1,
            run,
            revision: "iris-predictor-00002",
            weight,
            data: json!({"serviceName": "iris"}),
        }
    }

    #[test]
    fn a_step_that_is_run_again_sends_the_same_event_and_another_rung_another_one() {
        let id = |run, weight| event(run, weight).draft().id;
        assert_eq!(id("u-1", 25), id("u-1", 25));
        assert_ne!(id("u-1", 25), id("u-1", 50));
        assert_ne!(id("u-1", 25), id("u-2", 25));
    }

    #[test]
    fn the_file_is_an_event_with_its_place_in_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        write(event("u-1", 25).draft(), folder.path(), "iris").unwrap();
        let text = fs::read(folder.path().join("iris.json")).unwrap();
        let read: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(read["causationid"], "a $(b)", "as it was before Triggers wrote it");
        assert_eq!((&read["correlationid"], &read["chainhops"]), (&json!("r-1"), &json!(1)));
        assert_eq!(read["data"], json!({"serviceName": "iris"}));
        let error = write(event("u-1", 25).draft(), Path::new("/nowhere"), "iris").unwrap_err();
        assert!(error.to_string().contains("`/nowhere/iris.json`"), "{error}");
    }

    #[test]
    fn the_source_is_the_pipeline_or_else_the_task() {
        let run = OwnRun { pipeline: Some("canary-promotion".into()), ..OwnRun::default() };
        assert_eq!(source_of("team", &run, "t"), "/tekton/team/pipelines/canary-promotion");
        assert_eq!(source_of("team", &OwnRun::default(), "t"), "/tekton/team/tasks/t");
        assert_eq!(run_of(&OwnRun::default()), Value::Null);
    }
}
