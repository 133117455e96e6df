//! From nothing, or from whatever is left, to a cluster that is ready.

use std::{
    fs,
    panic::resume_unwind,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use step::Failure;

use crate::{
    access::{Cluster, is_current},
    addons::{self, Kubectl},
    build::{
        debian,
        go::{self, Programs},
        manifests,
    },
    certificates, cgroups,
    component::Component,
    components, config,
    down::clear,
    images::registry,
    lock::Lock,
    mounts, network,
    paths::{Cache, bin, private_dir, private_file, run},
    privileges, process,
    progress::Progress,
    store, sysctls,
};

/// Programs of the build that components and people run.
const PROGRAMS: [&str; 12] = [
    "coredns",
    "crane",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kube-state-metrics",
    "kubectl",
    "kubelet",
    "prometheus",
    "versitygw",
];

/// What `up` did.
pub struct Report {
    pub cluster: Cluster,
    /// Components that had to be started; empty when there was nothing to do
    pub started: Vec<&'static str>,
    pub took: Duration,
    /// Memory of all processes and pods, in bytes
    pub memory: u64,
}

impl Cluster {
    /// The cluster that tests and the demo run on, brought up if need be. With `CLUSTER=current`
    /// it is the one that KUBECONFIG names.
    pub fn up(progress: &Progress) -> Result<Self> {
        if is_current() { Self::attach() } else { Ok(up(progress)?.cluster) }
    }
}

/// Brings the cluster up. Builds what the cache lacks, starts what does not run, waits until all is ready.
pub fn up(progress: &Progress) -> Result<Report> {
    privileges::require_root("start the cluster")?;
    let _lock = Lock::take()?;
    let begun = Instant::now();
    let cache = Cache::open()?;
    forget_what_a_reboot_ended()?;
    refuse_another_cache(&cache)?;

    debian::install(progress)?;
    let programs = go::programs(&cache, progress)?;
    let keys = prepare(&cache, &programs)?;

    let [registry, state, api, rest] = components::all(&cache, &keys);
    let mut started = start(&registry, progress)?;
    make_images(&cache, &programs, progress)?;
    started.extend(start(&state, progress)?);
    started.extend(start(&api, progress)?);
    let kubectl = Kubectl {
        program: &programs.bin("kubectl"),
        kubeconfig: &certificates::kubeconfig("admin"),
    };
    if !started.is_empty() {
        addons::free_leases(&kubectl)?;
    }
    admit_observer(&kubectl)?;
    started.extend(start(&rest, progress)?);
    addons::install(&kubectl, &cache, progress)?;

    let cluster = Cluster::attach()?;
    cluster.wait_for_gateway()?;
    Ok(Report { cluster, started, took: begun.elapsed(), memory: memory() })
}

/// Makes the images and manifests that the cache lacks. Needs the registry.
fn make_images(cache: &Cache, programs: &Programs, progress: &Progress) -> Result<()> {
    registry::base_images(cache, programs, progress)?;
    // The stand-in for Python waits for downloads most of its time.
    thread::scope(|scope| {
        let remaining = scope.spawn(|| registry::remaining_images(cache, programs, progress));
        manifests::ensure(cache, programs, progress)?;
        remaining.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Everything that components find in place when they start.
fn prepare(cache: &Cache, programs: &Programs) -> Result<store::Keys> {
    config::make_directories()?;
    private_file(
        &run("cluster.json"),
        json!({ "boot": boot()?, "cache": cache.path() }).to_string(),
    )?;
    link_programs(programs)?;
    config::write()?;
    certificates::ensure()?;
    store::make_bucket()?;
    sysctls::set()?;
    network::open()?;
    cgroups::open()?;
    mounts::open()?;
    store::Keys::ensure()
}

/// `bin/` says which build this cluster runs, and is what `cluster env` puts on the PATH.
fn link_programs(programs: &Programs) -> Result<()> {
    private_dir(&run("bin"))?;
    for name in PROGRAMS {
        let (link, program) = (bin(name), programs.bin(name));
        if fs::read_link(&link).is_ok_and(|linked| linked == program) {
            continue;
        }
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&program, &link)
            .with_context(|| format!("failed to link `{}`", link.display()))?;
    }
    Ok(())
}

/// Starts a group and waits for all of it. Returns the names of those that had to be started.
fn start(group: &[Component], progress: &Progress) -> Result<Vec<&'static str>> {
    let stage = progress.stage(match group {
        [component] => format!("start {}", component.name),
        all => format!("start {} components", all.len()),
    });
    let mut started = Vec::new();
    for component in group {
        if component.ensure_started()? {
            started.push(component.name);
        }
    }
    for component in group {
        stage.set_detail(component.name);
        component.wait_until_ready()?;
    }
    Ok(started)
}

fn admit_observer(cluster: &Kubectl) -> Result<()> {
    let rights = run(config::OBSERVER).display().to_string();
    cluster
        .run(&["apply", "--server-side", "-f", &rights])
        .context("failed to give Prometheus and CoreDNS their rights")?;
    Ok(())
}

pub(crate) fn memory() -> u64 {
    let ours = process::labelled().into_iter().map(|process| process.pid);
    let pods = cgroups::pids();
    process::memory(ours.filter(|pid| !pods.contains(pid)).chain(pods.iter().copied()))
}

/// A reboot ends processes, mounts, interfaces, rules and sysctls, and etcd did not sync its files.
fn forget_what_a_reboot_ended() -> Result<()> {
    match record()? {
        Some(record) if record["boot"] != boot()? => {
            // The machine has its own values again; the saved ones may be another kernel's.
            let _ = fs::remove_file(run("sysctls"));
            clear().context("failed to clear away the cluster of before the reboot")
        }
        _ => Ok(()),
    }
}

fn refuse_another_cache(cache: &Cache) -> Result<()> {
    let Some(record) = record()? else { return Ok(()) };
    let other = record["cache"].as_str().unwrap_or_default();
    if Path::new(other) == cache.path() {
        return Ok(());
    }
    Err(Failure {
        what: format!("failed to start the cluster: the one on this machine was started with the cache `{other}`"),
        hint: format!(
            "stop it with `cluster down`, or set XDG_CACHE_HOME={}",
            Path::new(other).parent().unwrap_or(Path::new("")).display()
        ),
    }
    .into())
}

/// What an earlier `up` wrote down, if there was one.
fn record() -> Result<Option<Value>> {
    match fs::read(run("cluster.json")) {
        Ok(text) => {
            Ok(Some(serde_json::from_slice(&text).context("failed to read the cluster's record")?))
        }
        Err(_) => Ok(None),
    }
}

fn boot() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("failed to read the boot id")?;
    Ok(id.trim().to_owned())
}
