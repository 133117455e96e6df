//! A Pipeline calls Tasks as they are, and refers to what exists.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{calls::call, faults::Faults, tree::*};

/// `release-UUID-NAME` has at most 63 characters, else Tekton replaces its end by a hash.
const LONGEST_TASK_NAME: usize = 63 - "release-".len() - 36 - "-".len();

#[test]
fn a_pipeline_calls_its_tasks_as_they_are_declared() {
    let mut faults = Faults::default();
    for (place, spec) in all_pipelines() {
        for task in pipeline_tasks(&spec) {
            let here = format!("{place}, task {}", text(task, "/name"));
            for called in may_call(task) {
                match tasks().get(called) {
                    Some(task_spec) => call(&mut faults, &here, task, task_spec),
                    None => {
                        faults.add(
                            &here,
                            format!("taskRef names no Task of this catalog: `{called}`"),
                        );
                    }
                }
            }
            faults.unless(
                task.get("timeout").is_some(),
                &here,
                "set a timeout, so that `finally` has its time",
            );
        }
    }
    faults.none();
}

/// The Task that a task of a Pipeline names, and the one that a site may put in its place; none where it
/// brings its own along.
fn may_call(task: &Value) -> Vec<&str> {
    match text(task, "/taskRef/name") {
        "" if task.get("taskSpec").is_some() => vec![],
        "bento-build" => vec!["bento-build", "bento-image"],
        called => vec![called],
    }
}

#[test]
fn a_pipeline_refers_to_what_exists_and_uses_what_it_declares() {
    let mut faults = Faults::default();
    for (here, spec) in all_pipelines() {
        let used = references_in(&without_task_specs(&spec));
        faults.same(
            &here,
            "declared params",
            &declared(&spec, "params"),
            "params in use",
            &names_after(&used, "params"),
        );
        let bound: BTreeSet<_> = pipeline_tasks(&spec)
            .iter()
            .flat_map(|task| strings_at(task, "/workspaces", "/workspace"))
            .collect();
        faults.same(
            &here,
            "declared workspaces",
            &declared(&spec, "workspaces"),
            "workspaces in use",
            &bound,
        );
        let by_name: BTreeMap<_, _> = list(spec.get("tasks"))
            .iter()
            .map(|task| (text(task, "/name"), may_call(task)))
            .collect();
        for reference in &used {
            match reference.split('.').collect::<Vec<_>>().as_slice() {
                ["tasks", task, "status" | "reason"] => {
                    faults.unless(
                        by_name.contains_key(task),
                        &here,
                        format!("`{reference}`: no such task"),
                    );
                }
                ["tasks", task, "results", result] => {
                    let has = |called: &&str| {
                        tasks()
                            .get(*called)
                            .is_some_and(|called| declared(called, "results").contains(*result))
                    };
                    let known = by_name.get(task).is_some_and(|called| called.iter().all(has));
                    faults.unless(
                        known,
                        &here,
                        format!("`{reference}`: that task has no such result"),
                    );
                }
                ["tasks", "status"] | ["params" | "context", ..] | ["tt", "params", _] => {}
                _ => faults.add(&here, format!("`{reference}` is nothing that a Pipeline knows")),
            }
        }
    }
    faults.none();
}

/// What a Pipeline itself reads: a Task that it brings along has params of its own.
fn without_task_specs(spec: &Value) -> Value {
    let own = |list_of: &str| -> Vec<Value> {
        let tasks = list(spec.get(list_of)).iter().cloned();
        tasks
            .map(|mut task| {
                task.as_object_mut().and_then(|task| task.remove("taskSpec"));
                task
            })
            .collect()
    };
    json!({"tasks": own("tasks"), "finally": own("finally"), "results": spec["results"]})
}

#[test]
fn a_pipeline_names_its_results_and_tasks_as_tekton_wants_them() {
    let mut faults = Faults::default();
    for (here, spec) in all_pipelines() {
        for result in list(spec.get("results")) {
            let value = text(result, "/value");
            let one = references(value).first().is_some_and(|only| value == format!("$({only})"));
            let change =
                format!("result `{}` is one result of a task, as it is", text(result, "/name"));
            faults.unless(one, &here, change);
        }
        for task in pipeline_tasks(&spec) {
            let name = text(task, "/name");
            let short = name.len() <= LONGEST_TASK_NAME;
            let change = format!("shorten the name `{name}` to {LONGEST_TASK_NAME} characters");
            faults.unless(short, &here, change);
        }
    }
    faults.none();
}

/// Tekton 1.15 waits forever for a task behind one whose `when` reads a result that was never
/// written, and then `finally` never starts. Only a task that may fail and go on leaves none.
#[test]
fn no_task_stands_behind_one_that_may_lack_a_result() {
    let mut faults = Faults::default();
    for (here, spec) in all_pipelines() {
        let tasks = list(spec.get("tasks"));
        let of = |name: &str| format!("tasks.{name}.results.");
        let reads = |task: &Value, name: &str| {
            references_in(task).iter().any(|reference| reference.starts_with(&of(name)))
        };
        let may_lack: Vec<_> = tasks
            .iter()
            .filter(|task| task["onError"] == "continue")
            .flat_map(|gate| tasks.iter().filter(|task| reads(task, text(gate, "/name"))))
            .map(|task| text(task, "/name"))
            .collect();
        for task in tasks {
            let after = strings(task.get("runAfter"));
            for name in &may_lack {
                let free = !after.iter().any(|before| before == name) && !reads(task, name);
                let change = format!("move `{}` to `finally`", text(task, "/name"));
                faults.unless(free, format!("{here}, task {name}"), change);
            }
        }
    }
    faults.none();
}

/// Tekton ends such a run after an hour, and what `finally` has not done by then is left to the sweep.
#[test]
fn a_run_without_timeouts_has_time_for_its_finally() {
    let mut faults = Faults::default();
    let minutes = |task: &Value| -> u32 {
        let number = text(task, "/timeout").strip_suffix('m').and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("timeout of `{}` in minutes", text(task, "/name")))
    };
    for (pipeline, spec) in specs("pipelines") {
        let (alternatives, always): (Vec<_>, Vec<_>) =
            list(spec.get("tasks")).iter().partition(|task| task.get("when").is_some());
        let longest = |tasks: Vec<&Value>| tasks.into_iter().map(minutes).max().unwrap_or(0);
        let always: u32 = always.into_iter().map(minutes).sum();
        let finally = longest(list(spec.get("finally")).iter().collect());
        let whole = always + longest(alternatives) + finally;
        let change =
            format!("its tasks and `finally` have {whole} minutes of 60: shorten timeouts");
        faults.unless(whole < 60, format!("pipelines/{pipeline}"), change);
    }
    faults.none();
}

/// A `finally` task that reads a result which was never written is skipped: the canary would stay.
#[test]
fn the_last_rollback_depends_on_statuses_only() {
    let spec = specs("pipelines").remove("canary-promotion").expect("pipelines/canary-promotion");
    let rollback =
        list(spec.get("finally")).iter().find(|task| task["taskRef"]["name"] == "canary-rollback");
    let used = references_in(rollback.expect("a canary-rollback in `finally`"));
    let results: Vec<_> = used.iter().filter(|reference| reference.contains(".results.")).collect();
    assert!(
        results.is_empty(),
        "pipelines/canary-promotion: `finally` must roll back without {results:?}"
    );
}

#[test]
fn a_pipeline_names_no_image_and_no_site() {
    let mut faults = Faults::default();
    for folder in ["tasks", "pipelines"] {
        for name in folders(folder) {
            let here = format!("{folder}/{name}/{name}.yaml");
            for object in documents(&here) {
                for param in list(object["spec"].get("params")) {
                    let default = param.get("default").map(Value::to_string).unwrap_or_default();
                    let site = [".local:", "s3://", "example."]
                        .iter()
                        .find(|word| default.contains(*word));
                    faults.unless(
                        site.is_none(),
                        &here,
                        format!(
                            "default of `{}` is a site's: it belongs into triggers/settings.yaml",
                            text(param, "/name")
                        ),
                    );
                }
                let image = folder == "pipelines" && object.to_string().contains("ghcr.io");
                faults.unless(!image, &here, "a Pipeline knows Tasks, not their images");
            }
        }
    }
    faults.none();
}
