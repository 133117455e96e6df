//! What the watches have brought of services.

use std::{collections::BTreeMap, sync::Arc};

use inference_service::{InferenceService, Revision, decision_lease, lease_name};
use k8s_openapi::api::coordination::v1::Lease;
use kube::core::ObjectMeta;
use release_record::release::Release;

use super::{
    seen::{Held, OwnerMark, Says, Seen, digest_of_revision},
    service,
};
use crate::{known, runs::CanaryOut};

/// Namespace and name
type Key = (String, String);

/// All of them
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// The services themselves
    seen: BTreeMap<Key, Seen>,
    /// The digest of the image that a revision was made of
    digests: BTreeMap<Key, Box<str>>,
    /// By the name of the Lease
    leases: BTreeMap<Key, Held>,
    /// By namespace: who has stopped all releases, and why
    stopped: BTreeMap<String, String>,
    /// As it was shown last, so that what has not changed takes no memory again
    shown: Vec<Arc<known::Service>>,
}

impl Services {
    pub(super) fn put(&mut self, service: &InferenceService) -> bool {
        put(&mut self.seen, key(&service.metadata), Seen::of(service))
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> bool {
        remove(&mut self.seen, namespace, name)
    }

    pub(super) fn retain(
        &mut self,
        namespace: Option<&str>,
        keep: &dyn Fn(&str, &str) -> bool,
    ) -> bool {
        retain(&mut self.seen, namespace, keep)
    }

    pub(super) fn put_revision(&mut self, revision: &Revision) -> bool {
        let digest = digest_of_revision(revision).unwrap_or_default();
        put(&mut self.digests, key(&revision.metadata), digest.into())
    }

    pub(super) fn remove_revision(&mut self, namespace: &str, name: &str) -> bool {
        remove(&mut self.digests, namespace, name)
    }

    pub(super) fn retain_revisions(
        &mut self,
        namespace: Option<&str>,
        keep: &dyn Fn(&str, &str) -> bool,
    ) -> bool {
        retain(&mut self.digests, namespace, keep)
    }

    pub(super) fn put_lease(&mut self, lease: &Lease) -> bool {
        let key = key(&lease.metadata);
        match Held::of(lease, &key.1) {
            Some(held) => put(&mut self.leases, key, held),
            None => self.leases.remove(&key).is_some(),
        }
    }

    pub(super) fn remove_lease(&mut self, namespace: &str, name: &str) -> bool {
        remove(&mut self.leases, namespace, name)
    }

    pub(super) fn retain_leases(
        &mut self,
        namespace: Option<&str>,
        keep: &dyn Fn(&str, &str) -> bool,
    ) -> bool {
        retain(&mut self.leases, namespace, keep)
    }

    /// By whom and why all releases of a namespace are stopped, or that they are not.
    pub(super) fn stop(&mut self, namespace: &str, by: Option<String>) -> bool {
        match by {
            Some(by) => self.stopped.insert(namespace.to_owned(), by.clone()) != Some(by),
            None => self.stopped.remove(namespace).is_some(),
        }
    }

    pub(super) fn retain_stopped(
        &mut self,
        namespace: Option<&str>,
        keep: &dyn Fn(&str, &str) -> bool,
    ) -> bool {
        let before = self.stopped.len();
        self.stopped.retain(|of, _| {
            namespace.is_some_and(|namespace| namespace != of)
                || keep(of, inference_service::STOP_SWITCH)
        });
        self.stopped.len() != before
    }

    /// The canary of ours that is out
    pub(crate) fn canary_out(&self, namespace: &str, name: &str) -> Option<CanaryOut> {
        let seen = self.seen.get(&(namespace.to_owned(), name.to_owned()))?;
        let mark = self.mark(namespace, name, seen)?;
        service::is_out(seen, Some(mark))
            .then(|| CanaryOut { run: mark.run.clone(), version: mark.version.clone() })
    }

    /// All services as they are shown, by namespace and name, with these releases of each.
    pub(crate) fn shown<'a>(
        &mut self,
        releases_of: impl Fn(&str, &str) -> &'a [Arc<Release>],
    ) -> Vec<Arc<known::Service>> {
        let before = std::mem::take(&mut self.shown);
        let mut before = before.into_iter().peekable();
        let shown = self.seen.iter().map(|(key, seen)| {
            let (namespace, name) = key;
            let releases = releases_of(namespace, name);
            let service = self.service(namespace, name, seen, releases);
            let order =
                |shown: &known::Service| (&shown.namespace, &shown.name) < (namespace, name);
            while before.next_if(|shown| order(shown)).is_some() {}
            match before.next_if(|shown| **shown == service) {
                Some(same) => same,
                None => Arc::new(service),
            }
        });
        let shown: Vec<_> = shown.collect();
        self.shown.clone_from(&shown);
        shown
    }

    fn service(
        &self,
        namespace: &str,
        name: &str,
        seen: &Seen,
        releases: &[Arc<Release>],
    ) -> known::Service {
        let mark = self.mark(namespace, name, seen);
        let decisions = match self.lease(decision_lease(name), namespace, name, seen) {
            Some(Says::Decisions(decisions)) => decisions.clone(),
            _ => Vec::new(),
        };
        let digest_of = |revision: &str| {
            self.digests
                .get(&(namespace.to_owned(), revision.to_owned()))
                .map_or("", |digest| digest)
        };
        known::Service {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            url: seen.url.clone(),
            is_ready: seen.is_ready,
            message: seen.message.clone(),
            split: service::split(seen, mark, releases, digest_of),
            canary: service::canary(seen, mark, releases, digest_of),
            decisions,
            stopped: self.stopped.get(namespace).cloned(),
        }
    }

    fn mark(&self, namespace: &str, name: &str, seen: &Seen) -> Option<&OwnerMark> {
        match self.lease(lease_name(name), namespace, name, seen) {
            Some(Says::Mark(mark)) => Some(mark),
            _ => None,
        }
    }

    /// What a Lease of this service says
    fn lease(&self, lease: String, namespace: &str, name: &str, seen: &Seen) -> Option<&Says> {
        let held = self.leases.get(&(namespace.to_owned(), lease))?;
        (held.service == name && held.uid == seen.uid).then_some(&held.says)
    }
}

fn key(metadata: &ObjectMeta) -> Key {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

fn put<T: PartialEq>(all: &mut BTreeMap<Key, T>, key: Key, value: T) -> bool {
    if all.get(&key) == Some(&value) {
        return false;
    }
    all.insert(key, value);
    true
}

fn remove<T>(all: &mut BTreeMap<Key, T>, namespace: &str, name: &str) -> bool {
    all.remove(&(namespace.to_owned(), name.to_owned())).is_some()
}

fn retain<T>(
    all: &mut BTreeMap<Key, T>,
    namespace: Option<&str>,
    keep: &dyn Fn(&str, &str) -> bool,
) -> bool {
    let before = all.len();
    all.retain(|(of, name), _| {
        namespace.is_some_and(|namespace| namespace != of) || keep(of, name)
    });
    all.len() != before
}
