//! A TaskRun by hand.

use serde_json::{Value, json};

/// Runs a Task with these params as this account, once it is created.
pub(crate) fn task_run(
    task: &str,
    account: &str,
    params: &[(&str, impl Into<Value> + Clone)],
) -> Value {
    let params = params.iter().cloned();
    let params: Vec<_> = params
        .map(|(name, value)| json!({ "name": name, "value": Into::<Value>::into(value) }))
        .collect();
    json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": { "generateName": format!("{task}-") },
        "spec": { "taskRef": { "name": task }, "serviceAccountName": account, "params": params },
    })
}
