//! A mount namespace of its own for containerd and kubelet.
//!
//! Their mounts, and the directories they insist on (`/var/lib/kubelet`, `/var/lib/cni`,
//! `/run/containerd`, `/var/log/pods`), exist in there alone: the host sees one bind-mounted
//! namespace file, and nothing is left when that is unmounted, however everything ended.

use std::{ffi::OsString, fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::{Context, Result};

use crate::{
    command,
    places::{RUN, private_dir, private_file, run},
};

/// Inside, `/var/lib`, `/var/log` and `/run` are directories of the run directory. `/var/lib/kanaria`
/// stays what it is. Shared again at the end, because mount propagation into pods needs it.
const FURNISH: &str = "set -e
cd /var/lib/kanaria/host
mount --bind /var/lib/kanaria lib/kanaria
mount --rbind lib /var/lib
mount --bind log /var/log
mount --bind run /run
mount --make-rshared /
";

/// Creates the namespace unless a whole one is there.
pub(crate) fn open() -> Result<()> {
    if run("ns/whole").exists() && is_mount_point(&run("ns/mnt")) {
        return Ok(());
    }
    close()?; // a kill came between
    for dir in ["ns", "host/lib/kanaria", "host/log", "host/run"] {
        private_dir(&run(dir))?;
    }
    // A namespace file can be kept only on a mount that is not shared.
    command::run("mount", [OsString::from("--bind"), run("ns").into(), run("ns").into()])?;
    command::run("mount", [OsString::from("--make-private"), run("ns").into()])?;
    fs::write(run("ns/mnt"), "").context("failed to create the mount namespace's file")?;
    let keep = format!("--mount={RUN}/ns/mnt");
    command::run("unshare", [keep.as_str(), "--propagation=private", "sh", "-c", FURNISH])?;
    private_file(&run("ns/whole"), "")
}

/// Lets go of the namespace. Its mounts end with the last process in it.
pub(crate) fn close() -> Result<()> {
    for path in [run("ns/mnt"), run("ns")] {
        while is_mount_point(&path) {
            command::run("umount", [&path])?;
        }
    }
    Ok(())
}

/// The argument that makes `nsenter` go in.
pub(crate) fn entrance() -> String {
    format!("--mount={RUN}/ns/mnt")
}

/// A process that entered an earlier namespace is in the wrong one.
pub(crate) fn identity() -> String {
    fs::metadata(run("ns/mnt")).map(|file| file.ino().to_string()).unwrap_or_default()
}

fn is_mount_point(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().filter_map(|line| line.split(' ').nth(4)).any(|point| Path::new(point) == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_a_mount_point_and_a_directory_below_it_is_not() {
        assert!(is_mount_point(Path::new("/proc")));
        assert!(!is_mount_point(Path::new("/proc/self")));
    }
}
