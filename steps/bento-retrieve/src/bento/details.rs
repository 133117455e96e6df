//! What a person wants to know of a bento before using it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    bento::manifest::{Manifest, NoBento},
    bento::peek::Glance,
    bento::tag::Tag,
};

/// A bento's manifest, as a person reads it. Values of variables are left out: they may be secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Details {
    pub bento: String,
    pub name: String,
    pub version: String,
    /// As the manifest writes it: ISO 8601, UTC
    pub created: String,
    /// Version of BentoML that made it; empty where it does not say
    pub bentoml: String,
    /// Of its models, joined by commas
    pub framework: String,
    pub labels: BTreeMap<String, String>,
    pub service: String,
    pub python: String,
    pub base_image: String,
    pub models: Vec<Model>,
    pub routes: Vec<Route>,
    /// Names of its environment variables
    pub variables: Vec<String>,
    /// The whole manifest, without the values of variables
    #[serde(skip)]
    pub manifest: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    pub tag: String,
    pub module: String,
    pub framework_versions: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    pub path: String,
    /// Names of what it takes
    pub takes: Vec<String>,
}

impl Details {
    /// From what was seen of an archive.
    pub fn read(seen: &Glance) -> Result<Self, NoBento> {
        let tag = if seen.is_legacy {
            Manifest::parse_legacy(&seen.manifest)
        } else {
            Manifest::parse(&seen.manifest)
        }?
        .tag;
        let mut manifest: Value = parse(&seen.manifest);
        redact(&mut manifest);
        if let (false, Some(fields)) = (seen.is_legacy, manifest.as_object_mut()) {
            fields.insert("version".into(), tag.version.clone().into()); // which may look like a number: 1.10
        }
        Ok(if seen.is_legacy {
            Self::legacy(&tag, manifest)
        } else {
            Self::modern(&tag, manifest, &seen.models)
        })
    }

    fn modern(tag: &Tag, manifest: Value, texts: &BTreeMap<String, String>) -> Self {
        let image = &manifest["image"];
        let python = [&image["python_version"], &manifest["docker"]["python_version"]];
        let base = [&image["base_image"], &manifest["docker"]["base_image"]];
        let models = models(&manifest, texts);
        Self {
            bento: tag.to_string(),
            name: tag.name.clone(),
            version: tag.version.clone(),
            created: text(&manifest["creation_time"]),
            bentoml: text(&manifest["bentoml_version"]),
            framework: frameworks(models.iter().map(|model| model.module.as_str())),
            labels: map(&manifest["labels"]),
            service: text(&manifest["service"]),
            python: first(python),
            base_image: first(base),
            routes: routes(&manifest),
            variables: list(&manifest["envs"]).iter().map(|env| text(&env["name"])).collect(),
            models,
            manifest,
        }
    }

    fn legacy(tag: &Tag, manifest: Value) -> Self {
        let artifacts = list(&manifest["artifacts"]).iter();
        let models: Vec<_> = artifacts
            .map(|artifact| Model {
                tag: text(&artifact["name"]),
                module: text(&artifact["artifact_type"]),
                framework_versions: BTreeMap::new(),
                labels: BTreeMap::new(),
                metadata: map(&artifact["metadata"]),
            })
            .collect();
        let routes = list(&manifest["apis"]).iter().map(|api| {
            let route =
                [&api["route"], &api["name"]].into_iter().map(text).find(|route| !route.is_empty());
            Route {
                path: format!("/{}", route.unwrap_or_default().trim_start_matches('/')),
                takes: Vec::new(),
            }
        });
        Self {
            bento: tag.to_string(),
            name: tag.name.clone(),
            version: tag.version.clone(),
            created: text(&manifest["metadata"]["created_at"]),
            bentoml: text(&manifest["version"]),
            framework: frameworks(models.iter().map(|model| model.module.as_str())),
            labels: map(&manifest["metadata"]["labels"]),
            service: text(&manifest["metadata"]["service_name"]),
            python: text(&manifest["env"]["python_version"]),
            base_image: text(&manifest["env"]["docker_base_image"]),
            routes: routes.collect(),
            variables: Vec::new(),
            models,
            manifest,
        }
    }
}

fn parse(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_default()
}

/// `envs[].value`, and the same under `docker.env` and `env` of older manifests.
fn redact(manifest: &mut Value) {
    let hide = |value: &mut Value| {
        if !value.is_null() {
            *value = Value::from("(not shown)");
        }
    };
    for env in manifest.get_mut("envs").and_then(Value::as_array_mut).into_iter().flatten() {
        env.get_mut("value").map(hide);
    }
    if let Some(Value::Object(variables)) = manifest.pointer_mut("/docker/env") {
        variables.values_mut().for_each(hide);
    }
}

fn models(manifest: &Value, texts: &BTreeMap<String, String>) -> Vec<Model> {
    let services = list(&manifest["services"]).iter().flat_map(|service| list(&service["models"]));
    let mut models: Vec<Model> = Vec::new();
    for entry in list(&manifest["models"]).iter().chain(services) {
        let tag = text(&entry["tag"]);
        if models.iter().any(|model| model.tag == tag) {
            continue;
        }
        let described: Value = texts.get(&tag).map(|yaml| parse(yaml)).unwrap_or_default();
        models.push(Model {
            module: first([&entry["module"], &described["module"]]),
            framework_versions: map(&described["context"]["framework_versions"]),
            labels: map(&described["labels"]),
            metadata: map(&described["metadata"]),
            tag,
        });
    }
    models
}

fn routes(manifest: &Value) -> Vec<Route> {
    let new = list(&manifest["schema"]["routes"]).iter().map(|route| Route {
        path: text(&route["route"]),
        takes: route["input"]["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect(),
    });
    let old = list(&manifest["apis"]).iter().map(|api| Route {
        path: format!("/{}", text(&api["name"])),
        takes: vec![text(&api["input_type"])],
    });
    new.chain(old).collect()
}

/// `bentoml.sklearn` is scikit-learn to people, and `SklearnModelArtifact` was.
fn frameworks<'a>(modules: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = modules
        .map(|module| {
            module
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .trim_end_matches("ModelArtifact")
                .trim_end_matches("Artifact")
        })
        .map(str::to_lowercase)
        .filter(|name| !name.is_empty() && name != "model" && name != "models")
        .collect();
    names.sort();
    names.dedup();
    names.join(",")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn map(value: &Value) -> BTreeMap<String, String> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn first<const N: usize>(values: [&Value; N]) -> String {
    values.into_iter().map(text).find(|text| !text.is_empty()).unwrap_or_default()
}

/// As it is: whoever prints it makes it fit for a terminal.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
