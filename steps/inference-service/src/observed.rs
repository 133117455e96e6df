//! One look at the cluster, and which states of a release it shows.
//!
//! A state is read from several fields that must agree. None is believed alone: while a canary is
//! not ready KServe already reports its percent, but the revision beside it is the baseline.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{Event, Pod};
use model_container::{BROUGHT, or_null};
use serde_json::Value;

use crate::{
    CONTAINER, Component, Condition, Diagnosis, Fields, InferenceService, Mark, PROGRESS_DEADLINE,
    Revision, Run, Target, objects, same_image,
};

/// The gateway follows the route within a second or two; a request of a model takes some more.
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

/// What one look found. A service that is not there has no `service`.
#[derive(Clone, Debug)]
pub struct Seen {
    pub namespace: String,
    pub name: String,
    pub service: Option<InferenceService>,
    /// Every revision of the service that still exists
    pub revisions: BTreeMap<String, Revision>,
    /// The pods of the latest revision while it is not ready
    pub pods: Vec<Pod>,
    /// What happened to one of them that has no container yet, oldest first; none without the right to know
    pub events: Option<Vec<Event>>,
    pub mark: Mark,
    /// Runs of the namespace that have not ended, when the service was asked to look for them
    pub unfinished: Vec<Run>,
    /// Whether they are known: they were looked for, there is Tekton, and the rights suffice
    pub knows_runs: bool,
    /// False once the API has refused to store the mark
    pub can_mark: bool,
    /// False once the API has refused to delete a revision
    pub can_delete: bool,
    /// Since this process last changed something, or began
    pub waited: Duration,
    /// How many patches this process has made
    pub patches: usize,
}

fn fields_of(revision: &Revision) -> Fields {
    let mut containers = revision.spec.containers.iter();
    let container = containers.find(|container| container.name == CONTAINER);
    container.map(|container| container.fields.clone()).unwrap_or_default()
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            name: String::new(),
            service: None,
            revisions: BTreeMap::new(),
            pods: Vec::new(),
            events: None,
            mark: Mark::default(),
            unfinished: Vec::new(),
            knows_runs: false,
            can_mark: true,
            can_delete: true,
            waited: Duration::ZERO,
            patches: 0,
        }
    }
}

/// A canary that is ready and whose route says what the spec asks for, 0 % included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live<'a> {
    pub canary: &'a str,
    pub baseline: &'a str,
    pub percent: u8,
}

static NOTHING: Component = Component {
    latest_created_revision: String::new(),
    latest_ready_revision: String::new(),
    latest_rolledout_revision: String::new(),
    previous_rolledout_revision: String::new(),
    traffic: Vec::new(),
};

impl Seen {
    /// The name a person would look for: `NAMESPACE/NAME`
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    #[must_use]
    pub fn uid(&self) -> &str {
        self.service
            .as_ref()
            .and_then(|service| service.metadata.uid.as_deref())
            .unwrap_or_default()
    }

    /// Where the model's container stands in the spec, and its image
    pub(crate) fn container(&self) -> Option<(usize, &str)> {
        let containers = &self.service.as_ref()?.spec.predictor.containers;
        let index = containers.iter().position(|container| container.name == CONTAINER)?;
        Some((index, &containers[index].image))
    }

    /// The image that the spec asks for, literally
    #[must_use]
    pub fn image(&self) -> Option<&str> {
        self.container().map(|(_, image)| image)
    }

    /// A field of the model's container, such as `env`; null when it is not there
    pub(crate) fn field(&self, name: &str) -> Value {
        let container = self
            .service
            .as_ref()
            .zip(self.container())
            .and_then(|(service, (index, _))| service.spec.predictor.containers.get(index));
        container.map(|container| container.fields.get(name)).unwrap_or_default()
    }

    /// Fields of the model's container that a release can bring, as the spec has them
    #[must_use]
    pub fn fields(&self) -> Fields {
        Fields(BROUGHT.iter().map(|name| ((*name).to_owned(), self.field(name))).collect())
    }

    /// The same as they were before the canary that the spec asks for, if it asks for one
    #[must_use]
    pub fn fields_before(&self) -> Fields {
        let image = self.image().unwrap_or_default();
        let before = if self.is_latest_of_spec() && self.latest() == self.rolled_out() {
            Fields::default()
        } else if self.mark.is_of(image) || same_image(&self.mark.replaced, image) {
            self.mark.before.clone()
        } else {
            self.fields_lost(self.rolled_out())
        };
        before.or(self.fields())
    }

    /// Fields of a baseline in which the revision of the spec differs, for want of a note of them.
    ///
    /// Both revisions have the defaults of KServe and Knative, so that those do not differ, and the
    /// variables that KServe adds to all.
    #[must_use]
    pub fn fields_lost(&self, baseline: &str) -> Fields {
        let latest = Some(self.latest()).filter(|_| self.is_latest_of_spec());
        let fields = |revision: &str| self.revisions.get(revision).map(fields_of);
        let (Some(latest), Some(baseline)) = (latest.and_then(fields), fields(baseline)) else {
            return Fields::default();
        };
        let differing = BROUGHT.iter().filter(|name| baseline.get(name) != latest.get(name));
        let of_baseline = |name: &str| match (baseline.get(name), latest.get(name)) {
            (Value::Array(variables), Value::Array(others)) => {
                let asked = self.field(name);
                let asked = asked.as_array().map_or(&[][..], Vec::as_slice);
                let is_added = |one: &Value| others.contains(one) && !asked.contains(one);
                variables.into_iter().filter(|one| !is_added(one)).collect()
            }
            (value, _) => value,
        };
        Fields(differing.map(|name| ((*name).to_owned(), or_null(of_baseline(name)))).collect())
    }

    /// Whether the pods of the service pull with this Secret
    #[must_use]
    pub fn has_pull_secret(&self, secret: &str) -> bool {
        self.pull_secrets().is_some_and(|secrets| secrets.iter().any(|one| one["name"] == secret))
    }

    pub(crate) fn pull_secrets(&self) -> Option<&[Value]> {
        self.service.as_ref()?.spec.predictor.image_pull_secrets.as_deref()
    }

    /// The percent that the spec asks for; none and 0 differ
    #[must_use]
    pub fn percent(&self) -> Option<i64> {
        self.service.as_ref()?.spec.predictor.canary_traffic_percent
    }

    /// KServe's record of revisions and traffic, empty before the first
    #[must_use]
    pub fn component(&self) -> &Component {
        let status = self.service.as_ref().and_then(|service| service.status.as_ref());
        status.map_or(&NOTHING, |status| &status.components.predictor)
    }

    #[must_use]
    pub fn latest(&self) -> &str {
        &self.component().latest_created_revision
    }

    /// The revision that had 100 % last
    #[must_use]
    pub fn rolled_out(&self) -> &str {
        &self.component().latest_rolledout_revision
    }

    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.service.as_ref()?.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub(crate) fn has_annotations(&self) -> bool {
        self.service.as_ref().is_some_and(|service| service.metadata.annotations.is_some())
    }

    /// How long Knative waits for the next revision to become ready, if the service says so
    #[must_use]
    pub fn progress_deadline(&self) -> Option<Duration> {
        duration(self.annotation(PROGRESS_DEADLINE)?)
    }

    /// How long it waits for one that is made like this
    #[must_use]
    pub fn progress_deadline_of(&self, revision: &str) -> Option<Duration> {
        duration(self.annotation_of(revision, PROGRESS_DEADLINE)?)
    }

    /// What gives the next revision the progress deadline that this one has; nothing where the revision
    /// is gone, or where another place than the service's annotation says it.
    #[must_use]
    pub fn deadline_like(&self, revision: &str) -> BTreeMap<String, Option<String>> {
        let latest = self.annotation_of(self.latest(), PROGRESS_DEADLINE);
        let is_known = self.revisions.contains_key(revision)
            && (!self.is_latest_of_spec() || self.annotation(PROGRESS_DEADLINE) == latest);
        let wanted = self.annotation_of(revision, PROGRESS_DEADLINE).map(String::from);
        is_known.then(|| (PROGRESS_DEADLINE.to_owned(), wanted)).into_iter().collect()
    }

    fn annotation_of(&self, revision: &str, key: &str) -> Option<&str> {
        let annotations = self.revisions.get(revision)?.metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    }

    /// A condition of the service, such as `PredictorRouteReady`
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        objects::condition(self.conditions(), kind)
    }

    fn conditions(&self) -> &[Condition] {
        self.service
            .as_ref()
            .and_then(|service| service.status.as_ref())
            .map_or(&[], |status| &status.conditions)
    }

    fn is_true(&self, kind: &str) -> bool {
        objects::is_true(self.conditions(), kind)
    }

    /// Whether a revision was made from an image
    #[must_use]
    pub fn runs(&self, revision: &str, image: &str) -> bool {
        let spec = self.image_in_spec_of(revision);
        spec.is_some_and(|spec| same_image(spec, image))
            || self.resolved_image_of(revision).is_some_and(|resolved| same_image(resolved, image))
    }

    /// The image of a revision by digest, if the revision is still there
    #[must_use]
    pub fn image_of(&self, revision: &str) -> Option<&str> {
        let spec = self.image_in_spec_of(revision)?;
        if crate::has_digest(spec) { Some(spec) } else { self.resolved_image_of(revision) }
    }

    fn image_in_spec_of(&self, revision: &str) -> Option<&str> {
        let containers = &self.revisions.get(revision)?.spec.containers;
        containers
            .iter()
            .find(|container| container.name == CONTAINER)
            .map(|container| container.image.as_str())
    }

    fn resolved_image_of(&self, revision: &str) -> Option<&str> {
        let statuses = &self.revisions.get(revision)?.status.as_ref()?.container_statuses;
        let status = statuses.iter().find(|status| status.name == CONTAINER)?;
        crate::has_digest(&status.image_digest).then_some(status.image_digest.as_str())
    }

    /// Whether a revision says that it can serve
    #[must_use]
    pub fn is_ready(&self, revision: &str) -> bool {
        let status = self.revisions.get(revision).and_then(|revision| revision.status.as_ref());
        status.is_some_and(|status| objects::is_true(&status.conditions, "Ready"))
    }

    /// Whether the latest revision was made from the image that the spec asks for. Just after a
    /// patch it was not, and everything else in the status is about the past.
    #[must_use]
    pub fn is_latest_of_spec(&self) -> bool {
        self.image().is_some_and(|image| self.runs(self.latest(), image))
    }

    /// The one revision that serves all requests, when spec, status and route agree on it
    #[must_use]
    pub fn stable(&self) -> Option<&str> {
        let Component {
            latest_created_revision,
            latest_ready_revision,
            latest_rolledout_revision,
            ..
        } = self.component();
        let settled = self.percent().is_none_or(|percent| percent == 100)
            && !latest_created_revision.is_empty()
            && latest_created_revision == latest_ready_revision
            && latest_created_revision == latest_rolledout_revision
            && self.is_latest_of_spec()
            && self.shares() == BTreeMap::from([(latest_created_revision.as_str(), 100)])
            && self.is_true("Ready");
        settled.then_some(latest_created_revision)
    }

    /// The canary beside its baseline, when it is ready and spec, status and route agree
    #[must_use]
    pub fn live(&self) -> Option<Live<'_>> {
        let Component {
            latest_created_revision: canary,
            latest_ready_revision,
            latest_rolledout_revision: baseline,
            ..
        } = self.component();
        let percent = u8::try_from(self.percent()?).ok().filter(|percent| *percent < 100)?;
        let share = i64::from(percent);
        let settled = !baseline.is_empty()
            && canary != baseline
            && canary == latest_ready_revision
            && self.is_latest_of_spec()
            && self.shares()
                == BTreeMap::from([(canary.as_str(), share), (baseline.as_str(), 100 - share)])
            && self
                .component()
                .traffic
                .iter()
                .any(|target| target.latest_revision && target.revision_name == *canary)
            && ["PredictorConfigurationReady", "PredictorRouteReady", "Ready"]
                .iter()
                .all(|kind| self.is_true(kind))
            && self.is_ready(canary);
        settled.then_some(Live { canary, baseline, percent })
    }

    fn shares(&self) -> BTreeMap<&str, i64> {
        let mut shares = BTreeMap::new();
        for Target { revision_name, percent, .. } in &self.component().traffic {
            *shares.entry(revision_name.as_str()).or_default() += percent;
        }
        shares
    }

    /// Whether the route gives a revision any requests
    #[must_use]
    pub fn has_traffic(&self, revision: &str) -> bool {
        self.shares().get(revision).is_some_and(|percent| *percent > 0)
    }

    /// The address of the latest revision alone, if the route has one
    #[must_use]
    pub fn canary_url(&self) -> Option<&str> {
        let latest = self.component().traffic.iter().find(|target| target.tag == "latest");
        latest.map(|target| target.url.as_str()).filter(|url| !url.is_empty())
    }

    /// What the route says, for people: `iris-predictor-00002 10 %, iris-predictor-00001 90 %`
    #[must_use]
    pub fn route(&self) -> String {
        let targets = self
            .component()
            .traffic
            .iter()
            .map(|target| format!("{} {} %", target.revision_name, target.percent));
        let route = targets.collect::<Vec<_>>().join(", ");
        if route.is_empty() { "no route yet".into() } else { route }
    }

    /// Why the service is not ready, in the words of its own conditions
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        let kinds = [
            "PredictorConfigurationReady",
            "PredictorRouteReady",
            "PredictorReady",
            "IngressReady",
            "Ready",
        ];
        let failing = kinds
            .iter()
            .filter_map(|kind| self.condition(kind))
            .filter(|condition| condition.status != "True");
        let told = failing.map(|Condition { reason, message, .. }| {
            match (reason.as_str(), message.as_str()) {
                (reason, "") => reason.to_owned(),
                ("", message) => message.to_owned(),
                (reason, message) => format!("{reason}: {message}"),
            }
        });
        told.into_iter().find(|text| !text.is_empty())
    }

    /// Why the latest revision of the spec is not serving yet, as one line for people; an error
    /// when waiting is useless.
    pub fn waiting_for(&self, who: &str) -> Result<String, Diagnosis> {
        if !self.is_latest_of_spec() {
            let what = format!(
                "wait for KServe to make a revision of `{}`",
                self.image().unwrap_or_default()
            );
            return match self.refusal() {
                Some(diagnosis) if diagnosis.hopeless => Err(diagnosis),
                Some(Diagnosis { why, .. }) => Ok(format!("{what}: {why}")),
                None => Ok(what),
            };
        }
        let latest = self.latest();
        // Where KServe cannot hand on a change that makes no other image, only it says so.
        let refusal = || self.refusal().filter(|refusal| refusal.hopeless);
        match self.diagnosis().or_else(refusal) {
            Some(diagnosis) if diagnosis.hopeless => Err(diagnosis),
            Some(Diagnosis { why, .. }) => {
                Ok(format!("wait for {who} `{latest}` to become ready: {why}"))
            }
            None if !self.is_ready(latest) => {
                Ok(format!("wait for {who} `{latest}` to become ready"))
            }
            None => {
                let why = self.unready().map_or_else(String::new, |why| format!(" ({why})"));
                Ok(format!("wait for the route of {who} `{latest}`; now {}{why}", self.route()))
            }
        }
    }

    /// Revisions that run an image and are of no use any more, though their pods may go on: neither the
    /// latest, which Knative would make again, nor the one that serves, nor one that has requests.
    ///
    /// The route of a revision that is not ready is stuck, and deleting it frees the route: Knative falls
    /// back to the newest ready revision, which is the one that serves.
    pub fn leftovers<'a>(&'a self, image: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self
            .revisions
            .iter()
            .filter(|(_, revision)| revision.metadata.deletion_timestamp.is_none());
        names.map(|(name, _)| name.as_str()).filter(move |name| {
            let is_in_use = *name == self.latest() || *name == self.rolled_out();
            !is_in_use && self.runs(name, image) && !(self.has_traffic(name) && self.is_ready(name))
        })
    }

    /// Whether a revision may go: it is not ready, so that nobody waits for it, or it has had no requests
    /// for a while. The route's status is ahead of the gateway, and of requests that wait in Knative's
    /// activator: those would get a 404.
    #[must_use]
    pub fn is_drained(&self, revision: &str) -> bool {
        !self.is_ready(revision) || self.waited >= DRAINS_WITHIN
    }

    /// Whether KServe could not even hand the spec on, so that no revision will come of it
    #[must_use]
    pub fn is_refused_by_kserve(&self) -> bool {
        let condition = self.condition("PredictorReady");
        condition.is_some_and(|condition| {
            condition.status == "False" && condition.reason == "ReconcileFailed"
        })
    }

    /// Whether KServe could not hand the spec on because a quota has no room for one more pod. It
    /// tries the pods of the new spec first, also when only the percent changes.
    #[must_use]
    pub fn is_refused_by_quota(&self) -> bool {
        let condition = self.condition("PredictorReady");
        self.is_refused_by_kserve()
            && condition.is_some_and(|condition| condition.message.contains("exceeded quota"))
    }

    /// Who else changed the spec last, if the object says so
    #[must_use]
    pub fn manager(&self) -> Option<&str> {
        let entries = self.service.as_ref()?.metadata.managed_fields.as_ref()?;
        let others = entries.iter().filter(|entry| {
            let touches_spec =
                entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some());
            touches_spec && entry.manager.as_deref() != Some(crate::client::FIELD_MANAGER)
        });
        others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.as_deref()
    }
}

/// A duration of Go, such as 1h30m or 600s
fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}
