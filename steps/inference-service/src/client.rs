//! The edge to the Kubernetes API: looking, writing, waiting, and what each refusal means.

use std::{fmt, io::Write as _, time::Duration};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Event, Pod},
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::{ApiResource, DynamicResourceScope},
};
use serde_json::{Value, json};
use step::{
    Failure, api_server,
    text::{self, clean},
};
use tokio::time::{Instant, sleep};

use crate::{
    Fields, Guarded, InferenceService, Mark, Revision, Run, Seen,
    objects::{inference_services, revisions},
    owner_lease::lease_name,
    tekton_runs,
};

/// The name under which `managedFields` tells our changes.
pub(crate) const FIELD_MANAGER: &str = "kanaria";

/// A route follows a patch in about a second; a look is a handful of small reads.
const LOOK_EVERY: Duration = Duration::from_millis(500);

const LOOK_AT_RUNS_EVERY: Duration = Duration::from_secs(3);

/// The API server of a one-node cluster is back within half a minute; more patience between two
/// attempts would only add to that.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Keeps a list of many services from taking much memory.
const PAGE: u32 = 100;

/// No read of ours takes longer than this on a server that still lives.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What a step wants to happen next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<T> {
    /// Nothing can be done until what this line tells of has changed
    Wait(String),
    Patch(Guarded),
    Mark(Box<Mark>),
    /// A revision that is of no use any more, and whose pods take room
    Delete(String),
    /// The whole service, for a first release
    Create(Value),
    Done(T),
}

/// One `InferenceService` by name, whether it exists or not.
#[derive(Clone)]
pub struct Service {
    client: Client,
    pub namespace: String,
    pub name: String,
    with_runs: bool,
    look_every: Duration,
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
    let api =
        Api::<InferenceService>::namespaced_with(client.clone(), namespace, &inference_services());
    let mut page = ListParams::default().limit(PAGE);
    let mut names = Vec::new();
    loop {
        let what = format!("failed to list InferenceServices of `{namespace}`");
        let listed = api.list(&page).await.map_err(|error| Fault { what, error }.into_failure())?;
        let with_percent = listed
            .items
            .into_iter()
            .filter(|service| service.spec.predictor.canary_traffic_percent.is_some());
        names.extend(with_percent.filter_map(|service| service.metadata.name));
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(names),
        }
    }
}

impl Service {
    /// Without a namespace: the pod's own, or the kubeconfig's.
    #[must_use]
    pub fn new(client: Client, namespace: Option<String>, name: &str) -> Self {
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let look_every = LOOK_EVERY;
        Self { client, namespace, name: name.to_owned(), with_runs: false, look_every }
    }

    /// The same, but each look also finds the runs of the namespace that have not ended. That is a
    /// long list, so it looks less often.
    #[must_use]
    pub fn with_runs(&self) -> Self {
        Self { with_runs: true, look_every: LOOK_AT_RUNS_EVERY, ..self.clone() }
    }

    /// Looks, asks, does and looks again until the answer is [`Next::Done`].
    ///
    /// What may heal is tried again until `timeout` has passed: a connection, a busy server, and a
    /// decision that came too late because somebody else was faster.
    pub async fn drive<T>(
        &self,
        timeout: Duration,
        mut next: impl FnMut(&Seen) -> Result<Next<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        let mut drive = Drive {
            changed_at: Instant::now(),
            patches: Vec::new(),
            told: String::new(),
            can_mark: true,
            can_delete: true,
        };
        let mut pause = self.look_every;
        loop {
            match self.turn(&mut drive, &mut next).await {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => pause = self.look_every,
                Err(Stopped::Final(error)) => return Err(error),
                Err(Stopped::Faulty(fault))
                    if fault.may_heal() && Instant::now() + pause < deadline =>
                {
                    drive.warn(format!("{fault}; trying again"));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(Stopped::Faulty(fault)) => return Err(fault.into_failure()),
            }
            if Instant::now() + pause > deadline {
                return Err(self.too_late(timeout, &drive.told));
            }
            sleep(pause).await;
        }
    }

    /// One look and one act.
    async fn turn<T>(
        &self,
        drive: &mut Drive,
        next: &mut impl FnMut(&Seen) -> Result<Next<T>>,
    ) -> Result<Option<T>, Stopped> {
        let mut seen = self.look().await?;
        seen.waited = drive.changed_at.elapsed();
        seen.patches = drive.patches.len();
        seen.can_mark = drive.can_mark;
        seen.can_delete = drive.can_delete;
        match next(&seen).map_err(Stopped::Final)? {
            Next::Done(ended) => return Ok(Some(ended)),
            Next::Wait(line) => drive.tell(line),
            Next::Patch(guarded) => {
                if drive.patches.contains(&guarded) {
                    return Err(Stopped::Final(undone(&seen, &guarded)));
                }
                drive.tell(format!("{}: {}", seen.full_name(), guarded.what));
                if self.patch(&guarded).await? {
                    drive.patches.push(guarded);
                    drive.changed_at = Instant::now();
                }
            }
            Next::Delete(revision) => {
                drive.tell(format!("{}: delete revision `{revision}`", seen.full_name()));
                drive.can_delete = self.delete(&seen, &revision).await?;
                drive.changed_at = Instant::now();
            }
            Next::Mark(mark) => drive.can_mark = self.save(&mark, seen.uid()).await?,
            Next::Create(object) => {
                drive.tell(format!("{}: create the service", seen.full_name()));
                self.create(object).await?;
            }
        }
        Ok(None)
    }

    /// Prints what [`Service::drive`] would do first, and changes nothing.
    pub async fn preview<T: fmt::Display>(
        &self,
        mut next: impl FnMut(&Seen) -> Result<Next<T>>,
    ) -> Result<()> {
        let mut seen = self.look().await.map_err(Fault::into_failure)?;
        let name = seen.full_name();
        let found = match &seen.service {
            None => format!("{name}: there is no such service"),
            Some(_) => format!(
                "{name}: image {}, {}; route: {}",
                seen.image().unwrap_or("none"),
                seen.percent().map_or("no percent".into(), |percent| format!("percent {percent}")),
                seen.route()
            ),
        };
        let mut first = next(&seen)?;
        if let Next::Mark(mark) = first {
            seen.mark = *mark; // tells nobody anything yet; what comes after it does
            first = next(&seen)?;
        }
        let plan = match first {
            Next::Done(ended) => format!("nothing to do: {ended}"),
            Next::Wait(line) => format!("would wait: {line}"),
            Next::Patch(Guarded { what, patch }) => {
                format!("would {what}:\n{:#}", without_variables(json!(patch)))
            }
            Next::Mark(mark) => {
                let mark = Mark { before: Fields::default(), ..*mark }; // it may hold a secret
                format!("would write a mark:\n{:#}", mark.lease(&self.name, seen.uid()))
            }
            Next::Delete(revision) => format!("would delete revision `{revision}`"),
            Next::Create(object) => {
                format!("would create:\n{:#}", without_variables(json!(object)))
            }
        };
        writeln!(std::io::stdout(), "{}\n{}", clean(&found), text::json(&plan))
            .context("failed to print the plan")
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What there is now.
    pub async fn seen(&self) -> Result<Seen> {
        self.look().await.map_err(Fault::into_failure)
    }

    /// Whether a run waits for a pod on a node that does not answer any more
    pub async fn is_lost(&self, run: &Run) -> Result<bool> {
        tekton_runs::is_lost(&self.client, &self.namespace, run)
            .await
            .map_err(self.fault("list pods of run", &run.name))
            .map_err(Fault::into_failure)
    }

    async fn look(&self) -> Result<Seen, Fault> {
        let mut seen =
            Seen { namespace: self.namespace.clone(), name: self.name.clone(), ..Seen::default() };
        let services = self.api::<InferenceService>(&inference_services());
        seen.service = services
            .get_opt(&self.name)
            .await
            .map_err(self.fault("read InferenceService", &self.name))?;
        // Also before there is a service: without Knative one would be made for nothing.
        self.look_at_revisions(&mut seen).await?;
        if seen.service.is_none() {
            return Ok(seen);
        }
        let name = lease_name(&self.name);
        match Api::<Lease>::namespaced(self.client.clone(), &self.namespace).get_opt(&name).await {
            Ok(lease) => {
                seen.mark = lease.map(|lease| Mark::read(&lease, seen.uid())).unwrap_or_default();
            }
            // Whoever needs the mark learns of it when it is written.
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            Err(error) => return Err(self.fault("read Lease", &name)(error)),
        }
        if self.with_runs {
            match tekton_runs::unfinished(&self.client, &self.namespace).await {
                Ok(unfinished) => (seen.unfinished, seen.knows_runs) = (unfinished, true),
                // Whoever cannot do without says so.
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => {}
                Err(error) => return Err(self.fault("list Tekton runs for", &self.name)(error)),
            }
        }
        Ok(seen)
    }

    async fn look_at_revisions(&self, seen: &mut Seen) -> Result<(), Fault> {
        let api = self.api::<Revision>(&revisions());
        let of_service = ListParams::default()
            .labels(&format!("serving.kserve.io/inferenceservice={}", self.name));
        let found = api.list(&of_service).await.map_err(|error| {
            let mut fault = self.fault("list revisions of", &self.name)(error);
            if matches!(fault.meaning(), Meaning::NotInstalled) {
                fault.what += ": Knative Serving is not installed";
            }
            fault
        })?;
        let named = |revision: Revision| Some((revision.metadata.name.clone()?, revision));
        seen.revisions = found.items.into_iter().filter_map(named).collect();
        let latest = seen.latest().to_owned();
        seen.pods = match seen.revisions.get(&latest) {
            Some(revision) if !seen.is_ready(&latest) => self.pods(revision).await?,
            _ => Vec::new(),
        };
        if let Some(pod) = seen.pods.iter().find(|pod| has_no_container(pod)) {
            seen.events = self.events(pod).await?;
        }
        Ok(())
    }

    /// What happened to a pod, oldest first; none when the rights do not suffice.
    async fn events(&self, pod: &Pod) -> Result<Option<Vec<Event>>, Fault> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let of_pod = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        let events = Api::<Event>::namespaced(self.client.clone(), &self.namespace);
        match events.list(&of_pod).await {
            Ok(mut found) => {
                found.items.sort_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0));
                Ok(Some(found.items))
            }
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
            Err(error) => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                Err(self.fault("list events of pod", name)(error))
            }
        }
    }

    /// By uid: pods of a deleted service of the same name may still be there.
    async fn pods(&self, revision: &Revision) -> Result<Vec<Pod>, Fault> {
        let uid = revision.metadata.uid.as_deref().unwrap_or_default();
        let of_revision =
            ListParams::default().labels(&format!("serving.knative.dev/revisionUID={uid}"));
        let name = revision.metadata.name.as_deref().unwrap_or_default();
        let pods = Api::<Pod>::namespaced(self.client.clone(), &self.namespace);
        Ok(pods.list(&of_revision).await.map_err(self.fault("list pods of revision", name))?.items)
    }

    /// False when the service has changed since it was looked at.
    async fn patch(&self, Guarded { patch, .. }: &Guarded) -> Result<bool, Fault> {
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let patched = self.api::<DynamicObject>(&inference_services());
        match patched.patch(&self.name, &params, &Patch::Json::<()>(patch.clone())).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if is_failed_test(status.code, &status.message) => {
                tracing::info!("the service has changed meanwhile; looking again");
                Ok(false)
            }
            Err(error) => Err(self.fault("patch InferenceService", &self.name)(error)),
        }
    }

    /// False when the rights do not suffice. Only this revision, not one that was made again under its name.
    async fn delete(&self, seen: &Seen, revision: &str) -> Result<bool, Fault> {
        let uid = seen.revisions.get(revision).and_then(|revision| revision.metadata.uid.clone());
        let only_this = Preconditions { uid, resource_version: None };
        let params = DeleteParams { preconditions: Some(only_this), ..DeleteParams::default() };
        match self.api::<Revision>(&revisions()).delete(revision, &params).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::warn!(
                    "failed to delete revision `{}/{revision}`, whose pods may go on: {}",
                    self.namespace,
                    status.message
                );
                Ok(false)
            }
            Err(error) => Err(self.fault("delete revision", revision)(error)),
        }
    }

    async fn create(&self, object: Value) -> Result<(), Fault> {
        let refused = self.fault("create InferenceService", &self.name);
        let object: DynamicObject = serde_json::from_value(object)
            .map_err(|error| refused(kube::Error::SerdeError(error)))?;
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        match self.api(&inference_services()).create(&params, &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()), // somebody was faster: look again
            created => created.map(drop).map_err(self.fault("create InferenceService", &self.name)),
        }
    }

    /// False when the rights do not suffice. A mark that changed meanwhile is left alone: look again.
    async fn save(&self, mark: &Mark, uid: &str) -> Result<bool, Fault> {
        let name = lease_name(&self.name);
        let fault = self.fault("write Lease", &name);
        let lease = mark.lease(&self.name, uid);
        let leases = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        let written = if mark.version.is_some() {
            let params =
                PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
            leases.patch(&name, &params, &Patch::Merge(lease)).await
        } else {
            let params =
                PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
            match serde_json::from_value(lease) {
                Ok(lease) => leases.create(&params, &lease).await,
                Err(error) => Err(kube::Error::SerdeError(error)),
            }
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::warn!(
                    "failed to write Lease `{}/{name}`: {}",
                    self.namespace,
                    status.message
                );
                Ok(false)
            }
            Err(error) => Err(fault(error)),
        }
    }

    fn api<K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>>(
        &self,
        resource: &ApiResource,
    ) -> Api<K> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }

    fn fault(&self, verb: &'static str, name: &str) -> impl Fn(kube::Error) -> Fault + use<> {
        let object = format!("`{}/{name}`", self.namespace);
        move |error| Fault { what: format!("failed to {verb} {object}"), error }
    }

    fn too_late(&self, timeout: Duration, told: &str) -> anyhow::Error {
        let told = if told.is_empty() { String::new() } else { format!(": {told}") };
        anyhow!(Failure {
            what: format!(
                "failed to wait any longer than {} s for `{}/{}`{told}",
                timeout.as_secs(),
                self.namespace,
                self.name
            ),
            hint: format!(
                "`kubectl get -n {} inferenceservice,revision,pod` shows what it waits for; run it again to go on, or raise `timeout`",
                self.namespace
            ),
        })
    }
}

/// What a run of [`Service::drive`] remembers between two turns; nothing that a later run would miss.
struct Drive {
    changed_at: Instant,
    patches: Vec<Guarded>,
    told: String,
    can_mark: bool,
    can_delete: bool,
}

impl Drive {
    /// One line when what it waits for changes.
    fn tell(&mut self, line: String) {
        if self.told != line {
            tracing::info!("{line}");
            self.told = line;
        }
    }

    fn warn(&mut self, line: String) {
        if self.told != line {
            tracing::warn!("{line}");
            self.told = line;
        }
    }
}

/// The same for people: what a model's variables hold may be secret.
fn without_variables(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let variables = field.as_array_mut().filter(|_| name == "env");
                for variable in variables.into_iter().flatten() {
                    if let Some(value) = variable.get_mut("value") {
                        *value = "(not shown)".into();
                    }
                }
                *field = without_variables(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_variables(item.take());
            }
        }
        _ => {}
    }
    value
}

/// A patch that is needed again was undone, and doing it over and over would make revision after revision.
fn undone(seen: &Seen, Guarded { what, .. }: &Guarded) -> anyhow::Error {
    let manager =
        seen.manager().map_or_else(String::new, |manager| format!(", last changed by `{manager}`"));
    anyhow!(Failure {
        what: format!("failed to {what}: `{}` was set back meanwhile{manager}", seen.full_name()),
        hint: "let whatever manages it (GitOps?) ignore the image and canaryTrafficPercent of its predictor".into(),
    })
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

enum Stopped {
    /// The step itself says no
    Final(anyhow::Error),
    Faulty(Fault),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Faulty(fault)
    }
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {}", cause(error))]
struct Fault {
    what: String,
    error: kube::Error,
}

/// What a failed request means.
enum Meaning {
    MayHeal,
    NotAllowed,
    NotInstalled,
    Invalid,
    Unreachable,
}

impl Fault {
    fn meaning(&self) -> Meaning {
        match &self.error {
            kube::Error::Api(status) => match status.code {
                // A webhook, a quota: not the rights of the ServiceAccount
                403 if !status.message.contains(" cannot ") => Meaning::Invalid,
                401 | 403 => Meaning::NotAllowed,
                404 => Meaning::NotInstalled,
                429 | 500.. => Meaning::MayHeal,
                _ => Meaning::Invalid,
            },
            kube::Error::Service(_) | kube::Error::HyperError(_)
                if !cause(&self.error).contains("certificate") =>
            {
                Meaning::MayHeal
            }
            kube::Error::SerdeError(_) => Meaning::Invalid,
            _ => Meaning::Unreachable,
        }
    }

    fn may_heal(&self) -> bool {
        matches!(self.meaning(), Meaning::MayHeal)
    }

    fn into_failure(self) -> anyhow::Error {
        let hint = match self.meaning() {
            Meaning::MayHeal => {
                "run it again when the API server answers; it goes on where it stopped"
            }
            Meaning::NotAllowed => {
                "give the serviceAccount the Role in the Task's README, under `Rights`"
            }
            Meaning::NotInstalled => {
                "install KServe and Knative Serving, and make the `namespace`; KServe's controller takes note of Knative when it starts"
            }
            Meaning::Invalid => {
                "the API server refuses the object: see the cause, and compare with `--dry-run`"
            }
            Meaning::Unreachable => {
                "check the kubeconfig: `kubectl get inferenceservices` must work with it"
            }
        };
        anyhow!(cause(&self.error)).context(Failure { what: self.what, hint: hint.into() })
    }
}

/// The sentence of an API status, or the chain of causes of a connection that failed.
fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => format!("HTTP {}", status.code),
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::Service(source) => chain(source.as_ref()), // its own name says nothing
        _ => chain(error),
    }
}

/// An error and its sources, each sentence once: some print their source as well.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut source = Some(error);
    while let Some(error) = source {
        let text = error.to_string();
        match told.last_mut() {
            Some(last) if last.contains(&text) => *last = last.replace(&format!(": {text}"), ""),
            _ => {}
        }
        told.push(text);
        source = error.source();
    }
    told.dedup();
    told.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_error(code: u16, message: &str) -> Fault {
        let status =
            kube::core::Status { code, message: message.into(), ..kube::core::Status::default() };
        Fault {
            what: "failed to patch InferenceService `models/iris`".into(),
            error: kube::Error::Api(Box::new(status)),
        }
    }

    #[test]
    fn what_may_heal_is_tried_again_and_what_will_not_is_not() {
        for (code, may_heal) in [
            (400, false),
            (401, false),
            (403, false),
            (404, false),
            (422, false),
            (429, true),
            (500, true),
            (503, true),
        ] {
            assert_eq!(api_error(code, "").may_heal(), may_heal, "{code}");
        }
    }

    #[test]
    fn a_preview_names_variables_without_their_values() {
        let container = json!({"image": "r/iris", "env": [{"name": "TOKEN", "value": "s3cr3t"}]});
        let patch = without_variables(json!([{"op": "replace", "value": [container]}]));
        assert_eq!(
            patch.pointer("/0/value/0/env/0"),
            Some(&json!({"name": "TOKEN", "value": "(not shown)"}))
        );
        assert_eq!(patch.pointer("/0/value/0/image"), Some(&json!("r/iris")));
    }

    #[test]
    fn only_a_failed_test_is_a_decision_that_came_too_late() {
        assert!(is_failed_test(422, "testing value /metadata/uid failed"));
        assert!(!is_failed_test(422, "spec.predictor: Invalid value"));
        assert!(!is_failed_test(403, "testing value"));
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_api_server() {
        let error = api_error(403, "inferenceservices is forbidden").into_failure();
        assert_eq!(
            format!("{error:#}"),
            "failed to patch InferenceService `models/iris`: inferenceservices is forbidden"
        );
    }
}
