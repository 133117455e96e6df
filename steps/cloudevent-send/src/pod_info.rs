//! What the pod's labels say of the run, and where that goes in an event.

use serde_json::{Map, Value, json};

use crate::args::RunArgs;

impl RunArgs {
    /// What a retry of the Task keeps and another run does not
    pub(crate) fn uid(&self) -> Option<&str> {
        Some(self.own.uid()).filter(|uid| !uid.is_empty())
    }

    /// Who sends, when nothing else is given.
    pub(crate) fn source(&self) -> Option<String> {
        let namespace = self.namespace.as_deref()?;
        Some(match &self.own.pipeline {
            Some(pipeline) => format!("/tekton/{namespace}/pipelines/{pipeline}"),
            None => format!("/tekton/{namespace}/tasks/{}", env!("CARGO_PKG_NAME")),
        })
    }

    /// Adds `namespace` and `run` to the data; what is there stays. Without a uid there is no `run`:
    /// the schema wants one.
    pub(crate) fn complete(&self, data: &mut Map<String, Value>) {
        if let Some(namespace) = &self.namespace {
            data.entry("namespace").or_insert_with(|| json!(namespace));
        }
        let Some(uid) = &self.own.pipeline_run_uid else { return };
        let run = data.entry("run").or_insert_with(|| json!({}));
        let Some(run) = run.as_object_mut() else { return };
        let known = [
            ("uid", Some(uid)),
            ("name", self.own.pipeline_run.as_ref()),
            ("pipeline", self.own.pipeline.as_ref()),
        ];
        for (field, value) in known {
            if let Some(value) = value {
                run.entry(field).or_insert_with(|| json!(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use step::OwnRun;

    use super::*;

    fn of_a_pipeline() -> RunArgs {
        let own = OwnRun {
            pipeline: Some("canary-release".into()),
            pipeline_run: Some("release-1".into()),
            pipeline_run_uid: Some("p-1".into()),
            task_run: Some("release-1-send".into()),
            task_run_uid: Some("t-1".into()),
        };
        RunArgs { namespace: Some("team".into()), own }
    }

    fn completed(run: &RunArgs, mut data: Value) -> Value {
        run.complete(data.as_object_mut().unwrap());
        data
    }

    #[test]
    fn a_pipeline_s_run_is_in_the_data_in_full() {
        let run = of_a_pipeline();
        assert_eq!(run.uid(), Some("p-1"));
        assert_eq!(run.source().as_deref(), Some("/tekton/team/pipelines/canary-release"));
        assert_eq!(
            completed(&run, json!({})),
            json!({"namespace": "team", "run": {"uid": "p-1", "name": "release-1", "pipeline": "canary-release"}})
        );
    }

    #[test]
    fn a_single_task_run_has_a_uid_and_a_source() {
        let mut run = of_a_pipeline();
        run.own = OwnRun { task_run_uid: Some("t-1".into()), ..OwnRun::default() };
        assert_eq!(run.uid(), Some("t-1"));
        assert_eq!(run.source().as_deref(), Some("/tekton/team/tasks/cloudevent-send"));
        assert_eq!(completed(&run, json!({})), json!({"namespace": "team"}));
    }

    #[test]
    fn what_the_data_says_itself_stays() {
        let data = json!({"namespace": "models", "run": {"name": "other"}});
        assert_eq!(
            completed(&of_a_pipeline(), data),
            json!({"namespace": "models", "run": {"uid": "p-1", "name": "other", "pipeline": "canary-release"}})
        );
        assert_eq!(completed(&of_a_pipeline(), json!({"run": 7}))["run"], 7);
    }
}
