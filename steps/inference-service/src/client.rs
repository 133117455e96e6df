//! The API server: what is read of a service, and each single write.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Event, Pod},
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::{ApiResource, DynamicResourceScope},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use step::{Failure, api_server, chain};

use crate::{
    api_error::{ApiError, Meaning},
    decision_lease::{self, decision_lease},
    objects::{FIELD_MANAGER, InferenceService, Revision, inference_services, revisions},
    observed::Observed,
    owner_lease::{Mark, lease_name},
    paging::list_all,
    patch::GuardedPatch,
    room::ScalePatch,
    stop_switch::{self, STOP_SWITCH},
    tekton_runs::{self, LostPod, Run},
};

/// A route follows a patch in about a second; a look is a handful of small reads.
const OBSERVE_EVERY: Duration = Duration::from_millis(500);

const OBSERVE_RUNS_EVERY: Duration = Duration::from_secs(3);

/// No read of ours takes longer than this on a server that still lives.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One `InferenceService` by name, whether it exists or not.
#[derive(Clone)]
pub struct Service {
    client: Client,
    pub namespace: String,
    pub name: String,
    with_runs: bool,
    with_decisions: bool,
    with_stop_switch: bool,
    pub(crate) observe_every: Duration,
    /// What was said of rights that are missing
    warned: Arc<Mutex<HashSet<&'static str>>>,
}

/// A client for the cluster of the pod, or of the kubeconfig.
pub async fn connect() -> Result<Client> {
    let hint = "in a pod, set a serviceAccount; at a terminal, let KUBECONFIG name a file that `kubectl` can use";
    let failure =
        || Failure { what: "failed to find a Kubernetes cluster".into(), hint: hint.into() };
    let client = api_server::client(ANSWER_WITHIN).await;
    client.map_err(|error| anyhow!(chain(error.as_ref()))).with_context(failure)
}

/// Names of the namespace's services whose spec has a percent: each may be a canary.
pub async fn services(client: &Client, namespace: &str) -> Result<Vec<String>> {
    let api = Api::namespaced_with(client.clone(), namespace, &inference_services());
    let with_percent = |service: InferenceService| {
        let percent = service.spec.predictor.canary_traffic_percent;
        percent.and(service.metadata.name)
    };
    list_all(&api, "", with_percent).await.map_err(|error| {
        let what = format!("failed to list InferenceServices of `{namespace}`");
        ApiError { what, error }.into_failure()
    })
}

impl Service {
    /// Without a namespace: the pod's own, or the kubeconfig's.
    pub fn new(client: Client, namespace: Option<String>, name: &str) -> Self {
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        Self {
            client,
            namespace,
            name: name.to_owned(),
            with_runs: false,
            with_decisions: false,
            with_stop_switch: false,
            observe_every: OBSERVE_EVERY,
            warned: Arc::default(),
        }
    }

    /// The same, but each look also finds the runs of the namespace that have not ended. That is a
    /// long list, so it looks less often.
    pub fn with_runs(&self) -> Self {
        Self { with_runs: true, observe_every: OBSERVE_RUNS_EVERY, ..self.clone() }
    }

    /// The same, but each look also finds what people have decided about the release.
    pub fn with_decisions(&self) -> Self {
        Self { with_decisions: true, ..self.clone() }
    }

    /// The same, but each look also finds whether somebody has stopped all releases of the namespace.
    pub fn with_stop_switch(&self) -> Self {
        Self { with_stop_switch: true, ..self.clone() }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// As people name it: `NAMESPACE/NAME`
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What there is now.
    pub async fn observe(&self) -> Result<Observed> {
        self.look().await.map_err(ApiError::into_failure)
    }

    /// The pod that a run waits for in vain
    pub async fn lost_pod(&self, run: &Run) -> Result<Option<LostPod>> {
        let lost = tekton_runs::lost_pod(&self.client, &self.namespace, run).await;
        lost.map_err(self.error("list pods of run", run.name())).map_err(ApiError::into_failure)
    }

    pub(crate) async fn look(&self) -> Result<Observed, ApiError> {
        let name = &self.name;
        let service = self.api(&inference_services()).get_opt(name).await;
        let service = service.map_err(self.error("read InferenceService", name))?;
        let nothing = Observed::nothing_of(&self.namespace, name);
        let mut observed = Observed { service, ..nothing };
        // Also before there is a service: without Knative one would be made for nothing.
        self.look_at_revisions(&mut observed).await?;
        if self.with_stop_switch {
            match stop_switch::read(&self.client, &self.namespace).await {
                Ok(found) => observed.stopped = found,
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    self.warn_once("it is not known whether releases are stopped", &status.message);
                }
                Err(error) => return Err(self.error("read ConfigMap", STOP_SWITCH)(error)),
            }
        }
        if observed.service.is_none() {
            return Ok(observed);
        }
        let lease = lease_name(&self.name);
        match self.leases().get_opt(&lease).await {
            Ok(Some(lease)) => observed.mark = Mark::read(&lease, observed.uid()),
            Ok(None) => {}
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.warn_once("it is not known whose canary this is", &status.message);
            }
            Err(error) => return Err(self.error("read Lease", &lease)(error)),
        }
        if self.with_decisions {
            let decisions = decision_lease::read(&self.leases(), name, observed.uid()).await;
            let lease = decision_lease(name);
            observed.decisions = decisions.map_err(self.error("read Lease", &lease))?;
        }
        self.look_at_runs(&mut observed).await?;
        Ok(observed)
    }

    async fn look_at_runs(&self, observed: &mut Observed) -> Result<(), ApiError> {
        if self.with_runs {
            match tekton_runs::unfinished(&self.client, &self.namespace).await {
                Ok(unfinished) => observed.unfinished_runs = Some(unfinished),
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => {
                    self.warn_once("the order of runs is not known", &status.message);
                }
                Err(error) => return Err(self.error("list Tekton runs for", &self.name)(error)),
            }
        }
        Ok(())
    }

    async fn look_at_revisions(&self, observed: &mut Observed) -> Result<(), ApiError> {
        let of_service = format!("serving.kserve.io/inferenceservice={}", self.name);
        let of_service = ListParams::default().labels(&of_service);
        let found =
            self.api::<Revision>(&revisions()).list(&of_service).await.map_err(|error| {
                let mut error = self.error("list revisions of", &self.name)(error);
                if error.meaning() == Meaning::NotInstalled {
                    error.what += ": Knative Serving is not installed";
                }
                error
            })?;
        let named = |revision: Revision| Some((revision.metadata.name.clone()?, revision));
        observed.revisions = found.items.into_iter().filter_map(named).collect();
        let latest = observed.revisions.get(observed.latest());
        let is_lacking = !observed.is_ready(observed.latest()) || observed.is_short_of_pods();
        if let Some(latest) = latest.filter(|_| is_lacking) {
            observed.pods = self.pods(latest).await?;
        }
        if let Some(pod) = observed.pods.iter().find(|pod| has_no_container(pod)) {
            observed.events = self.events(pod).await?;
        }
        Ok(())
    }

    /// What happened to a pod, oldest first; none when the rights do not suffice.
    async fn events(&self, pod: &Pod) -> Result<Option<Vec<Event>>, ApiError> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let of_pod = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        let events = Api::<Event>::namespaced(self.client.clone(), &self.namespace);
        match events.list(&of_pod).await {
            Ok(mut found) => {
                found.items.sort_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0));
                Ok(Some(found.items))
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.warn_once("it is not known why a pod has no container", &status.message);
                Ok(None)
            }
            Err(error) => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                Err(self.error("list events of pod", name)(error))
            }
        }
    }

    /// By uid: pods of a deleted service of the same name may still be there.
    async fn pods(&self, revision: &Revision) -> Result<Vec<Pod>, ApiError> {
        let uid = revision.metadata.uid.as_deref().unwrap_or_default();
        let of_revision =
            ListParams::default().labels(&format!("serving.knative.dev/revisionUID={uid}"));
        let name = revision.metadata.name.as_deref().unwrap_or_default();
        let pods = Api::<Pod>::namespaced(self.client.clone(), &self.namespace);
        Ok(pods.list(&of_revision).await.map_err(self.error("list pods of revision", name))?.items)
    }

    /// False when the service has changed since it was looked at.
    pub(crate) async fn patch(
        &self,
        GuardedPatch { patch, .. }: &GuardedPatch,
    ) -> Result<bool, ApiError> {
        let service = self.api::<DynamicObject>(&inference_services());
        let params = PatchParams::apply(FIELD_MANAGER);
        match service.patch(&self.name, &params, &Patch::Json::<()>(patch.clone())).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if is_failed_test(status.code, &status.message) => {
                tracing::info!("the service has changed meanwhile; looking again");
                Ok(false)
            }
            Err(error) => Err(self.error("patch InferenceService", &self.name)(error)),
        }
    }

    /// False when the rights do not suffice. Only this revision, not one that was made again under its name.
    pub(crate) async fn delete(
        &self,
        observed: &Observed,
        revision: &str,
    ) -> Result<bool, ApiError> {
        let uid = observed.revisions.get(revision).and_then(|found| found.metadata.uid.clone());
        let only_this = Preconditions { uid, resource_version: None };
        let params = DeleteParams::default().preconditions(only_this);
        match self.api::<Revision>(&revisions()).delete(revision, &params).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let name = format!("{}/{revision}", self.namespace);
                let message = status.message;
                tracing::warn!(
                    "failed to delete revision `{name}`, whose pods may go on: {message}"
                );
                Ok(false)
            }
            Err(error) => Err(self.error("delete revision", revision)(error)),
        }
    }

    /// False when the rights do not suffice. A minimum that changed meanwhile is left alone: look again.
    pub(crate) async fn scale(
        &self,
        ScalePatch { revision, patch, .. }: &ScalePatch,
    ) -> Result<bool, ApiError> {
        let params = PatchParams::apply(FIELD_MANAGER);
        let patch = Patch::Json::<()>(patch.clone());
        match self.api::<Revision>(&revisions()).patch(revision, &params, &patch).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status))
                if status.code == 404 || is_failed_test(status.code, &status.message) =>
            {
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.warn_once(
                    "no pods can be asked for before the requests come",
                    &status.message,
                );
                Ok(false)
            }
            Err(error) => Err(self.error("patch revision", revision)(error)),
        }
    }

    pub(crate) async fn create(&self, object: Value) -> Result<(), ApiError> {
        let services = self.api::<DynamicObject>(&inference_services());
        match create_in(&services, object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()), // somebody was faster: look again
            created => created.map(drop).map_err(self.error("create InferenceService", &self.name)),
        }
    }

    /// False when the rights do not suffice. A mark that changed meanwhile is left alone: look again.
    pub(crate) async fn save(&self, mark: &Mark, uid: &str) -> Result<bool, ApiError> {
        let name = lease_name(&self.name);
        let lease = mark.lease(&self.name, uid);
        let written = if mark.version.is_some() {
            let params = PatchParams::apply(FIELD_MANAGER);
            self.leases().patch(&name, &params, &Patch::Merge(lease)).await
        } else {
            create_in(&self.leases(), lease).await
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let (namespace, message) = (&self.namespace, status.message);
                tracing::warn!("failed to write Lease `{namespace}/{name}`: {message}");
                Ok(false)
            }
            Err(error) => Err(self.error("write Lease", &name)(error)),
        }
    }

    /// A right that it can do without, at a price.
    pub(crate) fn warn_once(&self, price: &'static str, message: &str) {
        if self.warned.lock().is_ok_and(|mut warned| warned.insert(price)) {
            tracing::warn!("{price}: {message}");
        }
    }

    pub(crate) fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn api<K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>>(
        &self,
        resource: &ApiResource,
    ) -> Api<K> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }

    pub(crate) fn error(
        &self,
        verb: &'static str,
        name: &str,
    ) -> impl Fn(kube::Error) -> ApiError + use<> {
        let object = format!("`{}/{name}`", self.namespace);
        move |error| ApiError { what: format!("failed to {verb} {object}"), error }
    }
}

async fn create_in<K>(api: &Api<K>, object: Value) -> Result<K, kube::Error>
where
    K: Clone + DeserializeOwned + Serialize + fmt::Debug,
{
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    api.create(&params, &serde_json::from_value(object).map_err(kube::Error::SerdeError)?).await
}

/// Whether a pod waits for a node, or on its node for its volumes.
fn has_no_container(pod: &Pod) -> bool {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.is_none_or(|statuses| {
        let waiting = statuses.iter().filter_map(|status| status.state.as_ref()?.waiting.as_ref());
        waiting.filter_map(|waiting| waiting.reason.as_deref()).any(|it| it == "ContainerCreating")
    })
}

/// A failed `test` of a JSON Patch is 422; so is a value that no validation accepts.
fn is_failed_test(code: u16, message: &str) -> bool {
    code == 409
        || code == 422 && (message.contains("testing value") || message.contains("test failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_test_is_a_decision_that_came_too_late() {
        assert!(is_failed_test(422, "testing value /metadata/uid failed"));
        assert!(!is_failed_test(422, "spec.predictor: Invalid value"));
        assert!(!is_failed_test(403, "testing value"));
    }
}
