//! What comes from Debian.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use step::Failure;

use crate::{command, progress::Progress};

/// Packages that the components, the images and the demo need.
const PACKAGES: [&str; 18] = [
    "buildah",
    "busybox-static",
    "ca-certificates",
    "containerd",
    "containernetworking-plugins",
    "docker-registry",
    "gcc",
    "iproute2",
    "iptables",
    "kmod",
    "libc6-dev",
    "mmdebstrap",
    "nftables",
    "procps",
    "python3",
    "python3-pip",
    "python3-venv",
    "runc",
];

/// Debian's own switch against services that start when they are installed: ours are started by us.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const NO_SERVICES: &str = "#!/bin/sh\n# Removed as soon as the packages are installed.\nexit 101\n";

/// Installs the packages that are missing, or says how.
pub(crate) fn install(progress: &Progress) -> Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    let stage = progress.stage("install packages");
    stage.set_detail(missing.join(" "));
    let policy = Policy::set()?;
    let installed = apt_install(&missing).with_context(|| Failure {
        what: format!("failed to install Debian packages: {}", missing.join(" ")),
        hint: format!("run `apt-get update && apt-get install --no-install-recommends {}` and see what it says", missing.join(" ")),
    });
    drop(policy);
    installed
}

fn missing() -> Result<Vec<&'static str>> {
    let known = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"])
        .output()
        .with_context(|| Failure {
            what: "failed to ask for installed packages".into(),
            hint: "the cluster runs on Debian 12 or a relative of it: it needs dpkg and apt".into(),
        })?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    let is_installed =
        |package: &&str| known.lines().any(|line| line == format!("installed {package}"));
    Ok(PACKAGES.iter().copied().filter(|package| !is_installed(package)).collect())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let apt = |args: &[&str]| {
        command::read(Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())?;
    Ok(())
}

/// The switch is off again when this is dropped, and a switch that somebody else set stays.
struct Policy;

impl Policy {
    fn set() -> Result<Option<Self>> {
        let is_free = fs::read_to_string(POLICY).map_or(true, |text| text == NO_SERVICES);
        if !is_free {
            return Ok(None);
        }
        fs::write(POLICY, NO_SERVICES).with_context(|| format!("failed to write `{POLICY}`"))?;
        command::run("chmod", [Path::new("755"), Path::new(POLICY)])?;
        Ok(Some(Self))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = fs::remove_file(POLICY);
    }
}
