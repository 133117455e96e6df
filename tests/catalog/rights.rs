//! The Roles of triggers/ are what the READMEs of the Tasks ask for, and no more.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{faults::Faults, tree::*};

#[test]
fn an_account_may_do_what_the_readmes_of_its_tasks_ask_for_and_no_more() {
    let mut faults = Faults::default();
    let accounts = [
        (
            "canary-releaser",
            ["canary-create", "canary-decide", "canary-promote", "canary-rollback"].as_slice(),
        ),
        ("canary-observer", &["cloudevent-send", "prometheus-gate"]),
    ];
    for (account, tasks) in accounts {
        let asked = tasks.iter().flat_map(|task| rights(&role_of_readme(task))).collect();
        let given = rights(&object("Role", account));
        let role = format!("triggers, Role {account}");
        faults.same(&role, "rights", &given, "rights of its Tasks' READMEs", &asked);
    }
    faults.none();
}

fn role_of_readme(task: &str) -> Value {
    let readme = read(&format!("tasks/{task}/README.md"));
    let role = readme.split("```").find(|text| text.contains("\nkind: Role\n"));
    let role = role.unwrap_or_else(|| panic!("tasks/{task}/README.md: there is no Role"));
    serde_saphyr::from_str(role.trim_start_matches("yaml\n"))
        .unwrap_or_else(|error| panic!("tasks/{task}/README.md: the Role is not valid: {error}"))
}

/// `VERB RESOURCE.GROUP` each.
fn rights(role: &Value) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for rule in list(role.get("rules")) {
        let [groups, resources, verbs] =
            ["apiGroups", "resources", "verbs"].map(|what| strings(rule.get(what)));
        for group in &groups {
            for resource in &resources {
                rights.extend(verbs.iter().map(|verb| format!("{verb} {resource}.{group}")));
            }
        }
    }
    rights
}
