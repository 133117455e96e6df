//! A site's own `InferenceService`, which a first release begins with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use inference_service::CONTAINER;
use serde_json::{Value, json};
use step::Failure;

/// For every service without one of its own
const DEFAULT: &str = "default.yaml";

const API_VERSION: &str = "serving.kserve.io/v1beta1";

/// What the API server writes, and `kubectl get -o yaml` prints
const OF_SERVER: [&str; 6] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "ownerReferences",
];

/// Other ways to name a model, none of which takes an image of ours
const RUNTIMES: [&str; 12] = [
    "model",
    "sklearn",
    "xgboost",
    "tensorflow",
    "pytorch",
    "triton",
    "onnx",
    "huggingface",
    "pmml",
    "lightgbm",
    "paddle",
    "workerSpec",
];

#[derive(Clone, Debug)]
pub(crate) struct Template {
    file: PathBuf,
    text: String,
}

impl Template {
    /// The file itself, or of a folder SERVICE.yaml, or `default.yaml`, or none.
    pub(crate) fn find(path: &Path, service: &str) -> Result<Option<Self>> {
        let file = if path.is_dir() {
            let names = [format!("{service}.yaml"), DEFAULT.to_owned()];
            let found = names.map(|name| path.join(name)).into_iter().find(|file| file.exists());
            let Some(file) = found else { return Ok(None) };
            file
        } else {
            path.to_owned()
        };
        let text = fs::read_to_string(&file).with_context(|| Failure {
            what: format!("failed to read template `{}`", file.display()),
            hint: "give `template` a file, or a folder with SERVICE.yaml or default.yaml".into(),
        })?;
        Ok(Some(Self { file, text }))
    }

    /// The service of a site without a template, as far as one would say it
    pub(crate) fn empty(namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": API_VERSION, "kind": "InferenceService",
            "metadata": {"name": name, "namespace": namespace, "annotations": {}},
            "spec": {"predictor": {"containers": [{"name": CONTAINER}]}},
        })
    }

    /// The template as the service of this name, still without an image.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Result<Value> {
        let file = self.file.file_name().unwrap_or_default().display();
        tracing::info!("{namespace}/{name}: a first release, from template `{file}`");
        serde_saphyr::from_str(&self.text)
            // A snippet of it might show a secret.
            .map_err(|error| format!("it is not valid YAML: {}", error.without_snippet()))
            .and_then(|template| named(template, namespace, name))
            .map_err(|why| Failure {
                what: format!("failed to create `{namespace}/{name}`: `{file}` is not a valid template: {why}"),
                hint: "a template is an InferenceService with one custom container: see `Templates` in the Task's README".into(),
            }.into())
    }

    /// The model's container, of a predictor that was checked
    pub(crate) fn container(predictor: &mut Value) -> Option<&mut Value> {
        let containers = predictor["containers"].as_array_mut()?;
        containers.iter_mut().find(|container| container["name"] == CONTAINER)
    }
}

fn named(mut template: Value, namespace: &str, name: &str) -> Result<Value, String> {
    for (field, wanted) in [("apiVersion", API_VERSION), ("kind", "InferenceService")] {
        if template.get(field).and_then(Value::as_str) != Some(wanted) {
            return Err(format!("`{field}` is not `{wanted}`"));
        }
    }
    if let Some(template) = template.as_object_mut() {
        template.remove("status");
    }
    metadata(map(&mut template, "metadata")?, namespace, name)?;
    predictor(spec(map(&mut template, "spec")?)?)?;
    Ok(template)
}

fn metadata(metadata: &mut Value, namespace: &str, name: &str) -> Result<(), String> {
    for (field, wanted) in [("name", name), ("namespace", namespace)] {
        match metadata.get(field).and_then(Value::as_str) {
            Some(other) if other != wanted => {
                return Err(format!(
                    "`metadata.{field}` is `{other}`, not `{wanted}`; it can be left out"
                ));
            }
            _ => metadata[field] = wanted.into(),
        }
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.retain(|field, _| !OF_SERVER.contains(&field.as_str()));
    }
    let annotations = map(metadata, "annotations")?;
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    let annotation = |name: &str| annotations[name].as_str().unwrap_or_default();
    let mode = annotation("serving.kserve.io/deploymentMode");
    if !matches!(mode, "" | "Knative" | "Serverless") {
        return Err(format!("its deploymentMode is `{mode}`; only Knative splits requests"));
    }
    if annotation("serving.kserve.io/stop") == "true" {
        return Err("its annotation serving.kserve.io/stop is true".into());
    }
    Ok(())
}

fn spec(spec: &mut Value) -> Result<&mut Value, String> {
    for other in ["transformer", "explainer", "canary"] {
        if spec.get(other).is_some() {
            return Err(format!("it has `spec.{other}`, which a canary would not split"));
        }
    }
    map(spec, "predictor")
}

fn predictor(predictor: &mut Value) -> Result<(), String> {
    if predictor.get("canaryTrafficPercent").is_some() {
        return Err("it has `canaryTrafficPercent`, which is the canary's own".into());
    }
    if let Some(runtime) = RUNTIMES.iter().find(|runtime| predictor.get(*runtime).is_some()) {
        return Err(format!("it has `predictor.{runtime}` and no custom container"));
    }
    let containers = match &mut predictor["containers"] {
        Value::Array(containers) => containers,
        containers @ Value::Null => {
            *containers = json!([{"name": CONTAINER}]);
            return Ok(());
        }
        _ => return Err("`predictor.containers` is not a list".into()),
    };
    if containers.iter().any(|container| !container.is_object()) {
        return Err("one of `predictor.containers` is not a map".into());
    }
    match containers.as_mut_slice() {
        [] => containers.push(json!({"name": CONTAINER})),
        [only] if only["name"].is_null() => only["name"] = CONTAINER.into(),
        _ => {}
    }
    let is_model = |container: &Value| container["name"] == CONTAINER;
    let Some(at) = containers.iter().position(is_model) else {
        return Err(format!("none of its containers is named `{CONTAINER}`"));
    };
    // KServe puts the model in the place of the first one, whatever that is.
    containers[..=at].rotate_right(1);
    if containers.iter().skip(1).any(is_model) {
        return Err(format!("two of its containers are named `{CONTAINER}`"));
    }
    model(&containers[0])
}

fn model(container: &Value) -> Result<(), String> {
    for (field, is_list) in
        [("resources", false), ("securityContext", false), ("env", true), ("ports", true)]
    {
        let value = &container[field];
        if !value.is_null() && !(if is_list { value.is_array() } else { value.is_object() }) {
            let kind = if is_list { "list" } else { "map" };
            return Err(format!("`{field}` of `{CONTAINER}` is not a {kind}"));
        }
    }
    let variables = container["env"].as_array().map_or(&[][..], Vec::as_slice);
    if variables.iter().any(|variable| variable["name"] == "PORT") {
        return Err(
            "it sets the variable PORT, which Knative does: write the port into `ports`".into()
        );
    }
    Ok(())
}

/// The map of this name, an empty one where there is none.
fn map<'a>(object: &'a mut Value, name: &str) -> Result<&'a mut Value, String> {
    let value = &mut object[name];
    match value {
        Value::Object(_) => {}
        Value::Null => *value = json!({}),
        _ => return Err(format!("`{name}` is not a map")),
    }
    Ok(value)
}
