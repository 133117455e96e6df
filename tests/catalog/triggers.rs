//! A Trigger starts its Pipeline with all it wants, under accounts that exist.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    binaries::{flags, help, help_of},
    calls::call,
    events::sent_events,
    faults::Faults,
    tasks::{limited, restricted, small},
    tree::*,
};

#[test]
fn a_trigger_hands_its_template_every_value_it_wants_and_no_other() {
    let mut faults = Faults::default();
    let mut wanted_of_settings = BTreeSet::new();
    let settings = values(&object("TriggerBinding", "settings"));
    for trigger in objects("Trigger") {
        let here = format!("triggers, Trigger {}", text(&trigger, "/metadata/name"));
        let template = object("TriggerTemplate", text(&trigger, "/spec/template/ref"));
        let wanted = declared(&template["spec"], "params");
        let mut given = BTreeSet::new();
        for binding in list(trigger["spec"].get("bindings")) {
            let bound = match text(binding, "/ref") {
                "" => [text(binding, "/name").to_owned()].into(),
                name => {
                    values(&object("TriggerBinding", name)).into_keys().collect::<BTreeSet<_>>()
                }
            };
            for name in bound.intersection(&given) {
                faults.add(&here, format!("`{name}` is bound twice, which Triggers refuses"));
            }
            given.extend(bound);
        }
        let missing: Vec<_> = wanted.difference(&given).collect();
        faults.unless(missing.is_empty(), &here, format!("its bindings lack {missing:?}"));
        let useless: Vec<_> =
            given.difference(&wanted).filter(|name| !settings.contains_key(*name)).collect();
        faults.unless(useless.is_empty(), &here, format!("its template does not want {useless:?}"));
        wanted_of_settings.extend(wanted);
    }
    let idle: Vec<_> = settings.keys().filter(|name| !wanted_of_settings.contains(*name)).collect();
    faults.unless(idle.is_empty(), "triggers/settings.yaml", format!("no template wants {idle:?}"));
    faults.none();
}

#[test]
fn a_template_starts_its_pipeline_as_it_is_declared() {
    let mut faults = Faults::default();
    for template in objects("TriggerTemplate") {
        let here = format!("triggers, TriggerTemplate {}", text(&template, "/metadata/name"));
        let used = references_in(&template["spec"]["resourcetemplates"]);
        let used = names_after(&used, "tt.params");
        faults.same(
            &here,
            "declared params",
            &declared(&template["spec"], "params"),
            "params in use",
            &used,
        );
        for run in list(template["spec"].get("resourcetemplates")) {
            let name = text(run, "/metadata/name");
            let prefix = name.split("$(").next().unwrap_or_default();
            faults.unless(
                name.ends_with("-$(tt.params.name)") && prefix.len() <= 63 - 36,
                &here,
                "name the run PREFIX-$(tt.params.name), the prefix of at most 27 characters",
            );
            for label in ["service", "version", "correlation-id", "event"] {
                let label = format!("kanaria.dev/{label}");
                let set = run["metadata"]["labels"].get(&label).is_some();
                faults.unless(set, &here, format!("set the label {label}"));
            }
            for annotation in ["causation-id", "chainhops"] {
                let annotation = format!("kanaria.dev/{annotation}");
                let set = run["metadata"]["annotations"].get(&annotation).is_some();
                faults.unless(set, &here, format!("set the annotation {annotation}"));
            }
            let Some(spec) = pipeline_of(run) else {
                let called = text(run, "/spec/pipelineRef/name");
                let why = format!("pipelineRef names no Pipeline of this catalog: `{called}`");
                faults.add(&here, why);
                continue;
            };
            call(&mut faults, &here, &run["spec"], &spec);
            accounts(&mut faults, &here, run, &spec);
            for limit in ["pipeline", "tasks", "finally"] {
                let set = run["spec"]["timeouts"].get(limit).is_some();
                faults.unless(
                    set,
                    &here,
                    format!("set timeouts.{limit}, so that `finally` has its time"),
                );
            }
        }
    }
    faults.none();
}

/// Each task of a run has the account with the rights of its Task, and no more.
fn accounts(faults: &mut Faults, here: &str, run: &Value, spec: &Value) {
    let usual = text(run, "/spec/taskRunTemplate/serviceAccountName");
    let special: BTreeMap<_, _> = list(run["spec"].get("taskRunSpecs"))
        .iter()
        .map(|one| (text(one, "/pipelineTaskName"), text(one, "/serviceAccountName")))
        .collect();
    for task in pipeline_tasks(spec) {
        let name = text(task, "/name");
        let account =
            special.get(name).copied().filter(|account| !account.is_empty()).unwrap_or(usual);
        faults.equal(
            here,
            &format!("account of `{name}`"),
            account,
            account_of(text(task, "/taskRef/name")),
        );
    }
    for name in special.keys() {
        let known = pipeline_tasks(spec).iter().any(|task| text(task, "/name") == *name);
        faults.unless(known, here, format!("taskRunSpecs names no task of the Pipeline: `{name}`"));
    }
}

fn account_of(task: &str) -> &'static str {
    match task {
        "bento-build" | "bento-image" | "bento-retrieve" => "canary-builder",
        "canary-create" | "canary-decide" | "canary-promote" | "canary-rollback" => {
            "canary-releaser"
        }
        _ => "canary-observer",
    }
}

#[test]
fn every_account_in_use_exists() {
    let mut faults = Faults::default();
    let accounts: BTreeSet<_> = objects("ServiceAccount")
        .iter()
        .map(|account| text(account, "/metadata/name").to_owned())
        .collect();
    let mut places: Vec<_> = trigger_files().into_iter().collect();
    for (folder, name) in ["tasks", "pipelines"]
        .iter()
        .flat_map(|folder| folders(folder).into_iter().map(move |name| (folder, name)))
    {
        places.extend(files(&format!("{folder}/{name}/samples"), "yaml"));
    }
    for file in places {
        for document in documents(&file) {
            for account in found_at_key(&document, "serviceAccountName") {
                faults.unless(
                    accounts.contains(&account),
                    &file,
                    format!("there is no ServiceAccount `{account}`"),
                );
            }
        }
    }
    faults.none();
}

#[test]
fn the_listener_serves_every_trigger_and_exact_types_only() {
    let mut faults = Faults::default();
    let listener = object("EventListener", "canary");
    let selector =
        &listener["spec"]["triggerGroups"][0]["triggerSelector"]["labelSelector"]["matchLabels"];
    for trigger in objects("Trigger") {
        let here = format!("triggers, Trigger {}", text(&trigger, "/metadata/name"));
        for (name, value) in selector.as_object().into_iter().flatten() {
            faults.equal(
                &here,
                &format!("label {name}"),
                &trigger["metadata"]["labels"][name],
                value,
            );
        }
        let filter = trigger.to_string();
        // A prefix also matches what the pipelines themselves send: a loop.
        faults.unless(!filter.contains("type.startsWith"), &here, "compare types by `==`");
    }
    // Types that lead to a run, and the types that this run's own Pipeline sends. What leads from rung to rung is
    // sent by a Task of it, with weights that ascend.
    for trigger in objects("Trigger") {
        let name = text(&trigger, "/metadata/name");
        let template = object("TriggerTemplate", text(&trigger, "/spec/template/ref"));
        let runs = list(template["spec"].get("resourcetemplates")).iter();
        let sent = runs.filter_map(pipeline_of).flat_map(|spec| sent_events(&spec));
        for (_, ty, _) in sent {
            faults.unless(
                !wanted_types(&trigger).contains(&ty),
                format!("triggers, Trigger {name}"),
                format!("it wants `{ty}`, which its own run sends: a loop"),
            );
        }
    }
    faults.none();
}

/// The types that a Trigger's filter compares with.
fn wanted_types(trigger: &Value) -> Vec<String> {
    let filters = found_at_key(trigger, "value");
    let quoted = filters.iter().flat_map(|filter| filter.split('\'').skip(1).step_by(2));
    quoted.map(str::to_owned).collect()
}

#[test]
fn a_type_that_starts_a_run_has_a_schema_and_starts_one() {
    let mut faults = Faults::default();
    let schemas = files("triggers/schemas", "json").into_iter().map(|file| {
        serde_json::from_str::<Value>(&read(&file))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
    });
    let titles: BTreeSet<_> = schemas.map(|schema| text(&schema, "/title").to_owned()).collect();
    let mut seen = BTreeSet::new();
    for trigger in objects("Trigger") {
        let here = format!("triggers, Trigger {}", text(&trigger, "/metadata/name"));
        let types = wanted_types(&trigger);
        faults.unless(!types.is_empty(), &here, "its filter names no type");
        let exact: Vec<_> =
            types.iter().map(|ty| format!("extensions.event.type == '{ty}'")).collect();
        faults.equal(&here, "filter", found_at_key(&trigger, "value").join(""), exact.join(" || "));
        for ty in types {
            faults.unless(titles.contains(&ty), &here, format!("no schema has the title `{ty}`"));
            let why = format!("another Trigger wants `{ty}` too: two runs for one event");
            faults.unless(seen.insert(ty), &here, why);
        }
    }
    faults.none();
}

/// A filter and a binding that read what is not there fail after the sender has its 202.
#[test]
fn triggers_read_what_the_interceptor_hands_over_and_nothing_else() {
    let mut faults = Faults::default();
    let help = help("cloudevent-interceptor");
    let fields: BTreeSet<_> = help
        .lines()
        .skip_while(|line| !line.starts_with("Fields of `extensions.event`"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .flat_map(str::split_whitespace)
        .filter(|word| !word.starts_with('('))
        .collect();
    for binding in objects("TriggerBinding") {
        let here = format!("triggers, TriggerBinding {}", text(&binding, "/metadata/name"));
        for reference in references_in(&binding["spec"]) {
            let field = reference.strip_prefix("extensions.event.").unwrap_or_default();
            faults.unless(
                fields.contains(field),
                &here,
                format!("`{reference}` is no field that `cloudevent-interceptor --help` lists"),
            );
        }
    }
    for trigger in objects("Trigger") {
        let here = format!("triggers, Trigger {}", text(&trigger, "/metadata/name"));
        let filters =
            found_at_key(&trigger, "name").iter().filter(|name| *name == "filter").count();
        let values = found_at_key(&trigger, "value");
        let one = filters == 1
            && values.len() == 1
            && values[0].starts_with("extensions.event.type == '");
        faults.unless(one, &here, "one filter, on extensions.event.type: Rust checks the rest");
    }
    faults.none();
}

#[test]
fn a_service_is_started_with_flags_it_knows_restricted_and_watched() {
    let mut faults = Faults::default();
    for (name, container) in served() {
        let here = format!("triggers, Deployment {name}");
        let subcommand: Vec<String> =
            strings(container.get("command")).into_iter().skip(1).collect();
        let known = flags(&help_of(&name, &subcommand));
        for argument in strings(container.get("args")) {
            let flag = argument.split_once('=').map(|(flag, _)| flag).unwrap_or_default();
            faults.unless(
                known.contains(flag),
                &here,
                format!("write `{argument}` as --FLAG=VALUE, a flag of `{name} --help`"),
            );
        }
        small(&mut faults, &here, "resources", &container);
        limited(&mut faults, &here, &container);
        restricted(&mut faults, &here, &name, &container["securityContext"]);
        for probe in ["readinessProbe", "livenessProbe"] {
            faults.unless(container.get(probe).is_some(), &here, format!("set a {probe}"));
        }
    }
    faults.none();
}

#[test]
fn no_object_names_a_namespace() {
    let mut faults = Faults::default();
    let mut places: Vec<_> = trigger_files().into_iter().collect();
    for (folder, name) in ["tasks", "pipelines"]
        .iter()
        .flat_map(|folder| folders(folder).into_iter().map(move |name| (folder, name)))
    {
        places.push(format!("{folder}/{name}/{name}.yaml"));
        places.extend(files(&format!("{folder}/{name}/samples"), "yaml"));
    }
    for file in places {
        for document in documents(&file) {
            let named = document.pointer("/metadata/namespace").is_some()
                || list(document.get("subjects"))
                    .iter()
                    .any(|subject| subject.get("namespace").is_some());
            faults.unless(!named, &file, "leave the namespace to `kubectl -n`");
        }
    }
    faults.none();
}

#[test]
fn kustomize_installs_every_file_of_the_catalog() {
    let mut faults = Faults::default();
    let listed = |file: &str| -> BTreeSet<String> {
        strings(documents(file)[0].get("resources")).into_iter().collect()
    };
    for folder in ["tasks", "pipelines"] {
        let wanted = folders(folder).into_iter().map(|name| format!("{name}/{name}.yaml"));
        let file = format!("{folder}/kustomization.yaml");
        faults.same(&file, "resources", &listed(&file), "files below it", &wanted.collect());
    }
    let file = "triggers/kustomization.yaml";
    let wanted = trigger_files().into_iter();
    let wanted = wanted.map(|file| file.trim_start_matches("triggers/").to_owned()).collect();
    faults.same(file, "resources", &listed(file), "files beside it", &wanted);
    let wanted = ["tasks", "pipelines", "triggers"].map(str::to_owned).into();
    faults.same(
        "kustomization.yaml",
        "resources",
        &listed("kustomization.yaml"),
        "folders",
        &wanted,
    );
    faults.none();
}
