//! What a Task or Pipeline is called with, against what it declares.

use serde_json::Value;

use crate::{faults::Faults, tree::*};

/// Params and workspaces of a call, against what the called Task or Pipeline declares.
pub(crate) fn call(faults: &mut Faults, here: &str, call: &Value, spec: &Value) {
    let params = list(spec.get("params"));
    for given in list(call.get("params")) {
        let name = text(given, "/name");
        let Some(param) = params.iter().find(|param| param["name"] == name) else {
            faults.add(here, format!("param `{name}` is not declared: remove it"));
            continue;
        };
        let array = param["type"] == "array";
        faults.unless(
            given["value"].is_array() == array,
            here,
            format!("param `{name}` has the wrong type"),
        );
    }
    for param in params.iter().filter(|param| param.get("default").is_none()) {
        let name = text(param, "/name");
        let given = list(call.get("params")).iter().any(|given| given["name"] == name);
        faults.unless(given, here, format!("param `{name}` has no default: pass it"));
    }
    let workspaces = list(spec.get("workspaces"));
    for given in list(call.get("workspaces")) {
        let name = text(given, "/name");
        let known = workspaces.iter().any(|workspace| workspace["name"] == name);
        faults.unless(known, here, format!("workspace `{name}` is not declared: remove it"));
    }
    for workspace in workspaces.iter().filter(|workspace| workspace["optional"] != true) {
        let name = text(workspace, "/name");
        let given = list(call.get("workspaces")).iter().any(|given| given["name"] == name);
        faults.unless(given, here, format!("workspace `{name}` is not optional: pass it"));
    }
}
