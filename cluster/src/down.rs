//! From whatever is there to nothing of ours.

use std::{collections::BTreeSet, fs, thread, time::Duration};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    cgroups,
    lock::Lock,
    network,
    paths::{RUN, run},
    privileges, process, sysctls,
};

/// What one look misses was being started during it: a few looks see the end.
const LOOKS: usize = 20;
/// The kernel empties the groups of killed processes a little later.
const GROUPS_EMPTY: Duration = Duration::from_millis(100);

/// Removes every process, mount, interface, rule, group, setting and file of the cluster. The
/// cache stays. Right whatever was killed before, and when nothing is there.
pub fn down() -> Result<()> {
    privileges::require_root("stop the cluster")?;
    let _lock = Lock::take()?;
    clear()
}

type Act = fn() -> Result<()>;

/// Goes on after a failure and reports all of them.
pub(crate) fn clear() -> Result<()> {
    let acts: [(&str, Act); 5] = [
        ("end all processes", end_processes),
        ("close the network", close_network),
        ("remove the control groups", remove_groups),
        ("restore the sysctls", sysctls::restore),
        ("remove the run directory", remove_files),
    ];
    let mut failures = Vec::new();
    for (what, act) in acts {
        if let Err(error) = act() {
            failures.push(format!("{what}: {error:#}"));
            // Files that a process still uses, or that say what is left to restore, stay.
            if matches!(what, "end all processes" | "restore the sysctls") {
                break;
            }
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        bail!("failed to stop the cluster: {}", failures.join("; "))
    }
}

fn end_processes() -> Result<()> {
    // The registry's files outlive the cluster.
    let all = process::labelled();
    if let Some(registry) =
        all.iter().find(|process| process.is_main && process.component == "registry")
    {
        process::stop(registry.pid, Duration::from_secs(5))?;
    }
    // While the kubelet lives, it starts again what is killed.
    let managers = all
        .iter()
        .filter(|process| matches!(process.component.as_str(), "kubelet"))
        .map(|process| process.pid);
    process::kill(&managers.collect())?;
    for _ in 0..LOOKS {
        let left = everyone();
        if left.is_empty() {
            return Ok(());
        }
        process::kill(&left)?;
    }
    bail!("new ones keep appearing: {:?}", everyone())
}

fn everyone() -> BTreeSet<i32> {
    process::labelled().into_iter().map(|process| process.pid).chain(cgroups::pids()).collect()
}

fn close_network() -> Result<()> {
    network::close();
    let left = network::leftovers();
    ensure!(left.is_empty(), "still there: {}", left.join(", "));
    Ok(())
}

fn remove_groups() -> Result<()> {
    for _ in 0..LOOKS {
        if cgroups::close().is_ok() {
            return Ok(());
        }
        thread::sleep(GROUPS_EMPTY);
    }
    cgroups::close()
}

fn remove_files() -> Result<()> {
    if run("").exists() {
        fs::remove_dir_all(RUN).with_context(|| format!("failed to remove `{RUN}`"))
    } else {
        Ok(())
    }
}
