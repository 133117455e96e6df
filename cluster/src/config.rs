//! The components' configuration files, and the directories that they expect.

use std::fs;

use anyhow::{Context, Result};

use crate::paths::{private_dir, private_file, run};

/// Files of the run directory's `config/`, as they are.
const FILES: [(&str, &str); 10] = [
    ("containerd.toml", include_str!("../config/containerd.toml")),
    ("cni/kanaria.conflist", include_str!("../config/cni.conflist")),
    ("certs.d/registry.local:5000/hosts.toml", include_str!("../config/registry.local.toml")),
    ("certs.d/127.0.0.1:5000/hosts.toml", include_str!("../config/registry.local.toml")),
    ("certs.d/ghcr.io/hosts.toml", include_str!("../config/ghcr.io.toml")),
    ("kubelet.yaml", include_str!("../config/kubelet.yaml")),
    ("Corefile", include_str!("../config/Corefile")),
    ("registry.yaml", include_str!("../config/registry.yaml")),
    ("prometheus.yaml", include_str!("../config/prometheus.yaml")),
    ("observer.yaml", include_str!("../config/observer.yaml")),
];

/// Rights of the observer, to be applied with kubectl.
pub(crate) const OBSERVER: &str = "config/observer.yaml";

/// Writes every file of this version.
pub(crate) fn write() -> Result<()> {
    for (name, text) in FILES {
        let path = run("config").join(name);
        if fs::read_to_string(&path).is_ok_and(|written| written == text) {
            continue;
        }
        path.parent().map_or(Ok(()), private_dir)?;
        private_file(&path, text)?;
    }
    Ok(())
}

/// Directories that programs expect to find.
pub(crate) fn make_directories() -> Result<()> {
    ["logs", "etcd", "s3", "prometheus", "config"]
        .iter()
        .try_for_each(|name| private_dir(&run(name)))
        .context("failed to lay out the run directory")
}
