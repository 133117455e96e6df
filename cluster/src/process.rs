//! The processes of the cluster, found by the label that each carries in its environment.
//!
//! A label cannot go stale as a pid file can: it exists exactly as long as its process, whoever
//! was killed in between.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::retry_until;

/// Names the component whose process this is. What containerd starts inherits it.
pub(crate) const COMPONENT: &str = "KANARIA_PART";
/// Digest of the command line and the files it was started with.
pub(crate) const STARTED_WITH: &str = "KANARIA_STARTED_WITH";

/// The kernel needs moments to end a killed process; one that takes this long hangs in a device.
const KILLED_IS_GONE: Duration = Duration::from_secs(10);

/// A living process of the cluster.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) component: String,
    pub(crate) started_with: String,
    /// The component's own process, not one that it started.
    pub(crate) is_main: bool,
}

/// All living processes that carry a label.
pub(crate) fn labelled() -> Vec<Process> {
    pids().filter_map(|pid| labels(&Path::new("/proc").join(pid.to_string()), pid)).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn labels(proc: &Path, pid: i32) -> Option<Process> {
    let environment = fs::read(proc.join("environ")).ok()?;
    let value = |name: &str| {
        let found = environment.split(|byte| *byte == 0).find_map(|pair| {
            pair.strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")
                .map(|value| String::from_utf8_lossy(value).into_owned())
        });
        found.filter(|value| !value.is_empty())
    };
    let component = value(COMPONENT)?;
    let stat = Stat::parse(&fs::read_to_string(proc.join("stat")).ok()?)?;
    let alive = !matches!(stat.state, 'Z' | 'X') && shares_our_network(proc);
    alive.then(|| Process {
        pid,
        component,
        started_with: value(STARTED_WITH).unwrap_or_default(),
        // Each component is started by `setsid`, so it leads its session, and its shims do not.
        is_main: stat.session == pid,
    })
}

/// A cluster in a container of this machine, say a test of this one, has a network of its own.
fn shares_our_network(proc: &Path) -> bool {
    fs::read_link(proc.join("ns/net")).ok() == fs::read_link("/proc/self/ns/net").ok()
}

struct Stat {
    state: char,
    parent: i32,
    session: i32,
}

impl Stat {
    /// proc(5): the name in parentheses may itself hold spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        Some(Self { state, parent, session })
    }
}

/// Asks a process to end, and ends it when it has not done so within `limit`.
pub(crate) fn stop(pid: i32, limit: Duration) -> Result<()> {
    signal(pid, Signal::TERM);
    if wait_until_gone(pid, limit) {
        return Ok(());
    }
    kill(&BTreeSet::from([pid]))
}

/// Ends processes at once and waits until the kernel has let go of them.
pub(crate) fn kill(pids: &BTreeSet<i32>) -> Result<()> {
    for pid in pids {
        signal(*pid, Signal::KILL);
    }
    let stuck: Vec<_> = pids.iter().filter(|pid| !wait_until_gone(**pid, KILLED_IS_GONE)).collect();
    ensure!(
        stuck.is_empty(),
        "failed to end the processes {stuck:?}: they are still there after SIGKILL"
    );
    Ok(())
}

/// Has processes stand still as they are, with all that they have open, until something ends them.
pub(crate) fn freeze(pids: &BTreeSet<i32>) {
    for pid in pids {
        signal(*pid, Signal::STOP);
    }
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Already gone is what was wanted.
        let _ = kill_process(pid, signal);
    }
}

fn wait_until_gone(pid: i32, limit: Duration) -> bool {
    retry_until(limit, Duration::from_millis(20), || (!is_alive(pid)).then_some(())).is_some()
}

/// A zombie whose other threads are still on their way out holds its sockets yet.
fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    match stat.as_deref().and_then(Stat::parse).map(|stat| stat.state) {
        None | Some('X') => false,
        Some('Z') => {
            fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() > 1)
        }
        Some(_) => true,
    }
}

/// Of these processes those that another one of them started.
pub(crate) fn started_in(group: &BTreeSet<i32>) -> BTreeSet<i32> {
    let parent = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Stat::parse(&stat).map(|stat| stat.parent)
    };
    let is_started = |pid: &i32| parent(pid).is_some_and(|parent| group.contains(&parent));
    group.iter().copied().filter(is_started).collect()
}

/// Memory in bytes that would be free if these processes ended: each one's own pages, and its
/// share of those that it shares.
pub(crate) fn memory(pids: impl IntoIterator<Item = i32>) -> u64 {
    let rollup = |pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    pids.into_iter().map(|pid| proportional_set(&rollup(pid))).sum()
}

fn proportional_set(rollup: &str) -> u64 {
    let kib = rollup.lines().find_map(|line| {
        line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use std::{process::Command, thread};

    use super::*;

    fn sleeper(component: &str) -> std::process::Child {
        Command::new("setsid")
            .args(["sleep", "600"])
            .env(COMPONENT, component)
            .env(STARTED_WITH, "abc")
            .spawn()
            .unwrap()
    }

    /// `exec` has made a `sleep` of it.
    fn wait_until_asleep(child: &std::process::Child) {
        let line = format!("/proc/{}/cmdline", child.id());
        while !fs::read(&line).is_ok_and(|line| line.starts_with(b"sleep")) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn find(component: &str) -> Option<Process> {
        labelled().into_iter().find(|process| process.component == component && process.is_main)
    }

    #[test]
    fn a_component_is_found_by_its_label_until_it_is_stopped() {
        let mut child = sleeper("test-found");
        while find("test-found").is_none() {
            thread::sleep(Duration::from_millis(5));
        }
        let found = find("test-found").unwrap();
        assert_eq!((found.pid, found.started_with.as_str()), (child.id().cast_signed(), "abc"));
        // Our own child stays a zombie until it is waited for; a zombie does not count as alive.
        stop(found.pid, Duration::from_secs(5)).unwrap();
        assert!(find("test-found").is_none());
        child.wait().unwrap();
    }

    #[test]
    fn a_component_of_a_cluster_in_another_network_is_not_ours() {
        let mut child = Command::new("setsid")
            .args(["unshare", "--map-root-user", "--net", "sleep", "600"])
            .env(COMPONENT, "test-elsewhere")
            .spawn()
            .unwrap();
        wait_until_asleep(&child);
        assert!(find("test-elsewhere").is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_shrugs_off_sigterm_is_killed() {
        let mut child =
            Command::new("sh").args(["-c", "trap '' TERM; exec sleep 600"]).spawn().unwrap();
        wait_until_asleep(&child); // the trap is set by then
        stop(child.id().cast_signed(), Duration::from_millis(50)).unwrap();
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn what_a_first_process_started_is_told_from_it() {
        // The shell's second command keeps it from becoming the first one.
        let mut shell = Command::new("sh").args(["-c", "sleep 600; true"]).spawn().unwrap();
        let parent = shell.id().cast_signed();
        let children = || {
            let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
            list.unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
        };
        let mut child: BTreeSet<i32> = children();
        while child.is_empty() {
            thread::sleep(Duration::from_millis(5));
            child = children();
        }
        let both = child.iter().copied().chain([parent]).collect();
        assert_eq!(started_in(&both), child);
        assert_eq!(started_in(&child), BTreeSet::new(), "nobody here started it");
        kill(&child).unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn the_state_is_read_past_a_name_full_of_parentheses() {
        let stat = Stat::parse("42 (a) (b)) S 1 42 40 0 -1").unwrap();
        assert_eq!((stat.state, stat.parent, stat.session), ('S', 1, 40));
    }

    #[test]
    fn memory_is_the_proportional_set_in_bytes() {
        assert_eq!(
            proportional_set(
                "00400000-7ff [rollup]\nRss:   900 kB\nPss:     12 kB\nPss_Dirty: 3 kB\n"
            ),
            12 * 1024
        );
        assert_eq!(proportional_set(""), 0);
    }
}
