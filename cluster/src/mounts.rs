//! A mount namespace of its own for containerd and kubelet.
//!
//! Their mounts, and the directories they insist on (`/var/lib/kubelet`, `/var/lib/cni`,
//! `/run/containerd`, `/var/log/pods`), exist in there alone. The host sees nothing of it, and
//! nothing is left of it when the last process in it ends, however that ends.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    paths::{private_dir, run},
    process::{self, Process},
    wait::retry_until,
};

/// The process that does nothing but hold the namespace when containerd is started again.
const HOLDER: &str = "mounts";

/// Inside, `/var/lib`, `/var/log` and `/run` are directories of the run directory. `/var/lib/kanaria`
/// stays what it is. Shared again at the end, because mount propagation into pods needs it.
const MOUNT_ALL: &str = "set -e
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
const MOUNTED: Duration = Duration::from_secs(30);

/// Sees to it that the namespace is there and has its holder.
pub(crate) fn open() -> Result<()> {
    if holder().is_none() {
        for dir in ["host/lib/kanaria", "host/log", "host/run"] {
            private_dir(&run(dir))?;
        }
        start_holder().context("failed to make the mount namespace")?;
    }
    let mounted = retry_until(MOUNTED, Duration::from_millis(10), || {
        holder().filter(|holder| is_mounted(holder.pid))
    });
    mounted.map(drop).with_context(|| {
        format!("failed to make the mount namespace: `mount` says why in `{}`", log().display())
    })
}

/// In the namespace that others are in, because the holder alone was killed, or in a new one.
fn start_holder() -> Result<()> {
    let mut line = Command::new("setsid");
    match process::labelled().into_iter().find(is_inside) {
        Some(member) => line.args(["nsenter", &entrance_of(member.pid), "sleep", "infinity"]),
        None => line.args(["unshare", "--mount", "--propagation=private", "sh", "-c", MOUNT_ALL]),
    };
    let log = fs::File::create(log())?;
    line.env(process::COMPONENT, HOLDER)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    line.spawn()?;
    Ok(())
}

/// The argument that makes `nsenter` go in.
pub(crate) fn entrance() -> Result<String> {
    Ok(entrance_of(
        holder().context("failed to enter the mount namespace: its holder is gone")?.pid,
    ))
}

/// A process that entered an earlier namespace is in the wrong one.
pub(crate) fn identity() -> String {
    let namespace =
        holder().and_then(|holder| fs::metadata(format!("/proc/{}/ns/mnt", holder.pid)).ok());
    namespace.map(|file| file.ino().to_string()).unwrap_or_default()
}

fn holder() -> Option<Process> {
    process::labelled().into_iter().find(|process| process.is_main && process.component == HOLDER)
}

/// containerd's other children may be on their way into a container's own namespace.
fn is_inside(process: &Process) -> bool {
    let is_shim = || {
        fs::read(format!("/proc/{}/cmdline", process.pid))
            .is_ok_and(|line| line.starts_with(b"/usr/bin/containerd-shim"))
    };
    matches!(&process.component[..], "containerd" | "kubelet") && (process.is_main || is_shim())
}

fn entrance_of(pid: i32) -> String {
    format!("--mount=/proc/{pid}/ns/mnt")
}

/// The holder becomes `sleep` when all is mounted.
fn is_mounted(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\0"))
}

fn log() -> std::path::PathBuf {
    run("logs/mounts.log")
}
