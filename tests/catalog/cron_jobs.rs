//! What runs beside the Triggers by the clock: steps, restricted as in a Task, with flags that they know.

use serde_json::Value;

use crate::{
    binaries::{flags, help_of},
    faults::Faults,
    tasks::{limited, restricted, small},
    tree::*,
};

/// The pod of each `CronJob`, with its name.
fn scheduled() -> Vec<(String, Value)> {
    let pod = |job: &Value| {
        let spec = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        (text(job, "/metadata/name").to_owned(), spec.clone())
    };
    objects("CronJob").iter().map(pod).collect()
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod.get("initContainers")).iter().chain(list(pod.get("containers")))
}

#[test]
fn the_listener_and_the_cron_jobs_are_restricted_small_and_run_where_a_quota_demands_limits() {
    let mut faults = Faults::default();
    let listener = object("EventListener", "canary");
    let pod = &listener["spec"]["resources"]["kubernetesResource"]["spec"]["template"]["spec"];
    let listener = ("EventListener canary".to_owned(), pod.clone());
    for (name, pod) in scheduled().into_iter().chain([listener]) {
        for container in containers(&pod) {
            let here = format!("triggers, {name}, container {}", text(container, "/name"));
            small(&mut faults, &here, "resources", container);
            limited(&mut faults, &here, container);
            let mut context = pod["securityContext"].as_object().cloned().unwrap_or_default();
            context.extend(container["securityContext"].as_object().cloned().unwrap_or_default());
            let name = text(container, "/name");
            restricted(&mut faults, &here, name, &Value::Object(context));
        }
    }
    faults.none();
}

/// A step also works outside of Tasks: then a container has its name, its image, and flags that it knows.
#[test]
fn a_cron_job_runs_steps_by_their_names_with_flags_they_know() {
    let mut faults = Faults::default();
    let steps = crates("steps");
    for (job, pod) in scheduled() {
        faults.equal(&job, "serviceAccountName", text(&pod, "/serviceAccountName"), &job);
        for container in containers(&pod) {
            let name = text(container, "/name");
            let here = format!("triggers, CronJob {job}, container {name}");
            faults.unless(steps.contains(name), &here, format!("no crate `steps/{name}`"));
            let image = format!("ghcr.io/kanaria/{name}:{}", env!("CARGO_PKG_VERSION"));
            faults.equal(&here, "image", text(container, "/image"), image);
            let command = strings(container.get("command"));
            let (binary, subcommand) = command.split_first().expect("a command");
            faults.equal(&here, "command", binary, format!("/{name}"));
            let known = flags(&help_of(name, subcommand));
            let variables = strings_at(container, "/env", "/name");
            for argument in strings(container.get("args")) {
                let flag = argument.split('=').next().unwrap_or_default();
                let why = format!("write `{argument}` as a flag of `{}`", command.join(" "));
                faults.unless(known.contains(flag), &here, why);
                for variable in references(&argument) {
                    let is_set = variables.contains(&variable);
                    faults.unless(is_set, &here, format!("set the variable `{variable}`"));
                }
            }
        }
    }
    faults.none();
}
