//! What a gate was asked, by its TaskRun: there, Tekton has put the values in place of the params.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use kube::{Api, Client, api::DynamicObject};
use release_record::tekton::task_runs;
use serde_json::Value;

use super::running::{GATE, Running};

pub(super) struct Asked {
    pub(super) args: Vec<String>,
    pub(super) began: Option<Timestamp>,
}

/// Reads it once; of all others, no more is kept than how they went.
pub(super) async fn asked(client: &Client, gate: &Running) -> Result<Asked> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &gate.namespace, &task_runs());
    let what = || format!("failed to read TaskRun `{}/{}`", gate.namespace, gate.task_run);
    let task = api.get(&gate.task_run).await;
    let task = task.map_err(|error| anyhow::anyhow!(step::api_server::cause(&error)));
    read(&task.with_context(what)?.data).with_context(|| {
        format!("TaskRun `{}/{}` has no step `{GATE}`", gate.namespace, gate.task_run)
    })
}

fn read(task: &Value) -> Option<Asked> {
    let status = &task["status"];
    let mut steps = status["taskSpec"]["steps"].as_array()?.iter();
    let args = steps.find(|step| step["name"] == GATE)?["args"].as_array()?;
    Some(Asked {
        args: args.iter().filter_map(|arg| Some(arg.as_str()?.to_owned())).collect(),
        began: status["startTime"].as_str().and_then(|time| time.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gate_is_asked_what_its_step_is_and_from_when_it_began() {
        let step = |name: &str, args: &[&str]| json!({"name": name, "args": args});
        let steps = json!([
            step("release-record", &["gate"]),
            step(GATE, &["--query=up", "--when=value > 0"])
        ]);
        let task =
            json!({"status": {"startTime": "2026-11-24T06:07:00Z", "taskSpec": {"steps": steps}}});
        let asked = read(&task).unwrap();
        assert_eq!(asked.args, ["--query=up", "--when=value > 0"]);
        assert_eq!(asked.began.unwrap().to_string(), "2026-11-24T06:07:00Z");
        for other in [json!({}), json!({"status": {"taskSpec": {"steps": [step("a", &[])]}}})] {
            assert!(read(&other).is_none(), "{other}");
        }
    }
}
