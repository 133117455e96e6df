//! What a test does to the cluster to see whether releases survive it: kill a component, start it again,
//! kill what runs in a container. Only on the cluster of this machine: another one is somebody's.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use step::Failure;

use crate::{
    access::{Cluster, is_current},
    cgroups,
    component::Component,
    components,
    lock::Lock,
    paths::{Cache, run},
    privileges, process,
    store::Keys,
};

impl Cluster {
    /// Whether this is the cluster of this machine, whose components a test may kill.
    pub fn is_embedded(&self) -> bool {
        !is_current()
    }

    /// Ends a component, such as `apiserver` or `prometheus`, by SIGKILL, and returns when its process is gone.
    /// It stays away until [`Cluster::start`] or the next `up`. A component that does not run is dead already.
    pub fn kill(&self, component: &str) -> Result<()> {
        let component = self.component(component, "kill")?;
        let pids = process::labelled()
            .into_iter()
            .filter(|found| found.is_main && found.component == component.name);
        process::kill(&pids.map(|found| found.pid).collect())
            .with_context(|| format!("failed to kill {}", component.name))
    }

    /// Starts a component that was killed, and returns when it answers. Does nothing else, where `up` also
    /// waits for the add-ons and takes their leases from them.
    pub fn start(&self, component: &str) -> Result<()> {
        let component = self.component(component, "start")?;
        let _lock = Lock::take()?;
        component.ensure_started()?;
        component.wait_until_ready()
    }

    /// Ends by SIGKILL the programs that a container's first process started, which sees them die. Without
    /// that one, which is Tekton's own, the steps behind it would wait for ever. `id` is a `containerID` of a
    /// pod's status. Returns how many processes there were: none yet, or none any more.
    pub fn kill_in_container(&self, id: &str) -> Result<usize> {
        let pids = process::started_in(&self.in_container(id, "kill")?);
        process::kill(&pids).with_context(|| format!("failed to kill in container `{id}`"))?;
        Ok(pids.len())
    }

    /// Ends a container whole by SIGKILL, its first process with it, as the kernel does when memory runs out and the
    /// container's group dies as one. Returns how many processes there were.
    pub fn kill_container(&self, id: &str) -> Result<usize> {
        let pids = self.in_container(id, "kill")?;
        process::kill(&pids).with_context(|| format!("failed to kill container `{id}`"))?;
        Ok(pids.len())
    }

    /// Stops all programs of a container by SIGSTOP: its connections stay open, and nobody answers on them. Returns
    /// how many processes there were.
    pub fn freeze_container(&self, id: &str) -> Result<usize> {
        let pids = self.in_container(id, "freeze")?;
        process::freeze(&pids);
        Ok(pids.len())
    }

    /// The processes of a container
    fn in_container(&self, id: &str, verb: &str) -> Result<BTreeSet<i32>> {
        self.refuse_another(&format!("{verb} in a container"))?;
        // `containerd://ID`, and the group's name is ID.
        let id = id.rsplit_once("://").map_or(id, |(_, id)| id);
        ensure!(!id.is_empty(), "failed to {verb} in a container: it has no id yet");
        Ok(cgroups::members_of(id))
    }

    fn component(&self, name: &str, verb: &str) -> Result<Component> {
        self.refuse_another(verb)?;
        ensure!(run("cluster.json").exists(), "failed to {verb} {name}: no cluster runs here");
        let all = components::all(&Cache::open()?, &Keys::read()?);
        let found = all.into_iter().flatten().find(|component| component.name == name);
        found.with_context(|| Failure {
            what: format!("failed to {verb} `{name}`: no component has this name"),
            hint: "`cluster status` lists the names".into(),
        })
    }

    fn refuse_another(&self, verb: &str) -> Result<()> {
        privileges::require_root(verb)?;
        ensure!(
            self.is_embedded(),
            "failed to {verb}: the cluster that KUBECONFIG names is not ours to harm"
        );
        Ok(())
    }
}
