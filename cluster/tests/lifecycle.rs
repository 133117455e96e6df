//! The life of the real cluster of this machine. These tests kill and stop it, so they run only
//! when asked for: `cargo test -p cluster --test lifecycle -- --ignored`.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    collections::BTreeSet,
    fs,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use cluster::{Cluster, Progress, RUN, Report};

/// There is one cluster per machine, so there is one test at a time.
static CLUSTER: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    CLUSTER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn up() -> Report {
    cluster::up(&Progress::new()).unwrap()
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Processes with a component's label, the pods' processes not among them.
fn labelled(component: &str) -> BTreeSet<String> {
    let label = format!("KANARIA_PART={component}");
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.parse::<u32>().is_ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|pair| pair.starts_with(label.as_bytes()))
    })
    .collect()
}

/// What the add-ons hold: who holds one does the work.
fn leases(cluster: &Cluster) -> BTreeSet<String> {
    let uids = "jsonpath={.items[*].metadata.uid}";
    let found = ["tekton-pipelines", "knative-serving"].map(|namespace| {
        cluster.kubectl(["get", "leases", "--namespace", namespace, "--output", uids]).unwrap()
    });
    found.iter().flat_map(|uids| uids.split_whitespace()).map(str::to_owned).collect()
}

fn kill(pids: &BTreeSet<String>) {
    let killed = Command::new("kill").arg("-9").args(pids).status().unwrap();
    assert!(killed.success());
}

/// What a machine has that a cluster adds to. Interfaces, rules, mounts, groups and settings.
fn machine() -> Vec<(&'static str, String)> {
    let settings =
        ["vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops", "net.ipv4.ip_forward"];
    vec![
        ("interfaces", output("ip", &["-o", "link", "show"])),
        ("nftables", output("nft", &["list", "tables"])),
        ("iptables", output("iptables-save", &[])),
        ("mounts", fs::read_to_string("/proc/self/mounts").unwrap()),
        ("groups", output("find", &["/sys/fs/cgroup", "-name", "kanaria"])),
        ("settings", output("sysctl", &settings)),
        (
            "directories",
            output(
                "find",
                &[
                    "/run/containerd",
                    "/var/lib/kubelet",
                    "/var/lib/cni",
                    "/var/log/pods",
                    RUN,
                    "-maxdepth",
                    "0",
                ],
            ),
        ),
    ]
}

#[test]
#[ignore = "works on the cluster of this machine"]
fn up_with_nothing_to_do_starts_nothing() {
    let _alone = alone();
    up();
    assert_eq!(up().started, Vec::<&str>::new());
}

#[test]
#[ignore = "works on the cluster of this machine"]
fn every_pod_of_the_add_ons_keeps_some_processor_while_images_are_built() {
    let _alone = alone();
    let cluster = up().cluster;
    let pods = cluster
        .kubectl([
            "get",
            "pods",
            "--all-namespaces",
            "--output",
            r#"jsonpath={range .items[*]}{.metadata.name} {.status.qosClass}{"\n"}{end}"#,
        ])
        .unwrap();
    assert!(pods.contains("kourier-gateway"), "{pods}");
    let starved: Vec<_> = pods.lines().filter(|pod| pod.ends_with("BestEffort")).collect();
    assert_eq!(starved, Vec::<&str>::new());
}

#[test]
#[ignore = "kills a component of the cluster of this machine"]
fn a_component_that_died_is_started_again_and_no_other() {
    let _alone = alone();
    up();
    kill(&labelled("scheduler"));
    kill(&labelled("prometheus"));
    assert_eq!(up().started, ["scheduler", "prometheus"]);
}

#[test]
#[ignore = "kills a component of the cluster of this machine"]
fn a_component_killed_for_a_test_is_gone_until_it_is_started() {
    let _alone = alone();
    let cluster = up().cluster;
    cluster.kill("prometheus").unwrap();
    assert_eq!(labelled("prometheus"), BTreeSet::new());
    cluster.kill("prometheus").expect("what is dead can be killed");
    cluster.start("prometheus").unwrap();
    assert_eq!(up().started, Vec::<&str>::new());
    assert!(cluster.kill("warp-drive").is_err());
}

#[test]
#[ignore = "kills every process of the cluster of this machine"]
fn a_cluster_whose_every_process_was_killed_comes_back_with_what_it_knew() {
    let _alone = alone();
    let Report { cluster, .. } = up();
    let name = "lifecycle-remembers";
    let _ = cluster.kubectl(["delete", "configmap", name]);
    cluster.kubectl(["create", "configmap", name, "--from-literal=day=tuesday"]).unwrap();
    let pods: BTreeSet<String> =
        output("find", &["/sys/fs/cgroup", "-path", "*/kanaria/*", "-name", "cgroup.procs"])
            .lines()
            .flat_map(|file| {
                fs::read_to_string(file)
                    .unwrap_or_default()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
    let held = leases(&cluster);
    assert!(!held.is_empty());
    kill(&labelled("").union(&pods).cloned().collect());

    let Report { cluster, .. } = up();
    assert!(leases(&cluster).is_disjoint(&held), "nobody waits for the dead");
    let kept = cluster.kubectl(["get", "configmap", name, "-o", "jsonpath={.data.day}"]).unwrap();
    assert_eq!(kept, "tuesday");
    cluster.kubectl(["delete", "configmap", name]).unwrap();
}

#[test]
#[ignore = "stops the cluster of this machine and starts another"]
fn down_leaves_the_machine_as_it_was() {
    let _alone = alone();
    cluster::down().unwrap();
    let before = machine();
    up();
    assert_ne!(machine(), before, "a cluster that changes nothing would prove nothing");
    cluster::down().unwrap();
    assert_eq!(machine(), before);
    assert_eq!(labelled(""), BTreeSet::new());
    assert!(Cluster::attach().is_err());
    cluster::down().expect("down with nothing to do is done too");
    up();
}
