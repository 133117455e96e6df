//! What runs, as a table.

use std::process::Command;

use anyhow::{Context, Result};
use step::Failure;

use crate::{
    access::Cluster,
    cgroups,
    component::{Component, State},
    components,
    paths::{Cache, run},
    privileges, process,
    store::Keys,
};

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    /// `ready`, `silent`, `outdated`, `dead`; `READY/WANTED` for a Deployment
    pub state: String,
    pub is_ready: bool,
    /// Bytes
    pub memory: Option<u64>,
    /// Where it listens, or its namespace
    pub place: String,
    pub does: &'static str,
}

/// Every component, and every Deployment of the add-ons. None when no cluster runs here.
pub fn status() -> Result<Option<Vec<Row>>> {
    privileges::require_root("look at the cluster")?;
    if !run("cluster.json").exists() {
        return Ok(None);
    }
    let components = components::all(&Cache::open()?, &Keys::read()?);
    let mut rows: Vec<_> = components.iter().flatten().map(row).collect();
    rows.push(Row {
        name: "pods".into(),
        state: "-".into(),
        is_ready: true,
        memory: Some(process::memory(cgroups::pids())),
        place: "10.244.0.0/24".into(),
        does: "all containers",
    });
    // Without an answer, the API server's own row says why.
    let deployments =
        Cluster::attach().and_then(|cluster| cluster.deployments()).unwrap_or_default();
    rows.extend(deployments.into_iter().map(|[namespace, name, ready]| Row {
        name,
        is_ready: ready.split_once('/').is_some_and(|(ready, wanted)| ready == wanted),
        state: ready,
        memory: None,
        place: namespace,
        does: "",
    }));
    Ok(Some(rows))
}

fn row(component: &Component) -> Row {
    let state = component.state();
    let (text, pid) = match state {
        State::Ready(pid) => ("ready", Some(pid)),
        State::Silent(pid) => ("silent", Some(pid)),
        State::Outdated(pid) => ("outdated", Some(pid)),
        State::Dead => ("dead", None),
    };
    Row {
        name: component.name.into(),
        state: text.into(),
        is_ready: matches!(state, State::Ready(_)),
        memory: pid.map(|pid| process::memory([pid])),
        place: component.listens.join(" "),
        does: component.does,
    }
}

/// The command that shows the log of a component or of an add-on's Deployment.
pub fn log_command(name: &str, follow: bool) -> Result<Command> {
    let log = run("logs").join(format!("{name}.log"));
    if log.exists() {
        let mut tail = Command::new("tail");
        tail.args(["-n", if follow { "20" } else { "+1" }]).args(follow.then_some("-F")).arg(log);
        return Ok(tail);
    }
    let cluster = Cluster::attach()?;
    let deployments = cluster.deployments()?;
    let [namespace, ..] = deployments
        .iter()
        .find(|[_, deployment, _]| deployment == name)
        .with_context(|| Failure {
            what: format!(
                "failed to find the log of `{name}`: no component and no Deployment has this name"
            ),
            hint: "`cluster status` lists the names".into(),
        })?;
    let mut kubectl = Command::new(&cluster.kubectl);
    kubectl.arg("--kubeconfig").arg(&cluster.kubeconfig).args([
        "logs",
        "--all-containers",
        "-n",
        namespace,
    ]);
    kubectl.args(follow.then_some("--follow")).arg(format!("deployment/{name}"));
    Ok(kubectl)
}
