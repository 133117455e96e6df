//! What there is: one look at a service, its revisions and their pods, the mark, and the runs.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use k8s_openapi::api::core::v1::{Event, Pod};
use model_container::{BROUGHT, Fields};
use serde_json::Value;

use crate::{
    decision_lease::Decisions,
    image::{has_digest, same_image},
    objects::{
        CONTAINER, Component, Condition, FIELD_MANAGER, InferenceService, PROGRESS_DEADLINE,
        Predictor, Revision, condition, is_true, model,
    },
    owner_lease::Mark,
    stop_switch::StopSwitch,
    tekton_runs::Run,
};

/// What one look found. A service that is not there has no `service`.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub namespace: String,
    pub name: String,
    pub service: Option<InferenceService>,
    /// Every revision of the service that still exists
    pub revisions: BTreeMap<String, Revision>,
    /// The pods of the latest revision while it is not ready, or has fewer than it was asked for
    pub pods: Vec<Pod>,
    /// What happened to one of them that has no container yet, oldest first; none without the right to know
    pub events: Option<Vec<Event>>,
    pub mark: Mark,
    /// What people have decided about the release; none when it was not looked for
    pub decisions: Decisions,
    /// Somebody has stopped all releases of the namespace; none when it was not looked for
    pub stopped: Option<StopSwitch>,
    /// Runs of the namespace that have not ended; none when they were not looked for, or without Tekton or
    /// the right to know
    pub unfinished_runs: Option<Vec<Run>>,
    /// The API has refused to store the mark
    pub cannot_mark: bool,
    /// The API has refused to delete a revision
    pub cannot_delete: bool,
    /// The API has refused to change a revision's minimum of pods
    pub cannot_scale: bool,
    /// Since this process last changed something, or began; of all that it asks for pods, only the first counts
    pub waited: Duration,
    /// How many patches this process has made
    pub patches: usize,
    /// How often this process has changed a minimum of pods
    pub scalings: usize,
}

static NOTHING: LazyLock<Component> = LazyLock::new(Component::default);

impl Observed {
    /// Before the first look
    pub fn nothing_of(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into(), ..Self::default() }
    }

    /// The name a person would look for: `NAMESPACE/NAME`
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub fn uid(&self) -> &str {
        self.service
            .as_ref()
            .and_then(|service| service.metadata.uid.as_deref())
            .unwrap_or_default()
    }

    pub(crate) fn predictor(&self) -> Option<&Predictor> {
        self.service.as_ref().map(|service| &service.spec.predictor)
    }

    /// The image that the spec asks for, literally
    pub fn image(&self) -> Option<&str> {
        Some(&model(&self.predictor()?.containers)?.image)
    }

    /// A field of the model's container, such as `env`; null when it is not there
    pub(crate) fn field(&self, name: &str) -> Value {
        let container = self.predictor().and_then(|predictor| model(&predictor.containers));
        container.map(|container| container.fields.get(name)).unwrap_or_default()
    }

    /// Fields of the model's container that a release can bring, as the spec has them
    pub fn fields(&self) -> Fields {
        Fields(BROUGHT.iter().map(|name| ((*name).to_owned(), self.field(name))).collect())
    }

    /// Whether the pods of the service pull with this Secret
    pub fn has_pull_secret(&self, secret: &str) -> bool {
        self.pull_secrets().is_some_and(|secrets| secrets.iter().any(|one| one["name"] == secret))
    }

    pub(crate) fn pull_secrets(&self) -> Option<&[Value]> {
        self.predictor()?.image_pull_secrets.as_deref()
    }

    /// The percent that the spec asks for; none and 0 differ
    pub fn percent(&self) -> Option<i64> {
        self.predictor()?.canary_traffic_percent
    }

    /// KServe's record of revisions and traffic, empty before the first
    pub fn component(&self) -> &Component {
        let status = self.service.as_ref().and_then(|service| service.status.as_ref());
        status.map_or(&*NOTHING, |status| &status.components.predictor)
    }

    pub fn latest(&self) -> &str {
        &self.component().latest_created_revision
    }

    /// The revision that had 100 % last
    pub fn rolled_out(&self) -> &str {
        &self.component().latest_rolledout_revision
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.service.as_ref()?.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub(crate) fn has_annotations(&self) -> bool {
        self.service.as_ref().is_some_and(|service| service.metadata.annotations.is_some())
    }

    /// How long Knative waits for the next revision to become ready, if the service says so
    pub fn progress_deadline(&self) -> Option<Duration> {
        duration(self.annotation(PROGRESS_DEADLINE)?)
    }

    /// How long it waits for one that is made like this
    pub fn progress_deadline_of(&self, revision: &str) -> Option<Duration> {
        duration(self.annotation_of(revision, PROGRESS_DEADLINE)?)
    }

    pub(crate) fn annotation_of(&self, revision: &str, key: &str) -> Option<&str> {
        let annotations = self.revisions.get(revision)?.metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    }

    /// A condition of the service, such as `PredictorRouteReady`
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        condition(self.conditions(), kind)
    }

    fn conditions(&self) -> &[Condition] {
        self.service
            .as_ref()
            .and_then(|service| service.status.as_ref())
            .map_or(&[], |status| &status.conditions)
    }

    /// Whether that condition is true
    pub fn is_true(&self, kind: &str) -> bool {
        is_true(self.conditions(), kind)
    }

    /// Whether a revision was made from an image
    pub fn runs_image(&self, revision: &str, image: &str) -> bool {
        let spec = self.image_in_spec_of(revision);
        spec.is_some_and(|spec| same_image(spec, image))
            || self.resolved_image_of(revision).is_some_and(|resolved| same_image(resolved, image))
    }

    /// The image of a revision by digest, if the revision is still there
    pub fn image_of(&self, revision: &str) -> Option<&str> {
        let spec = self.image_in_spec_of(revision)?;
        if has_digest(spec) { Some(spec) } else { self.resolved_image_of(revision) }
    }

    fn image_in_spec_of(&self, revision: &str) -> Option<&str> {
        Some(&model(&self.revisions.get(revision)?.spec.containers)?.image)
    }

    fn resolved_image_of(&self, revision: &str) -> Option<&str> {
        let statuses = &self.revisions.get(revision)?.status.as_ref()?.container_statuses;
        let status = statuses.iter().find(|status| status.name == CONTAINER)?;
        has_digest(&status.image_digest).then_some(status.image_digest.as_str())
    }

    /// Whether a revision says that it can serve
    pub fn is_ready(&self, revision: &str) -> bool {
        let status = self.revisions.get(revision).and_then(|revision| revision.status.as_ref());
        status.is_some_and(|status| is_true(&status.conditions, "Ready"))
    }

    /// Whether the latest revision was made from the image that the spec asks for. Just after a
    /// patch it was not, and everything else in the status is about the past.
    pub fn is_latest_of_spec(&self) -> bool {
        self.image().is_some_and(|image| self.runs_image(self.latest(), image))
    }

    /// Who else changed the spec last, as the end of a sentence; empty where the object does not say
    pub fn last_changed_by(&self) -> String {
        self.manager().map_or_else(String::new, |manager| format!(", last changed by `{manager}`"))
    }

    fn manager(&self) -> Option<&str> {
        let entries = self.service.as_ref()?.metadata.managed_fields.as_ref()?;
        let others = entries.iter().filter(|entry| {
            let touches_spec =
                entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some());
            touches_spec && entry.manager.as_deref() != Some(FIELD_MANAGER)
        });
        others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.as_deref()
    }
}

/// A duration of Go, such as 1h30m or 600s
fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

#[cfg(test)]
mod tests;
