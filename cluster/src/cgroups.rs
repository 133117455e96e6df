//! The control groups below which all pods run: a list of their processes that no crash can lose.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The kubelet's `cgroupRoot`, so that its groups are told from any other program's.
const GROUP: &str = "kanaria";

/// Creates the group in each hierarchy: the kubelet insists that it is there.
pub(crate) fn open() -> Result<()> {
    for group in groups() {
        fs::create_dir_all(&group)
            .with_context(|| format!("failed to create the group `{}`", group.display()))?;
    }
    Ok(())
}

/// Every process of every pod.
pub(crate) fn pids() -> BTreeSet<i32> {
    groups().iter().flat_map(|group| below(group)).flat_map(|group| members(&group)).collect()
}

/// The processes of one container, whose id is its group's name.
pub(crate) fn members_of(container: &str) -> BTreeSet<i32> {
    let of_pods = groups().into_iter().flat_map(|group| below(&group));
    of_pods.filter(|group| group.ends_with(container)).flat_map(|group| members(&group)).collect()
}

/// Removes the groups, the deepest first. A group with processes stays.
pub(crate) fn close() -> Result<()> {
    for group in groups().iter().flat_map(|group| below(group)) {
        fs::remove_dir(&group)
            .with_context(|| format!("failed to remove the group `{}`", group.display()))?;
    }
    Ok(())
}

/// Our group in cgroup v2, or in each hierarchy of v1, or in both where a machine has both.
fn groups() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().filter_map(hierarchy).map(|root| root.join(GROUP)).collect()
}

/// `… MOUNT_POINT OPTIONS - cgroup2 …`, see proc(5).
fn hierarchy(line: &str) -> Option<PathBuf> {
    let (mount, file_system) = line.split_once(" - ")?;
    let kind = file_system.split(' ').next()?;
    matches!(kind, "cgroup" | "cgroup2").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
}

/// A group and all below it, the deepest first.
fn below(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let children = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found: Vec<_> = children.flat_map(|child| below(&child.path())).collect();
    if group.exists() {
        found.push(group.to_owned());
    }
    found
}

fn members(group: &Path) -> Vec<i32> {
    let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    list.lines().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_hierarchies_are_found_and_nothing_else() {
        let line = |kind| {
            format!("30 29 0:25 / /sys/fs/cgroup/pids rw,relatime shared:9 - {kind} cgroup rw,pids")
        };
        let found = Some(PathBuf::from("/sys/fs/cgroup/pids"));
        assert_eq!(hierarchy(&line("cgroup")), found);
        assert_eq!(hierarchy(&line("cgroup2")), found);
        assert_eq!(hierarchy(&line("tmpfs")), None);
    }

    #[test]
    fn the_deepest_group_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let deepest = dir.path().join("kubepods/pod1");
        fs::create_dir_all(&deepest).unwrap();
        assert_eq!(
            below(dir.path()),
            [deepest, dir.path().join("kubepods"), dir.path().to_owned()]
        );
    }
}
