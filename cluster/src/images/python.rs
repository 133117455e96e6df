//! A stand-in for `python:3.11-slim`, which the Dockerfiles of bentos build on: Debian with its
//! Python, so that their `pip install` and `apt-get install` work as they do on the original.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{AUTHORITIES, Recipe, authorities, directory, write};
use crate::command::run;

pub(super) fn recipe() -> Result<Recipe> {
    Ok(Recipe {
        image: "library/python:3.11-slim",
        made_from: vec![include_str!("python.rs").into(), authorities()?],
        config: &[
            "--cmd=python3",
            "--env=PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            "--env=LANG=C.UTF-8",
            // pip and uv bring their own lists of authorities unless told.
            "--env=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "--env=PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
            "--env=PIP_DISABLE_PIP_VERSION_CHECK=1",
        ],
        fill: |root, _| {
            bootstrap(root)?;
            // Here the container is the environment, as in the original.
            remove(root, "usr/lib/python3.11/EXTERNALLY-MANAGED")?;
            std::os::unix::fs::symlink("python3", root.join("usr/bin/python"))?;
            write(&authorities()?, root, AUTHORITIES.trim_start_matches('/'))
        },
    })
}

fn bootstrap(root: &Path) -> Result<()> {
    run(
        "mmdebstrap",
        [
            "--quiet",
            "--variant=minbase",
            "--include=python3,python3-pip,python3-venv,ca-certificates",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "bookworm",
            &root.display().to_string(),
        ],
    )?;
    // The container runtime brings the devices, and no builder can unpack them.
    let devices = root.join("dev");
    fs::remove_dir_all(&devices).context("failed to remove the devices")?;
    directory(&devices, 0o755)
}

fn remove(root: &Path, name: &str) -> Result<()> {
    fs::remove_file(root.join(name)).with_context(|| format!("failed to remove `{name}`"))
}
