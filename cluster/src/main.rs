//! Runs a real one-node cluster on this machine: the command line, and what it prints.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use cluster::{Cluster, Progress, Report};
use step::Outcome;

/// Run a real one-node cluster on this machine: Kubernetes, Tekton, Knative, KServe, a registry, an S3 store, Prometheus
///
/// The first `up` builds everything from pinned modules and takes about 15 minutes on two cores;
/// later ones take seconds. Linux, root, and package registries are all it needs.
#[derive(Parser)]
#[command(
    name = "cluster",
    after_help = "\
Examples:
  cargo run -p cluster -- up                 build what is missing, start what does not run
  eval \"$(cargo run -q -p cluster -- env)\"   then: kubectl get pods -A
  cargo run -p cluster -- logs kubelet -f
  cargo run -p cluster -- down               leaves nothing but the cache in ~/.cache/kanaria"
)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring the cluster up; with nothing to do it takes a second or two
    Up,
    /// Say what runs. Exit code 3 when something is not ready
    Status,
    /// Remove every process, mount, interface, firewall rule, sysctl and file of the cluster
    Down,
    /// Print the log of a component or Deployment that `status` names
    Logs {
        component: String,
        /// Go on with what is logged from now on
        #[arg(short, long)]
        follow: bool,
    },
    /// Print shell lines that point kubectl and S3 clients at the cluster
    Env,
}

fn main() -> ExitCode {
    // On a thread of its own, so that a signal ends even a long build.
    step::run(async |Args { verb }| {
        tokio::task::spawn_blocking(|| act(verb)).await.context("failed to finish")?
    })
}

fn act(verb: Verb) -> Result<Outcome> {
    match verb {
        Verb::Up => up(),
        Verb::Status => status(),
        Verb::Down => down(),
        Verb::Logs { component, follow } => logs(&component, follow),
        Verb::Env => print(&Cluster::attach()?.shell()),
    }
}

fn up() -> Result<Outcome> {
    let Report { cluster, started, took, memory } = cluster::up(&Progress::new())?;
    let what = match started.len() {
        0 => "the cluster is up, nothing had to be started".into(),
        _ => format!("the cluster is up, started: {}", started.join(", ")),
    };
    print(&format!(
        "{what}

  Kubernetes   {}
  registry     {}, in pods {}
  S3           {}, in pods {}, bucket {}
  Prometheus   {}, in pods {}
  gateway      {}, with a Host such as iris-predictor.default.example.test

ready after {:.1} s, memory {}
next: eval \"$(cargo run -q -p cluster -- env)\"",
        cluster.kubeconfig.display(),
        cluster.registry.host,
        cluster.registry.pod,
        cluster.store.endpoint.host,
        cluster.store.endpoint.pod,
        cluster.store.bucket,
        cluster.prometheus.host,
        cluster.prometheus.pod,
        cluster.gateway,
        took.as_secs_f64(),
        mebibytes(memory),
    ))
}

fn status() -> Result<Outcome> {
    let Some(rows) = cluster::status()? else {
        print("no cluster runs on this machine")?;
        return Ok(Outcome::No);
    };
    let line = |name: &str, state: &str, memory: &str, place: &str, does: &str| {
        format!("{name:<34} {state:<9} {memory:>9}  {place:<46} {does}").trim_end().to_owned()
    };
    let mut lines = vec![line("NAME", "STATE", "MEMORY", "LISTENS ON, OR NAMESPACE", "DOES")];
    lines.extend(rows.iter().map(|row| {
        let memory = row.memory.map(mebibytes).unwrap_or_default();
        line(&row.name, &row.state, &memory, &row.place, row.does)
    }));
    lines.push(line(
        "in all",
        "",
        &mebibytes(rows.iter().filter_map(|row| row.memory).sum()),
        "",
        "",
    ));
    print(&lines.join("\n"))?;
    Ok(if rows.iter().all(|row| row.is_ready) { Outcome::Done } else { Outcome::No })
}

fn down() -> Result<Outcome> {
    cluster::down()?;
    print("no cluster runs on this machine; what it was built from stays in the cache")
}

fn logs(component: &str, follow: bool) -> Result<Outcome> {
    let ended =
        cluster::log_command(component, follow)?.status().context("failed to show the log")?;
    ensure!(ended.success(), "failed to show the log of `{component}`: {ended}");
    Ok(Outcome::Done)
}

fn print(text: &str) -> Result<Outcome> {
    step::print(format!("{text}\n"))?;
    Ok(Outcome::Done)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1 << 20))
}
