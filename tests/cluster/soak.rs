//! What takes longer than a test should: `make soak`.

use std::{
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use demo::Traffic;
use tokio::{process::Command, task::JoinSet};

use crate::{
    answers::{EVEN, counted, ends},
    bento::Model,
    canary::{Canary, SERVICE},
    fault_injection::{Campaign, Fault, from_env},
    gate::{first_percent, setting},
    interrupted_releases::{STARTS, settles_on},
    namespace::in_namespace,
};

/// Releases of one model after the other, each judged by its answers against the one before.
const RELEASES: u32 = 10;

/// Gates that begin one after the other, so that each watches another stretch of the same canary.
const GATES: u32 = 20;

#[tokio::test]
#[ignore = "needs the cluster, and five minutes"]
async fn a_good_canary_passes_twenty_gates_of_twenty() {
    in_namespace("twenty", async |site| {
        let canary = Canary::of(site).await;
        let host = canary.site.host(SERVICE).await.unwrap();
        let _traffic = Traffic::start(&canary.site, &host, 20).unwrap();
        let live = canary.create_live("v2", Model::Good, &[("ladder", &setting("ladder"))]).await;
        let mut gates = JoinSet::new();
        for _ in 0..GATES {
            let mut gate = Command::new(demo::built("prometheus-gate").unwrap());
            gate.arg(format!("--prometheus-url={}", canary.site.cluster.prometheus.host))
                .arg(format!("--namespace={}", canary.site.namespace))
                .arg(format!("--canary-revision={}", live.result("canary-revision")))
                .arg(format!("--baseline-revision={}", live.result("baseline-revision")))
                .arg(format!("--percent={}", first_percent()))
                .args(
                    ["criteria", "hold", "deadline"]
                        .map(|name| format!("--{name}={}", setting(name))),
                )
                .stdin(Stdio::null());
            gates.spawn(async move { gate.output().await.unwrap() });
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        let ended = gates.join_all().await;
        let logs: Vec<String> = ended
            .iter()
            .filter(|gate| !gate.status.success())
            .map(|gate| String::from_utf8_lossy(&gate.stderr).into_owned())
            .collect();
        assert!(logs.is_empty(), "{} of {GATES} did not pass: {}", logs.len(), logs.join("\n\n"));
    })
    .await;
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "it takes a quarter of an hour")]
#[ignore = "needs the cluster, and a quarter of an hour"]
async fn a_model_that_is_released_again_passes_ten_gates_on_answers_of_ten() {
    in_namespace("ten", async |mut site| {
        let service = "ten";
        let (sink, traffic) = counted(&mut site, service).await;
        for number in 2..2 + RELEASES {
            let version = format!("v{number}");
            let end = ends(&site, &sink, service, &version, EVEN).await;
            assert!(end.is("canary.promoted"), "{version}: {end:?}");
            settles_on(&site, service, &version, STARTS).await;
            let created = sink.event(STARTS, (service, &version), &["canary.created"]).await;
            assert_eq!(created.data["canary"]["answers"], "compared", "{created:?}");
            println!(
                "{version} is promoted, the {}. of {RELEASES}; users: {}",
                number - 1,
                traffic.take()
            );
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster for itself, and half an hour: it kills parts of it"]
async fn twenty_releases_under_faults_end_at_all_or_nothing() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 10_000;
    let campaign = Campaign {
        name: "soak",
        command: "make soak",
        seed: from_env("SOAK_SEED", now),
        releases: usize::try_from(from_env("SOAK_RELEASES", 20)).unwrap(),
        services: &["oak", "elm", "ash", "fir"],
        faults: &Fault::ALL,
        ladder: "20,50",
    };
    campaign.run().await;
}
