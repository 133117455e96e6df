//! What a person wants to know of a bento before using it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::bento::{
    manifest::{BentoError, Manifest},
    peek::ManifestFiles,
    tag::Tag,
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
    /// From what a peek into an archive found.
    pub fn read(files: &ManifestFiles) -> Result<Self, BentoError> {
        let is_legacy = files.is_legacy;
        let parse_manifest = if is_legacy { Manifest::parse_legacy } else { Manifest::parse };
        let Tag { name, version } = parse_manifest(&files.manifest)?.tag;
        let mut manifest: Value = parse(&files.manifest);
        redact(&mut manifest);
        if let (false, Some(fields)) = (is_legacy, manifest.as_object_mut()) {
            fields.insert("version".into(), version.clone().into()); // which may look like a number: 1.10
        }
        let metadata = if is_legacy { &manifest["metadata"] } else { &manifest };
        let (image, docker, env) = (&manifest["image"], &manifest["docker"], &manifest["env"]);
        let field =
            |modern: &str, legacy: &str| text(&metadata[if is_legacy { legacy } else { modern }]);
        let models =
            if is_legacy { artifacts(&manifest) } else { models(&manifest, &files.models) };
        Ok(Self {
            bento: format!("{name}:{version}"),
            created: field("creation_time", "created_at"),
            bentoml: text(&manifest[if is_legacy { "version" } else { "bentoml_version" }]),
            framework: frameworks(models.iter().map(|model| model.module.as_str())),
            labels: map(&metadata["labels"]),
            service: field("service", "service_name"),
            python: first([
                &image["python_version"],
                &docker["python_version"],
                &env["python_version"],
            ]),
            base_image: first([
                &image["base_image"],
                &docker["base_image"],
                &env["docker_base_image"],
            ]),
            routes: routes(&manifest, is_legacy),
            variables: list(&manifest["envs"]).iter().map(|env| text(&env["name"])).collect(),
            models,
            name,
            version,
            manifest,
        })
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

/// What 0.x has for models.
fn artifacts(manifest: &Value) -> Vec<Model> {
    let model = |artifact: &Value| Model {
        tag: text(&artifact["name"]),
        module: text(&artifact["artifact_type"]),
        framework_versions: BTreeMap::new(),
        labels: BTreeMap::new(),
        metadata: map(&artifact["metadata"]),
    };
    list(&manifest["artifacts"]).iter().map(model).collect()
}

fn routes(manifest: &Value, is_legacy: bool) -> Vec<Route> {
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
        path: format!("/{}", first([&api["route"], &api["name"]]).trim_start_matches('/')),
        takes: if is_legacy { Vec::new() } else { vec![text(&api["input_type"])] },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_of_0_x_says_the_same_in_words_of_its_own() {
        let manifest = "version: 0.13.1\nkind: BentoService\nmetadata: {service_name: Iris, \
                        service_version: 2020_A, created_at: '2020-01-02 03:04:05', labels: {team: flowers}}\n\
                        env: {python_version: 3.8.6, docker_base_image: 'bentoml/model-server:0.13.1'}\n\
                        artifacts: [{name: svm, artifact_type: SklearnModelArtifact, metadata: {accuracy: 0.97}}]\n\
                        apis: [{name: predict, route: v1/predict}, {name: raw}]\n";
        let files = ManifestFiles {
            manifest: manifest.into(),
            is_legacy: true,
            ..ManifestFiles::default()
        };
        let details = Details::read(&files).unwrap();
        let pairs = |map: &BTreeMap<String, String>| format!("{map:?}");
        assert_eq!(details.bento, "Iris:2020_A");
        assert_eq!(
            [&details.created, &details.bentoml, &details.service, &details.framework],
            ["2020-01-02 03:04:05", "0.13.1", "Iris", "sklearn"]
        );
        assert_eq!(
            [&details.python, &details.base_image],
            ["3.8.6", "bentoml/model-server:0.13.1"]
        );
        assert_eq!(pairs(&details.labels), r#"{"team": "flowers"}"#);
        let [model] = details.models.as_slice() else { panic!("{:?}", details.models) };
        assert_eq!(
            (model.tag.as_str(), pairs(&model.metadata)),
            ("svm", r#"{"accuracy": "0.97"}"#.into())
        );
        let paths: Vec<_> = details.routes.iter().map(|route| route.path.as_str()).collect();
        assert_eq!(paths, ["/v1/predict", "/raw"]);
    }
}
