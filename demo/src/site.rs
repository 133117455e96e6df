//! A namespace with the catalog in it, installed as its README says.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
    runtime::wait::await_condition,
};
use serde_json::{Value, json};

use crate::{paths::tree, wait::within};

/// Name of the `CronJob` that takes back what no run will end.
const SWEEP: &str = "canary-sweep";

/// A namespace that releases models.
#[derive(Clone)]
pub struct Site {
    pub cluster: Cluster,
    pub client: Client,
    pub namespace: String,
    /// URL of the EventListener
    pub listener: String,
    http: reqwest::Client,
}

/// How a CloudEvent travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Structured,
    Binary,
}

/// A CloudEvent as a sender writes it.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: String,
    pub r#type: String,
    pub subject: String,
    pub data: Value,
}

impl Event {
    /// Someone asks for a release: the least that a first event holds.
    pub fn requested(id: &str, service: &str, version: &str) -> Self {
        Self {
            id: id.into(),
            r#type: "build.canary.release.requested.v1".into(),
            subject: format!("default/{service}"),
            data: json!({ "serviceName": service, "serviceVersion": version }),
        }
    }
}

impl Site {
    /// Installs the catalog in a namespace of this name, which is made if need be, and waits until
    /// its EventListener answers and the interceptor behind it serves.
    pub async fn install(cluster: &Cluster, namespace: &str) -> Result<Self> {
        Self::install_from(cluster, namespace, &tree()?).await
    }

    /// The same from an overlay of the catalog.
    pub async fn install_from(cluster: &Cluster, namespace: &str, overlay: &Path) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client(cluster).await?;
        make_namespace(&client, namespace, "baseline").await?;
        make_store_secret(&client, cluster, namespace).await?;
        let catalog = overlay.display().to_string();
        cluster.kubectl([
            "apply",
            "--server-side",
            "--force-conflicts",
            "-n",
            namespace,
            "-k",
            &catalog,
        ])?;

        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("failed to start an HTTP client")?;
        let mut site = Self {
            cluster: cluster.clone(),
            client,
            namespace: namespace.into(),
            listener: String::new(),
            http,
        };
        site.wait_for_interceptor().await?;
        site.listener = site.wait_for_listener().await?;
        Ok(site)
    }

    /// While none serves, the EventListener answers 202 and starts nothing.
    async fn wait_for_interceptor(&self) -> Result<()> {
        let deployment = ("Deployment", "cloudevent-interceptor");
        self.until(Duration::from_mins(2), "the interceptor to serve", deployment, |found| {
            let Some(found) = found else { return false };
            let seen = &found.data["status"];
            let is_new = seen["observedGeneration"].as_i64() == found.metadata.generation;
            let updated = &seen["updatedReplicas"];
            is_new
                && updated.as_i64() > Some(0)
                && ["availableReplicas", "replicas"].iter().all(|those| &seen[those] == updated)
        })
        .await
        .map(drop)
    }

    async fn wait_for_listener(&self) -> Result<String> {
        let (limit, service) = (Duration::from_mins(1), ("Service", "el-canary"));
        let found = self
            .until(limit, "the EventListener's Service", service, |found| found.is_some())
            .await?;
        let found = found.context("failed to find the EventListener's Service")?;
        let address = found.data["spec"]["clusterIP"].as_str().unwrap_or_default();
        let url = format!("http://{address}:8080");
        within(Duration::from_mins(2), "the EventListener to answer", async || {
            let answer =
                self.http.get(format!("{url}/live")).timeout(Duration::from_secs(2)).send().await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        })
        .await?;
        Ok(url)
    }

    /// Sends an event and returns the HTTP status of the answer.
    pub async fn send(&self, event: &Event, mode: Mode) -> Result<u16> {
        let Event { id, r#type, subject, data } = event;
        let source = "/notebooks/demo/iris";
        let request = self.http.post(&self.listener);
        let request = match mode {
            Mode::Structured => request.header("content-type", "application/cloudevents+json").body(
                json!({ "specversion": "1.0", "id": id, "type": r#type, "source": source, "subject": subject,
                        "datacontenttype": "application/json", "data": data })
                .to_string(),
            ),
            Mode::Binary => request
                .header("content-type", "application/json")
                .header("ce-specversion", "1.0")
                .header("ce-id", id)
                .header("ce-type", r#type)
                .header("ce-source", source)
                .header("ce-subject", subject)
                .body(data.to_string()),
        };
        Ok(request.send().await.context("failed to send the event")?.status().as_u16())
    }

    /// Runs kubectl in the namespace and returns what it printed.
    pub fn kubectl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let namespace = format!("--namespace={}", self.namespace);
        let args: Vec<&str> = args.into_iter().collect();
        self.cluster.kubectl([&[namespace.as_str()], &args[..]].concat())
    }

    /// Creates one object of a kind that `objects` knows.
    pub async fn create(&self, object: Value) -> Result<DynamicObject> {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let object: DynamicObject =
            serde_json::from_value(object).context("failed to read the object")?;
        let api = self.objects(&kind);
        api.create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("failed to create a {kind}"))
    }

    /// The namespace's objects of a kind that releases or tests are made of.
    pub fn objects(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    /// The InferenceService of this name, if there is one.
    pub async fn service(&self, name: &str) -> Result<Option<DynamicObject>> {
        Ok(self.objects("InferenceService").get_opt(name).await?)
    }

    async fn found(&self, service: &str) -> Result<DynamicObject> {
        self.service(service).await?.with_context(|| format!("failed to find service `{service}`"))
    }

    /// The host name that the service's requests are for.
    pub async fn host(&self, service: &str) -> Result<String> {
        let found = self.found(service).await?;
        let url = found.data["status"]["url"].as_str().unwrap_or_default();
        let host =
            url.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches('/');
        ensure!(
            !host.is_empty(),
            "failed to find the address of service `{service}`: its status has no url yet"
        );
        Ok(host.to_owned())
    }

    /// Percent of the traffic per revision, as the route has it now.
    pub async fn traffic(&self, service: &str) -> Result<Vec<(String, i64)>> {
        let found = self.found(service).await?;
        let targets =
            found.data["status"]["components"]["predictor"]["traffic"].as_array().cloned();
        let split = |target: &Value| {
            let revision = target["revisionName"].as_str().unwrap_or_default().to_owned();
            (revision, target["percent"].as_i64().unwrap_or(0))
        };
        Ok(targets
            .unwrap_or_default()
            .iter()
            .map(split)
            .filter(|(_, percent)| *percent > 0)
            .collect())
    }

    /// Sets one of the site's values, as an edit of `triggers/settings.yaml` would.
    pub async fn set(&self, name: &str, value: &str) -> Result<()> {
        let settings = self.objects("TriggerBinding");
        let mut binding = settings.get("settings").await.context("failed to read the settings")?;
        let params = binding.data["spec"]["params"].as_array_mut();
        let param = params.and_then(|params| params.iter_mut().find(|param| param["name"] == name));
        param.with_context(|| format!("failed to find setting `{name}`"))?["value"] = value.into();
        settings
            .replace("settings", &PostParams::default(), &binding)
            .await
            .context("failed to set a setting")?;
        Ok(())
    }

    /// Has the namespace swept each minute, the least that a `CronJob` can. Says whether there is a sweep.
    pub async fn sweep_every_minute(&self) -> Result<bool> {
        self.set_sweep(json!({ "suspend": false, "schedule": "* * * * *" })).await
    }

    /// Leaves what is left behind where it is, for tests of everything else that would take it back.
    pub async fn suspend_sweep(&self) -> Result<bool> {
        self.set_sweep(json!({ "suspend": true })).await
    }

    async fn set_sweep(&self, spec: Value) -> Result<bool> {
        let jobs = self.objects("CronJob");
        if jobs.get_opt(SWEEP).await?.is_none() {
            return Ok(false);
        }
        let patch = Patch::Merge(json!({ "spec": spec }));
        jobs.patch(SWEEP, &PatchParams::default(), &patch)
            .await
            .context("failed to set the sweep's schedule")?;
        Ok(true)
    }

    /// Deletes a service and waits until its pods' route is gone, so that its next release is a first one.
    pub async fn delete_service(&self, service: &str) -> Result<()> {
        let services = self.objects("InferenceService");
        if services.get_opt(service).await?.is_none() {
            return Ok(());
        }
        services.delete(service, &DeleteParams::default()).await?;
        let route = format!("{service}-predictor");
        for object in [("InferenceService", service), ("Service.serving.knative.dev", &route)] {
            self.until(Duration::from_mins(1), "the old service to go", object, |found| {
                found.is_none()
            })
            .await?;
        }
        Ok(())
    }

    /// Watches an object of a kind that `objects` knows until this holds of it, or of none.
    pub async fn until(
        &self,
        limit: Duration,
        what: &str,
        (kind, name): (&str, &str),
        holds: impl Fn(Option<&DynamicObject>) -> bool,
    ) -> Result<Option<DynamicObject>> {
        let seen = tokio::time::timeout(limit, await_condition(self.objects(kind), name, holds));
        seen.await
            .with_context(|| format!("failed to see {what} within {} s", limit.as_secs()))?
            .with_context(|| format!("failed to watch {kind} `{name}`"))
    }
}

/// A client for the cluster's API.
async fn client(cluster: &Cluster) -> Result<Client> {
    let file =
        Kubeconfig::read_from(&cluster.kubeconfig).context("failed to read the kubeconfig")?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("failed to start a client for the cluster")
}

/// Makes a namespace that enforces a pod security standard.
async fn make_namespace(client: &Client, name: &str, standard: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let wanted = serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": standard } }
    }))?;
    match namespaces.create(&PostParams::default(), &wanted).await {
        Err(kube::Error::Api(refused)) if refused.code == 409 => Ok(()),
        created => {
            created.map(|_| ()).with_context(|| format!("failed to create namespace `{name}`"))
        }
    }
}

/// The credentials of the shared store, under the name that the Tasks look for.
async fn make_store_secret(client: &Client, cluster: &Cluster, namespace: &str) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = serde_json::from_value(json!({
        "metadata": { "name": "canary-store" },
        "stringData": {
            "AWS_ACCESS_KEY_ID": cluster.store.access_key,
            "AWS_SECRET_ACCESS_KEY": cluster.store.secret_key,
        }
    }))?;
    let ours = PatchParams::apply("kanaria-demo").force();
    let secret: Secret = secret;
    secrets
        .patch("canary-store", &ours, &Patch::Apply(&secret))
        .await
        .context("failed to store the credentials of the S3 store")?;
    Ok(())
}

fn resource(kind: &str) -> ApiResource {
    let (group, version, kind) = match kind {
        "InferenceService" => ("serving.kserve.io", "v1beta1", kind),
        "Service.serving.knative.dev" => ("serving.knative.dev", "v1", "Service"),
        "Revision" => ("serving.knative.dev", "v1", kind),
        "CronJob" => ("batch", "v1", kind),
        "Deployment" => ("apps", "v1", kind),
        "Lease" => ("coordination.k8s.io", "v1", kind),
        "LimitRange" | "ResourceQuota" | "Secret" | "Service" => ("", "v1", kind),
        "TriggerBinding" => ("triggers.tekton.dev", "v1beta1", kind),
        _ => ("tekton.dev", "v1", kind),
    };
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
