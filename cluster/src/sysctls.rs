//! Kernel settings that the cluster needs or that the kubelet changes, and their way back.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    command,
    paths::{private_file, run},
};

const WANTED: [(&str, &str); 3] = [
    ("net.ipv4.ip_forward", "1"),
    // A Service's answer between two pods of one bridge passes through NAT only with this.
    ("net.bridge.bridge-nf-call-iptables", "1"),
    // Each program that watches a file takes one; Linux' own 128 are too few for 40 of them.
    ("fs.inotify.max_user_instances", "1024"),
];

/// The kubelet sets these at its start, whatever it is told.
const CHANGED_BY_THE_KUBELET: [&str; 6] = [
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
];

pub(crate) fn set() -> Result<()> {
    if !file("net.bridge.bridge-nf-call-iptables").exists() {
        command::run("modprobe", ["br_netfilter"])
            .context("failed to load the kernel's bridge filter")?;
    }
    // Only the first `up` sees the machine's own values.
    if !saved().exists() {
        let names = WANTED.iter().map(|(name, _)| *name).chain(CHANGED_BY_THE_KUBELET);
        let values: BTreeMap<_, _> = names.filter_map(|name| Some((name, get(name)?))).collect();
        private_file(&saved(), serde_json::to_string_pretty(&values)?)?;
    }
    for (name, value) in WANTED {
        if is_less(&get(name).unwrap_or_default(), value) {
            fs::write(file(name), value)
                .with_context(|| format!("failed to set the sysctl `{name}`"))?;
        }
    }
    Ok(())
}

/// Puts back what `set` found.
pub(crate) fn restore() -> Result<()> {
    let Ok(text) = fs::read_to_string(saved()) else { return Ok(()) };
    let values: BTreeMap<String, String> =
        serde_json::from_str(&text).context("failed to read the saved sysctls")?;
    for (name, value) in values {
        if get(&name).as_ref() != Some(&value) {
            fs::write(file(&name), value)
                .with_context(|| format!("failed to restore the sysctl `{name}`"))?;
        }
    }
    Ok(())
}

fn saved() -> PathBuf {
    run("sysctls")
}

fn file(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name.replace('.', "/"))
}

fn get(name: &str) -> Option<String> {
    Some(fs::read_to_string(file(name)).ok()?.trim().to_owned())
}

/// A machine that already allows more keeps it.
fn is_less(now: &str, wanted: &str) -> bool {
    match (now.parse::<u64>(), wanted.parse::<u64>()) {
        (Ok(now), Ok(wanted)) => now < wanted,
        _ => now != wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_allows_more_keeps_it() {
        assert!(is_less("0", "1"));
        assert!(!is_less("1", "1"));
        assert!(!is_less("8192", "1024"));
    }

    #[test]
    fn every_setting_exists_on_linux() {
        let missing: Vec<_> =
            CHANGED_BY_THE_KUBELET.iter().filter(|name| get(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
