//! A mount namespace of its own for containerd and kubelet.
//!
//! Their mounts, and the directories they insist on (`/var/lib/kubelet`, `/var/lib/cni`,
//! `/run/containerd`, `/var/log/pods`), exist in there alone. The host sees nothing of it, and
//! nothing is left of it when the last process in it ends, however that ends.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    paths::{private_dir, run},
    process::{self, Process},
};

/// The process that does nothing but keep the namespace when containerd is started again.
const KEEPER: &str = "mounts";

/// Inside, `/var/lib`, `/var/log` and `/run` are directories of the run directory. `/var/lib/kanaria`
/// stays what it is. Shared again at the end, because mount propagation into pods needs it.
const FURNISH: &str = "set -e
cd /var/lib/kanaria/host
mount --bind /var/lib/kanaria lib/kanaria
mount --rbind lib /var/lib
mount --bind log /var/log
mount --bind run /run
mount --make-rshared /
cd /
exec sleep infinity
";

/// Six mounts take milliseconds; a busy machine takes its time.
const FURNISHED: Duration = Duration::from_secs(30);

/// Sees to it that the namespace is there and has its keeper.
pub(crate) fn open() -> Result<()> {
    if keeper().is_none() {
        for dir in ["host/lib/kanaria", "host/log", "host/run"] {
            private_dir(&run(dir))?;
        }
        start_keeper().context("failed to make the mount namespace")?;
    }
    let begun = Instant::now();
    while !keeper().is_some_and(|keeper| is_furnished(keeper.pid)) {
        ensure!(
            begun.elapsed() < FURNISHED,
            "failed to make the mount namespace: `mount` says why in `{}`",
            log().display()
        );
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// In the namespace that is inhabited, because the keeper alone was killed, or in a new one.
fn start_keeper() -> Result<()> {
    let mut line = Command::new("setsid");
    match process::labelled().into_iter().find(lives_inside) {
        Some(inhabitant) => line.args(["nsenter", &inside(inhabitant.pid), "sleep", "infinity"]),
        None => line.args(["unshare", "--mount", "--propagation=private", "sh", "-c", FURNISH]),
    };
    let log = fs::File::create(log())?;
    line.env(process::PART, KEEPER)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    line.spawn()?;
    Ok(())
}

/// The argument that makes `nsenter` go in.
pub(crate) fn entrance() -> Result<String> {
    Ok(inside(keeper().context("failed to enter the mount namespace: its keeper is gone")?.pid))
}

/// A process that entered an earlier namespace is in the wrong one.
pub(crate) fn identity() -> String {
    let namespace =
        keeper().and_then(|keeper| fs::metadata(format!("/proc/{}/ns/mnt", keeper.pid)).ok());
    namespace.map(|file| file.ino().to_string()).unwrap_or_default()
}

fn keeper() -> Option<Process> {
    process::labelled().into_iter().find(|process| process.is_main && process.part == KEEPER)
}

/// containerd's other children may be on their way into a container's own namespace.
fn lives_inside(process: &Process) -> bool {
    let is_shim = || {
        fs::read(format!("/proc/{}/cmdline", process.pid))
            .is_ok_and(|line| line.starts_with(b"/usr/bin/containerd-shim"))
    };
    matches!(&process.part[..], "containerd" | "kubelet") && (process.is_main || is_shim())
}

fn inside(pid: i32) -> String {
    format!("--mount=/proc/{pid}/ns/mnt")
}

/// The keeper becomes `sleep` when all is mounted.
fn is_furnished(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\0"))
}

fn log() -> std::path::PathBuf {
    run("logs/mounts.log")
}
