//! Which revision gets which share of the requests, and what that makes of it: stable, live, of no use.
//!
//! A state is read from several fields that must agree. None is believed alone: while a canary is
//! not ready KServe already reports its percent, but the revision beside it is the baseline.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    objects::{Component, Target},
    observed::Observed,
};

/// The gateway follows the route within a second or two; a request of a model takes some more.
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

/// A canary that is ready and whose route says what the spec asks for, 0 % included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live<'a> {
    pub canary: &'a str,
    pub baseline: &'a str,
    pub percent: u8,
}

impl Observed {
    /// The one revision that serves all requests, when spec, status and route agree on it
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
    pub fn has_traffic(&self, revision: &str) -> bool {
        self.shares().get(revision).is_some_and(|percent| *percent > 0)
    }

    /// The address of the latest revision alone, if the route has one
    pub fn canary_url(&self) -> Option<&str> {
        let latest = self.component().traffic.iter().find(|target| target.tag == "latest");
        latest.map(|target| target.url.as_str()).filter(|url| !url.is_empty())
    }

    /// What the route says, for people: `iris-predictor-00002 10 %, iris-predictor-00001 90 %`
    pub fn route(&self) -> String {
        let targets = self
            .component()
            .traffic
            .iter()
            .map(|target| format!("{} {} %", target.revision_name, target.percent));
        let route = targets.collect::<Vec<_>>().join(", ");
        if route.is_empty() { "no route yet".into() } else { route }
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
            !is_in_use
                && self.runs_image(name, image)
                && !(self.has_traffic(name) && self.is_ready(name))
        })
    }

    /// Whether a revision may go: it is not ready, so that nobody waits for it, or it has had no requests
    /// for a while. The route's status is ahead of the gateway, and of requests that wait in Knative's
    /// activator: those would get a 404.
    pub fn is_drained(&self, revision: &str) -> bool {
        !self.is_ready(revision) || self.waited >= DRAINS_WITHIN
    }
}
