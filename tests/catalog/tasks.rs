//! A Task passes what its step knows, uses what it declares, and runs restricted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    binaries::{flags, help_of, names_variable, required},
    faults::Faults,
    tree::*,
};

#[test]
fn a_step_knows_every_flag_that_its_task_passes() {
    let mut faults = Faults::default();
    for (task, spec) in tasks() {
        for step in steps(&spec) {
            let name = text(step, "/name");
            if FOREIGN_STEPS.contains(&name) {
                continue;
            }
            let here = format!("tasks/{task}, step {name}");
            let known = flags(&help_of_step(step));
            for (flag, value) in passed(&mut faults, &here, step) {
                let why = format!("`{name} --help` knows no flag `{flag}`");
                faults.unless(known.contains(&flag), &here, why);
                same_spelling(&mut faults, &here, &flag, &value);
            }
        }
    }
    faults.none();
}

#[test]
fn a_task_passes_every_flag_that_its_step_needs() {
    let mut faults = Faults::default();
    for (task, spec) in tasks() {
        for step in steps(&spec) {
            let name = text(step, "/name");
            if FOREIGN_STEPS.contains(&name) {
                continue;
            }
            let here = format!("tasks/{task}, step {name}");
            let help = help_of_step(step);
            let passed = passed(&mut Faults::default(), &here, step);
            for flag in required(&help) {
                let variables = strings_at(step, "/env", "/name");
                let by_variable =
                    variables.iter().any(|variable| names_variable(&help, &flag, variable));
                faults.unless(
                    passed.contains_key(&flag) || by_variable,
                    &here,
                    format!("`{name}` does not run without `{flag}`: pass it"),
                );
            }
            // Where steps of several binaries share a pod, the Task's results are those of the first.
            let first = steps(&spec).first().map(|first| crate_of(text(first, "/name")));
            let results = flags(&help).into_iter().filter(|_| first == Some(crate_of(name)));
            for result in
                results.filter_map(|flag| flag.strip_prefix("--result-").map(str::to_owned))
            {
                faults.unless(
                    passed.contains_key(&format!("--result-{result}")),
                    &here,
                    format!("declare result `{result}` and pass --result-{result}=$(results.{result}.path)"),
                );
            }
        }
    }
    faults.none();
}

#[test]
fn what_a_task_tells_of_the_pod_its_step_reads() {
    let mut faults = Faults::default();
    for (task, spec) in tasks() {
        for step in steps(&spec) {
            let name = text(step, "/name");
            if FOREIGN_STEPS.contains(&name) {
                continue;
            }
            let of_the_pod = |variable: &&Value| variable.pointer("/valueFrom/fieldRef").is_some();
            for variable in list(step.get("env")).iter().filter(of_the_pod) {
                let variable = text(variable, "/name");
                faults.unless(
                    help_of_step(step).contains(&format!("[env: {variable}]")),
                    format!("tasks/{task}, step {name}"),
                    format!("`{name} --help` has no flag that reads `{variable}`"),
                );
            }
        }
    }
    faults.none();
}

/// The help of what a step runs, a binary or a subcommand of one.
fn help_of_step(step: &Value) -> String {
    let command = strings(step.get("command"));
    help_of(&crate_of(text(step, "/name")), command.get(1..).unwrap_or_default())
}

/// A step's own `args`, and those that follow `--` and are another program's.
fn own_and_others(step: &Value) -> (Vec<String>, Vec<String>) {
    let mut own = strings(step.get("args"));
    let Some(end) = own.iter().position(|argument| argument == "--") else {
        return (own, Vec::new());
    };
    let others = own.split_off(end).split_off(1);
    (own, others)
}

/// The flags of a step's `args` with their values; an array that stands alone is left out.
fn passed(faults: &mut Faults, here: &str, step: &Value) -> BTreeMap<String, String> {
    let (args, others) = own_and_others(step);
    faults.unless(
        others.iter().all(|argument| is_whole_array(argument)),
        here,
        "after `--` stand arrays of params only",
    );
    let mut passed = BTreeMap::new();
    for (at, argument) in args.iter().enumerate() {
        let next_is_array = args.get(at + 1).is_some_and(|next| is_whole_array(next));
        match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => {
                passed.insert(flag.to_owned(), value.to_owned());
            }
            // `--field`, then `$(params.fields[*])`: the elements are words of their own.
            None if argument.starts_with("--") && next_is_array => {
                passed.insert(argument.clone(), String::new());
            }
            _ if is_whole_array(argument) => {}
            _ => faults.add(here, format!("write argument `{argument}` as --FLAG=VALUE")),
        }
    }
    passed
}

/// `--percent=$(params.percent)`, `--result-verdict=$(results.verdict.path)`; capitals are Tekton Chains'.
fn same_spelling(faults: &mut Faults, here: &str, flag: &str, value: &str) {
    for reference in references(value) {
        let parts: Vec<_> = reference.split('.').collect();
        match parts.as_slice() {
            // The prefix of the run that an event starts, by the name that Pipelines have for it.
            ["params", "promotion"] if flag == "--await-run" => {}
            ["params", param] if value == format!("$({reference})") => {
                faults.equal(here, &format!("flag of param `{param}`"), flag, format!("--{param}"));
            }
            ["results", result, "path"] => {
                faults.equal(
                    here,
                    &format!("flag of result `{result}`"),
                    flag,
                    format!("--result-{}", result.to_lowercase().replace('_', "-")),
                );
            }
            _ => {}
        }
    }
}

#[test]
fn what_a_task_declares_it_uses_and_what_it_uses_it_declares() {
    let mut faults = Faults::default();
    for (task, spec) in tasks() {
        let here = format!("tasks/{task}");
        let body = json!({"steps": spec["steps"], "stepTemplate": spec["stepTemplate"], "volumes": spec["volumes"]});
        let used = references_in(&body);
        let names = |prefix: &str| names_after(&used, prefix);
        faults.same(
            &here,
            "declared params",
            &declared(&spec, "params"),
            "params in use",
            &names("params"),
        );
        faults.same(
            &here,
            "declared results",
            &declared(&spec, "results"),
            "results in use",
            &names("results"),
        );
        faults.same(
            &here,
            "declared workspaces",
            &declared(&spec, "workspaces"),
            "workspaces in use",
            &names("workspaces"),
        );
    }
    faults.none();
}

#[test]
fn everything_declared_is_described() {
    let mut faults = Faults::default();
    for (here, object) in tasks_and_pipelines() {
        for what in ["params", "results", "workspaces"] {
            for one in list(object["spec"].get(what)) {
                let described = !text(one, "/description").trim().is_empty();
                faults.unless(
                    described,
                    &here,
                    format!("describe {what} `{}`", text(one, "/name")),
                );
            }
        }
    }
    faults.none();
}

#[test]
fn nothing_is_declared_or_passed_twice() {
    let mut faults = Faults::default();
    for (here, object) in tasks_and_pipelines() {
        let spec = &object["spec"];
        let calls = list(spec.get("tasks")).iter().chain(list(spec.get("finally")));
        for lists in std::iter::once(spec).chain(calls) {
            for what in ["params", "results", "workspaces"] {
                let mut seen = BTreeSet::new();
                for one in list(lists.get(what)) {
                    let name = text(one, "/name");
                    faults.unless(seen.insert(name), &here, format!("{what} has `{name}` twice"));
                }
            }
        }
    }
    faults.none();
}

#[test]
fn further_flags_come_last_so_that_they_win() {
    let mut faults = Faults::default();
    for (task, spec) in tasks() {
        let here = format!("tasks/{task}");
        let args =
            list(spec.get("params")).iter().find(|param| text(param, "/name") == "args").cloned();
        let Some(args) = args else {
            faults.add(&here, "declare a param `args` of type array with the default []");
            continue;
        };
        faults.unless(
            args["type"] == "array" && args["default"] == json!([]),
            &here,
            "param `args` is an array, by default []",
        );
        let last_param =
            list(spec.get("params")).last().map(|param| text(param, "/name").to_owned());
        faults.equal(&here, "the last param", last_param.as_deref().unwrap_or_default(), "args");
        let takes = |step: &&Value| {
            own_and_others(step).0.last().is_some_and(|last| last == "$(params.args[*])")
        };
        faults.unless(
            steps(&spec).iter().any(takes),
            &here,
            "end a step's args with `$(params.args[*])`",
        );
    }
    faults.none();
}

#[test]
fn every_step_is_restricted_small_and_without_a_script() {
    let mut faults = Faults::default();
    for (task, spec) in tasks() {
        for step in steps(&spec) {
            let name = text(step, "/name");
            let here = format!("tasks/{task}, step {name}");
            faults.unless(
                step.get("script").is_none(),
                &here,
                "no `script`: there is no shell in the image",
            );
            small(&mut faults, &here, "computeResources", step);
            let mut context =
                spec["stepTemplate"]["securityContext"].as_object().cloned().unwrap_or_default();
            context.extend(step["securityContext"].as_object().cloned().unwrap_or_default());
            restricted(&mut faults, &here, name, &Value::Object(context));
        }
    }
    faults.none();
}

/// Requests and a limit of memory, under the name that a step or a container has for them.
pub(crate) fn small(faults: &mut Faults, here: &str, field: &str, container: &Value) {
    for wanted in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
        let found = container.get(field).and_then(|resources| resources.pointer(wanted)).is_some();
        faults.unless(found, here, format!("set {field}{}", wanted.replace('/', ".")));
    }
}

/// Where a quota demands limits of CPU, runs that have none cannot tell how they end: these must.
pub(crate) fn limited(faults: &mut Faults, here: &str, container: &Value) {
    let is_limited = container.pointer("/resources/limits/cpu").is_some();
    faults.unless(is_limited, here, "set resources.limits.cpu");
}

/// The context of the *restricted* pod security standard, and a root that nobody writes to.
pub(crate) fn restricted(faults: &mut Faults, here: &str, name: &str, context: &Value) {
    for (field, wanted) in security(name) {
        let found = context.pointer(field).unwrap_or(&Value::Null);
        faults.equal(here, &format!("securityContext{}", field.replace('/', ".")), found, &wanted);
    }
}

fn security(step: &str) -> Vec<(&'static str, Value)> {
    let mut wanted = vec![
        ("/allowPrivilegeEscalation", json!(false)),
        ("/capabilities/drop", json!(["ALL"])),
        ("/seccompProfile/type", json!("RuntimeDefault")),
    ];
    if FOREIGN_STEPS.contains(&step) {
        // kaniko unpacks an image over its own root, as root.
        wanted.push(("/runAsUser", json!(0)));
    } else {
        wanted.extend([
            ("/runAsNonRoot", json!(true)),
            // The image's own, or the one that the platform gives: OpenShift's ranges refuse any other.
            ("/runAsUser", Value::Null),
            ("/readOnlyRootFilesystem", json!(true)),
        ]);
    }
    wanted
}

#[test]
fn a_task_runs_under_the_account_of_its_caller() {
    let mut faults = Faults::default();
    for (task, spec) in tasks() {
        let account = spec.get("serviceAccountName").is_some();
        faults.unless(
            !account,
            format!("tasks/{task}"),
            "a Task names no ServiceAccount: Pipelines and runs do",
        );
    }
    faults.none();
}
