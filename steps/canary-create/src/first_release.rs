//! The service of a first release: the site's template, or the defaults, with what was given.

use std::path::PathBuf;

use anyhow::Result;
use inference_service::{DEPLOYMENT_MODE, DesiredSpec, Fields, KNATIVE, Observed, TAG_ROUTING};
use serde_json::{Map, Value, json};

use crate::template::Template;

/// What a first release needs to know of the container. Later releases keep what is there.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "First release (ignored when the service exists)")]
pub(crate) struct Flags {
    /// `InferenceService` to begin with, in YAML or JSON: a file, or a folder with SERVICE.yaml or
    /// default.yaml. What it leaves out has the defaults below, what is given below wins
    #[arg(long, value_name = "PATH")]
    template: Option<PathBuf>,
    /// Port that the model listens on [default: 3000]
    #[arg(long)]
    port: Option<u16>,
    /// Path that answers 200 once the model is loaded [default: /readyz]
    #[arg(long, value_name = "PATH")]
    readiness_path: Option<String>,
    /// Numeric user; 1034 is the user `bentoml` of a bento's image; none leaves it to the platform [default: 1034]
    #[arg(long, value_name = "UID", value_parser = user)]
    run_as_user: Option<User>,
    /// Pods that always run; 0 lets an idle service go to none [default: 1]
    #[arg(long, value_name = "PODS")]
    min_replicas: Option<u32>,
    /// CPU that a pod is given, such as 500m [default: 100m]
    #[arg(long)]
    cpu: Option<String>,
    /// Memory that a pod is given and may not exceed, such as 2Gi [default: 512Mi]
    #[arg(long)]
    memory: Option<String>,
    /// Environment variable of the container; give it once for each
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug)]
enum User {
    Uid(u32),
    OfPlatform,
}

fn user(text: &str) -> Result<User, &'static str> {
    match text {
        "none" => Ok(User::OfPlatform),
        uid => uid.parse().map(User::Uid).map_err(|_| "write a number, or none"),
    }
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some(("PORT", _)) => Err("Knative sets PORT itself; use --port"),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE"),
    }
}

impl Flags {
    /// Reads the template, if there is one for this service.
    pub(crate) fn read(self, service: &str) -> Result<FirstRelease> {
        let template = self.template.as_deref().map(|path| Template::find(path, service));
        Ok(FirstRelease { template: template.transpose()?.flatten(), flags: self })
    }

    /// What they say of the container's fields
    fn fields(&self) -> Fields {
        let Self { cpu, memory, env, .. } = self;
        let mut resources = json!({"requests": {}, "limits": {}});
        if let Some(cpu) = cpu {
            resources["requests"]["cpu"] = cpu.as_str().into();
        }
        if let Some(memory) = memory {
            resources["requests"]["memory"] = memory.as_str().into();
            resources["limits"]["memory"] = memory.as_str().into();
        }
        let env: Value =
            env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        Fields(Map::from_iter([("resources".to_owned(), resources), ("env".to_owned(), env)]))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct FirstRelease {
    flags: Flags,
    template: Option<Template>,
}

impl FirstRelease {
    /// Without a template it passes the *restricted* pod security standard. The root file system stays
    /// writable, because `BentoML` keeps its metrics there.
    ///
    /// The fields of the change come onto those of the template.
    pub(crate) fn service(
        &self,
        namespace: &str,
        name: &str,
        change: &DesiredSpec,
    ) -> Result<Value> {
        let DesiredSpec { image, fields, annotations, pull_secret, logger } = change;
        let mut service = if let Some(template) = &self.template {
            template.service(namespace, name)?
        } else {
            tracing::info!("{namespace}/{name}: a first release, without a template");
            Template::empty(namespace, name)
        };
        let of_service = &mut service["metadata"]["annotations"];
        // From the start, because adding it later makes another revision.
        of_service[TAG_ROUTING] = "true".into();
        of_service[DEPLOYMENT_MODE] = KNATIVE.into();
        for (key, value) in annotations {
            if let Some(value) = value {
                of_service[key] = value.as_str().into();
            }
        }
        let predictor = &mut service["spec"]["predictor"];
        set(predictor, "minReplicas", self.flags.min_replicas.map(Value::from), json!(1));
        if let Some(secret) = pull_secret {
            add(&mut predictor["imagePullSecrets"], json!({"name": secret}));
        }
        self::logger(predictor, logger.as_ref(), &Observed::nothing_of(namespace, name));
        if let Some(container) = Template::container(predictor) {
            container["image"] = image.as_str().into();
            self.complete(container, fields);
        }
        Ok(service)
    }

    fn complete(&self, container: &mut Value, brought: &Fields) {
        let Flags { port, readiness_path, run_as_user, .. } = &self.flags;
        let ports = port.map(|port| json!([{"containerPort": port}]));
        set(container, "ports", ports, json!([{"containerPort": 3000}]));
        set(container, "readinessProbe", readiness_path.as_deref().map(probe), probe("/readyz"));
        let restricted = json!({
            "runAsNonRoot": true,
            "runAsUser": 1034,
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        set(container, "securityContext", None, restricted);
        if let Some(context) = container["securityContext"].as_object_mut() {
            match run_as_user {
                Some(User::Uid(uid)) => drop(context.insert("runAsUser".into(), json!(uid))),
                Some(User::OfPlatform) => drop(context.remove("runAsUser")),
                None => {}
            }
        }
        let resources =
            json!({"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}});
        set(container, "resources", None, resources);
        let own = ["resources", "env"].map(|name| (name.to_owned(), container[name].clone()));
        let fields = brought.onto(&self.flags.fields().onto(&Fields(Map::from_iter(own))));
        for (name, value) in fields.0 {
            match container.as_object_mut() {
                Some(container) if value.is_null() => drop(container.remove(&name)),
                _ => container[name] = value,
            }
        }
    }
}

/// A release waits for the first answer, so it is asked for each second, the least that there is; with no
/// period set it is each ten. A model that has served and fails keeps its requests for half a minute, or for
/// twice that where it does not answer at all.
fn probe(path: &str) -> Value {
    json!({"httpGet": {"path": path}, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 30})
}

/// What was given wins, and a default fills what is missing.
fn set(object: &mut Value, name: &str, given: Option<Value>, default: Value) {
    match given {
        Some(given) => object[name] = given,
        None if object[name].is_null() => object[name] = default,
        None => {}
    }
}

/// One of the template's owner stays; one of ours, as of a service that the template was copied from, does not.
fn logger(predictor: &mut Value, wanted: Option<&Value>, service: &Observed) {
    let is_free = !service.is_owners(&predictor["logger"]);
    match (wanted.filter(|_| is_free), predictor.as_object_mut()) {
        (Some(Value::Null), Some(predictor)) => drop(predictor.remove("logger")),
        (Some(logger), Some(predictor)) => drop(predictor.insert("logger".into(), logger.clone())),
        _ => {}
    }
}

fn add(list: &mut Value, entry: Value) {
    match list {
        Value::Array(entries) if entries.contains(&entry) => {}
        Value::Array(entries) => entries.push(entry),
        other => *other = json!([entry]),
    }
}

#[cfg(test)]
mod tests;
