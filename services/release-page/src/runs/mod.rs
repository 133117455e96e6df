//! The runs of releases, those of the cluster and those that the store has kept, and the releases that they make.
//!
//! - `packed`: a run that has ended, in little memory
//! - `entry`: a run, packed or not, and where it is
//! - this file: all of them, by service

mod entry;
mod packed;

use std::{collections::BTreeMap, sync::Arc};

use release_record::{
    release::{Release, releases},
    run::{RunRecord, TaskRecord},
};

use self::entry::Entry;

/// `TaskRuns` that come before their PipelineRun; more are of runs that are not shown.
const MOST_EARLY: usize = 1_000;

/// By namespace and name of the service
type Services = BTreeMap<(Arc<str>, Arc<str>), ServiceRuns>;

/// All runs that are known.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    services: Services,
    /// The service of each run, by namespace and name of the run
    services_of: BTreeMap<(Arc<str>, Box<str>), Arc<str>>,
    /// Tasks of runs that have not come yet, by the same
    early: BTreeMap<(Arc<str>, Box<str>), Vec<TaskRecord>>,
}

/// The runs of one service
#[derive(Debug, Default)]
struct ServiceRuns {
    /// By name
    runs: BTreeMap<Box<str>, Entry>,
    /// Newest first
    releases: Vec<Arc<Release>>,
    /// What of its releases is out
    canary: Option<CanaryOut>,
    has_changed: bool,
}

/// A canary that nobody has taken back, as its service says
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CanaryOut {
    /// That made it
    pub(crate) run: String,
    pub(crate) version: String,
}

impl Runs {
    /// Takes a PipelineRun of the cluster, whose tasks come by themselves.
    pub(crate) fn put_run(&mut self, mut record: RunRecord) -> bool {
        let key = self.key(&record.namespace, &record.name);
        let service: Arc<str> = record.service.as_str().into();
        if self.services_of.get(&key).is_some_and(|before| *before != service) {
            self.forget(&key.0, &key.1);
        }
        record.tasks = self.early.remove(&key).unwrap_or_default();
        let of_service = self.services.entry((Arc::clone(&key.0), Arc::clone(&service)));
        let of_service = of_service.or_default();
        let changed = if let Some(entry) = of_service.runs.get_mut(&key.1) {
            entry.put_run(record)
        } else {
            of_service.runs.insert(key.1.clone(), Entry::of_cluster(record));
            true
        };
        of_service.has_changed |= changed;
        self.services_of.insert(key, service);
        changed
    }

    /// Takes a TaskRun of the cluster.
    pub(crate) fn put_task(&mut self, namespace: &str, run: &str, task: TaskRecord) -> bool {
        let key = self.key(namespace, run);
        if let Some(of_service) = self.of_run(&key) {
            let changed = of_service.runs.get_mut(run).is_some_and(|entry| entry.put_task(task));
            of_service.has_changed |= changed;
            return changed;
        }
        if self.early.len() < MOST_EARLY || self.early.contains_key(&key) {
            let tasks = self.early.entry(key).or_default();
            tasks.retain(|before| before.name != task.name);
            tasks.push(task);
        }
        false
    }

    /// The cluster has the run no more; the store may have.
    pub(crate) fn remove_run(&mut self, namespace: &str, run: &str) -> bool {
        let key = self.key(namespace, run);
        self.early.remove(&key);
        let Some(of_service) = self.of_run(&key) else { return false };
        let Some(entry) = of_service.runs.get_mut(run) else { return false };
        entry.is_in_cluster = false;
        of_service.has_changed = true;
        if entry.kept_in.is_none() {
            self.forget(namespace, run);
        }
        true
    }

    /// Removes the cluster's runs of a namespace, or of all, that are not to be kept.
    pub(crate) fn retain_runs(
        &mut self,
        namespace: Option<&str>,
        keep: &dyn Fn(&str, &str) -> bool,
    ) -> bool {
        let is_gone = |(of, run): &&(Arc<str>, Box<str>)| {
            namespace.is_none_or(|namespace| namespace == &**of) && !keep(of, run)
        };
        let gone: Vec<_> = self.services_of.keys().filter(is_gone).cloned().collect();
        let is_of_cluster = |runs: &mut Self, key: &(Arc<str>, Box<str>)| {
            let entry = runs.of_run(key).and_then(|of_service| of_service.runs.get(&key.1));
            entry.is_some_and(|entry| entry.is_in_cluster)
        };
        let mut changed = false;
        for key in gone {
            if is_of_cluster(self, &key) {
                changed |= self.remove_run(&key.0, &key.1);
            }
        }
        changed
    }

    /// The store has this run, as was found in this round. Says whether the run is known.
    pub(crate) fn mark_kept(&mut self, namespace: &str, run: &str, round: u32) -> bool {
        let key = self.key(namespace, run);
        let entry = self.of_run(&key).and_then(|of_service| of_service.runs.get_mut(run));
        entry.is_some_and(|entry| {
            entry.kept_in = Some(round);
            true
        })
    }

    /// Takes a run that the store has. The cluster's own is the newer, while it is there.
    pub(crate) fn put_kept(&mut self, record: RunRecord, round: u32) -> bool {
        if self.mark_kept(&record.namespace, &record.name, round) {
            return false;
        }
        let run = self.key(&record.namespace, &record.name);
        let service: Arc<str> = record.service.as_str().into();
        let of_service = self.services.entry((Arc::clone(&run.0), Arc::clone(&service)));
        let of_service = of_service.or_default();
        of_service.runs.insert(run.1.clone(), Entry::of_store(record, round));
        of_service.has_changed = true;
        self.services_of.insert(run, service);
        true
    }

    /// Removes what neither the store had in this round nor the cluster has.
    pub(crate) fn end_round(&mut self, round: u32) -> bool {
        let mut gone = Vec::new();
        for ((namespace, _), of_service) in &mut self.services {
            for (run, entry) in &mut of_service.runs {
                if entry.kept_in.is_some_and(|kept_in| kept_in != round) {
                    entry.kept_in = None;
                    if !entry.is_in_cluster {
                        gone.push((Arc::clone(namespace), run.clone()));
                    }
                }
            }
        }
        for (namespace, run) in &gone {
            self.forget(namespace, run);
        }
        !gone.is_empty()
    }

    /// Makes what has changed of them into releases, of which the canaries of these services are, and packs what will
    /// hardly change any more. Until all is listed nothing is made of them: it would be made anew for each.
    pub(crate) fn settle(
        &mut self,
        is_listed: bool,
        canary_of: impl Fn(&str, &str) -> Option<CanaryOut>,
    ) {
        for ((namespace, service), of_service) in &mut self.services {
            let canary = canary_of(namespace, service);
            of_service.has_changed |= canary != of_service.canary;
            of_service.canary = canary;
            if is_listed && std::mem::take(&mut of_service.has_changed) {
                of_service.make_releases();
            }
            of_service.runs.values_mut().for_each(Entry::pack);
        }
        self.services.retain(|_, of_service| !of_service.runs.is_empty());
    }

    /// All releases, newest first
    pub(crate) fn releases(&self) -> Vec<Arc<Release>> {
        let all = self.services.values().flat_map(|of_service| &of_service.releases);
        let mut all: Vec<_> = all.cloned().collect();
        all.sort_by(|a, b| b.began.cmp(&a.began).then_with(|| a.runs.cmp(&b.runs)));
        all
    }

    /// Those of a service, newest first
    pub(crate) fn releases_of(&self, namespace: &str, service: &str) -> &[Arc<Release>] {
        let of_service = self.services.get(&(namespace.into(), service.into()));
        of_service.map_or(&[], |of_service| &of_service.releases)
    }

    /// The `TaskRuns` of this task in the cluster that have begun and not ended, of a service: run and TaskRun
    pub(crate) fn running(
        &self,
        namespace: &str,
        service: &str,
        task: &str,
    ) -> Vec<(String, String)> {
        let of_service = self.services.get(&(namespace.into(), service.into()));
        let runs = of_service.into_iter().flat_map(|of_service| of_service.runs.values());
        runs.filter(|entry| entry.is_in_cluster)
            .filter_map(Entry::unended)
            .flat_map(|run| {
                let running = run.tasks.iter().filter(|found| {
                    found.task == task && found.started.is_some() && found.ended.is_none()
                });
                running.map(|found| (run.name.clone(), found.name.clone()))
            })
            .collect()
    }

    fn of_run(&mut self, key: &(Arc<str>, Box<str>)) -> Option<&mut ServiceRuns> {
        let service = self.services_of.get(key)?;
        self.services.get_mut(&(Arc::clone(&key.0), Arc::clone(service)))
    }

    /// With the namespace's text shared by all runs
    fn key(&self, namespace: &str, run: &str) -> (Arc<str>, Box<str>) {
        let known = self.services.range((Arc::from(namespace), Arc::from(""))..).next();
        let known = known.map(|((of, _), _)| of).filter(|of| &***of == namespace);
        (known.map_or_else(|| namespace.into(), Arc::clone), run.into())
    }

    fn forget(&mut self, namespace: &str, run: &str) {
        let key = (Arc::from(namespace), run.into());
        if let Some(of_service) = self.of_run(&key) {
            of_service.runs.remove(run);
            of_service.has_changed = true;
            if of_service.runs.is_empty() {
                of_service.releases.clear();
            }
        }
        self.services_of.remove(&key);
    }
}

impl ServiceRuns {
    fn make_releases(&mut self) {
        let records: Vec<RunRecord> = self.runs.values().filter_map(Entry::record).collect();
        let before = std::mem::take(&mut self.releases);
        let made = releases(&records);
        let out = self.canary.as_ref().and_then(|canary| out(canary, &made));
        self.releases = (0..)
            .zip(made)
            .map(|(at, release)| if Some(at) == out { release.with_its_canary() } else { release })
            .map(|release| {
                let same = before.iter().find(|before| ***before == release);
                same.map_or_else(|| Arc::new(release), Arc::clone)
            })
            .collect();
    }
}

/// Which release a canary is of: the one that made it, or where that run is gone the newest of its version.
fn out(canary: &CanaryOut, releases: &[Release]) -> Option<usize> {
    let made = releases.iter().position(|release| release.runs.contains(&canary.run));
    made.or_else(|| releases.iter().position(|release| release.version == canary.version))
}

#[cfg(test)]
mod tests;
