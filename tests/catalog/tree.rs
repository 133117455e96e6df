//! The repository and its YAML, as values.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A step that is not ours: kaniko's executor.
pub(crate) const FOREIGN_STEPS: [&str; 1] = ["kaniko"];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_default()
}

/// Folder names below this one, in order.
pub(crate) fn folders(path: &str) -> Vec<String> {
    entries(path)
        .filter(|entry| entry.is_dir())
        .filter_map(|entry| Some(entry.file_name()?.to_str()?.to_owned()))
        .collect()
}

/// Files below this folder with this extension, from the root, in order.
pub(crate) fn files(path: &str, extension: &str) -> Vec<String> {
    entries(path)
        .filter(|entry| entry.extension().is_some_and(|end| end == extension))
        .filter_map(|entry| Some(entry.strip_prefix(root()).ok()?.to_str()?.to_owned()))
        .collect()
}

fn entries(path: &str) -> impl Iterator<Item = PathBuf> {
    let mut found: Vec<_> = fs::read_dir(root().join(path))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    found.sort();
    found.into_iter()
}

pub(crate) fn documents(file: &str) -> Vec<Value> {
    let text = read(file);
    let all = serde_saphyr::from_multiple::<Value>(&text)
        .unwrap_or_else(|error| panic!("failed to parse {file}: {error}"));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

/// Crates with a binary: `steps` run in Tasks, `services` in Deployments.
pub(crate) fn crates(folder: &str) -> BTreeSet<String> {
    let binary = |name: &String| root().join(folder).join(name).join("src/main.rs").is_file();
    folders(folder).into_iter().filter(binary).collect()
}

/// The crate of a Task's step. A Task that runs a step twice calls it `CRATE-WHY`.
pub(crate) fn crate_of(step: &str) -> String {
    let found = crates("steps").into_iter().filter(|name| {
        step.strip_prefix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    found.max_by_key(String::len).unwrap_or_else(|| step.to_owned())
}

/// Every container of a Deployment in triggers/, with the Deployment's name.
pub(crate) fn served() -> Vec<(String, Value)> {
    let containers = |deployment: &Value| {
        let name = text(deployment, "/metadata/name").to_owned();
        list(deployment.pointer("/spec/template/spec/containers"))
            .iter()
            .map(move |container| (name.clone(), container.clone()))
            .collect::<Vec<_>>()
    };
    objects("Deployment").iter().flat_map(containers).collect()
}

pub(crate) fn dockerfile_targets() -> BTreeSet<String> {
    read("Dockerfile")
        .lines()
        .filter_map(|line| line.strip_prefix("FROM scratch AS "))
        .map(|name| name.trim().to_owned())
        .collect()
}

/// The specs of all Tasks or Pipelines by name.
pub(crate) fn specs(folder: &str) -> BTreeMap<String, Value> {
    let spec = |name: &String| {
        documents(&format!("{folder}/{name}/{name}.yaml"))
            .first()
            .map(|object| object["spec"].clone())
    };
    folders(folder).into_iter().filter_map(|name| Some((name.clone(), spec(&name)?))).collect()
}

/// Every Pipeline, and every one that a trigger or a sample brings along in a run, with where it stands.
pub(crate) fn all_pipelines() -> Vec<(String, Value)> {
    let samples = folders("pipelines").into_iter();
    let samples = samples.flat_map(|name| files(&format!("pipelines/{name}/samples"), "yaml"));
    let embedded = trigger_files().into_iter().chain(samples).flat_map(|file| {
        let found = documents(&file).iter().flat_map(embedded_pipelines).collect::<Vec<_>>();
        found.into_iter().map(move |spec| (file.clone(), spec))
    });
    let named = specs("pipelines").into_iter();
    named.map(|(name, spec)| (format!("pipelines/{name}"), spec)).chain(embedded).collect()
}

fn embedded_pipelines(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, inner)| match name.as_str() {
                "pipelineSpec" => vec![inner.clone()],
                _ => embedded_pipelines(inner),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(embedded_pipelines).collect(),
        _ => Vec::new(),
    }
}

/// The Pipeline that a run brings along, or names.
pub(crate) fn pipeline_of(run: &Value) -> Option<Value> {
    match run.pointer("/spec/pipelineSpec") {
        Some(spec) => Some(spec.clone()),
        None => specs("pipelines").remove(text(run, "/spec/pipelineRef/name")),
    }
}

pub(crate) fn tasks() -> BTreeMap<String, Value> {
    specs("tasks")
}

/// Folder and object of every Task and Pipeline.
pub(crate) fn tasks_and_pipelines() -> Vec<(String, Value)> {
    let of = |folder: &'static str| {
        folders(folder).into_iter().filter_map(move |name| {
            let object = documents(&format!("{folder}/{name}/{name}.yaml")).into_iter().next()?;
            Some((format!("{folder}/{name}"), object))
        })
    };
    of("tasks").chain(of("pipelines")).collect()
}

pub(crate) fn trigger_files() -> Vec<String> {
    files("triggers", "yaml")
        .into_iter()
        .filter(|file| !file.ends_with("kustomization.yaml"))
        .collect()
}

pub(crate) fn objects(kind: &str) -> Vec<Value> {
    trigger_files()
        .iter()
        .flat_map(|file| documents(file))
        .filter(|object| object["kind"] == kind)
        .collect()
}

pub(crate) fn object(kind: &str, name: &str) -> Value {
    let found = objects(kind).into_iter().find(|object| object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("triggers: there is no {kind} `{name}`"))
}

pub(crate) fn values(binding: &Value) -> BTreeMap<String, String> {
    list(binding["spec"].get("params"))
        .iter()
        .map(|param| (text(param, "/name").to_owned(), text(param, "/value").to_owned()))
        .collect()
}

pub(crate) fn steps(spec: &Value) -> Vec<&Value> {
    list(spec.get("steps")).iter().collect()
}

pub(crate) fn pipeline_tasks(spec: &Value) -> Vec<&Value> {
    list(spec.get("tasks")).iter().chain(list(spec.get("finally"))).collect()
}

pub(crate) fn declared(spec: &Value, what: &str) -> BTreeSet<String> {
    list(spec.get(what)).iter().map(|one| text(one, "/name").to_owned()).collect()
}

pub(crate) fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn label<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["labels"][name].as_str().unwrap_or_default()
}

pub(crate) fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["annotations"][name].as_str().unwrap_or_default()
}

pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    list(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(crate) fn strings_at(value: &Value, items: &str, pointer: &str) -> Vec<String> {
    list(value.pointer(items))
        .iter()
        .map(|item| text(item, pointer).to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}

pub(crate) fn found_at_key(value: &Value, key: &str) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, inner)| match inner.as_str() {
                Some(text) if name == key => vec![text.to_owned()],
                _ => found_at_key(inner, key),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| found_at_key(item, key)).collect(),
        _ => Vec::new(),
    }
}

/// What stands in `$(…)`, without an index: `params.args` of `$(params.args[*])`.
pub(crate) fn references(text: &str) -> Vec<String> {
    text.split("$(")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(inside, _)| inside.split('[').next().unwrap_or_default().to_owned())
        .collect()
}

pub(crate) fn references_in(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => references(text).into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(references_in).collect(),
        Value::Object(fields) => fields.values().flat_map(references_in).collect(),
        _ => BTreeSet::new(),
    }
}

/// The names that follow a prefix: `verdict` of `results.verdict.path` after `results`.
pub(crate) fn names_after(references: &BTreeSet<String>, prefix: &str) -> BTreeSet<String> {
    references
        .iter()
        .filter_map(|reference| reference.strip_prefix(prefix)?.strip_prefix('.'))
        .filter_map(|rest| rest.split('.').next())
        .map(str::to_owned)
        .collect()
}

pub(crate) fn is_whole_array(argument: &str) -> bool {
    argument.starts_with("$(params.") && argument.ends_with("[*])")
}
