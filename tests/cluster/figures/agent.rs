//! What it costs a model's pod that its answers are counted: the memory of KServe's agent, also while nobody takes
//! what it sends, and what its hop costs users.

use std::time::{Duration, Instant};

use demo::{Site, Traffic};
use serde_json::json;

use crate::{
    answer_counter::{COUNTER, memory},
    bento::Model,
    image,
    namespace::{cluster, in_namespace},
    release::LIMIT,
};

const RATE: u32 = 200;
/// In which both services are asked in turn.
const SIDE_BY_SIDE: Duration = Duration::from_mins(2);
/// The kubelet measures every ten seconds or so.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// What a quarter of the agent's limit leaves for larger answers.
const FLAT: f64 = 96.0;

/// A name, how long it lasts, and what happens when it begins.
type Stage = (&'static str, Duration, fn(&Site));

/// What becomes of the counter.
const STAGES: [Stage; 6] = [
    ("there", Duration::from_mins(2), |_| {}),
    ("restarted", Duration::from_mins(1), |site| {
        kubectl(site, &["rollout", "restart", "deployment/answer-counter"]);
    }),
    ("killed", Duration::from_mins(1), |site| {
        kubectl(
            site,
            &["delete", "pod", "-l", COUNTER, "--grace-period=0", "--force", "--wait=false"],
        );
    }),
    ("frozen", Duration::from_mins(2), freeze),
    ("away", Duration::from_mins(4), |site| {
        kubectl(site, &["scale", "deployment/answer-counter", "--replicas=0"]);
    }),
    ("back", Duration::from_mins(2), |site| {
        kubectl(site, &["scale", "deployment/answer-counter", "--replicas=1"]);
    }),
];

fn kubectl(site: &Site, args: &[&str]) -> String {
    site.kubectl(args.iter().copied()).unwrap()
}

fn freeze(site: &Site) {
    let id = "jsonpath={.items[0].status.containerStatuses[0].containerID}";
    let id = kubectl(site, &["get", "pods", "-l", COUNTER, "-o", id]);
    assert!(cluster().freeze_container(&id).unwrap() > 0);
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a measurement's output is its table")]
#[ignore = "needs the embedded cluster for itself, and a quarter of an hour: it measures"]
async fn a_models_pod_whose_answers_are_counted_beside_one_without() {
    if !cluster().is_embedded() {
        println!("skipped: nothing is frozen on a cluster that is somebody's");
        return;
    }
    in_namespace("agent", async |site| {
        let image = image::push(&site, "v1", Model::Good).await;
        serve(&site, "plain", &image, "").await;
        // As `canary-create` writes it, whose tests say so.
        let url = format!(
            "http://answer-counter.{}.svc.cluster.local.:8080/{0}/logged/v1",
            site.namespace
        );
        serve(&site, "logged", &image, &url).await;
        let start = async |service: &str, rate| {
            Traffic::start(&site, &site.host(service).await.unwrap(), rate).unwrap()
        };

        let both = [start("plain", RATE / 2).await, start("logged", RATE / 2).await];
        tokio::time::sleep(LOOK_AGAIN).await;
        for traffic in &both {
            traffic.take_durations();
        }
        tokio::time::sleep(SIDE_BY_SIDE).await;
        println!("\n| users wait, ms | p50 | p99 | requests | errors |\n|---|---|---|---|---|");
        for (name, traffic) in [("without a logger", &both[0]), ("with a logger", &both[1])] {
            let mut all = traffic.take_durations();
            all.sort();
            let [half, most] = [50, 99].map(|part| 1000.0 * all[all.len() * part / 100].as_secs_f64());
            let (count, errors) = (all.len(), traffic.seen().errors());
            println!("| {name} | {half:.1} | {most:.1} | {count} | {errors} |");
        }
        drop(both);

        let traffic = start("logged", RATE).await;
        println!("\n| the counter is | the agent has, MiB: at first | at most | in the end |\n|---|---|---|---|");
        let mut most = Vec::new();
        for (name, lasts, happens) in STAGES {
            happens(&site);
            let (begun, mut seen) = (Instant::now(), Vec::new());
            while begun.elapsed() < lasts {
                seen.extend(memory(&site, "logged-", "agent").map(mebibytes));
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let highest = seen.iter().copied().fold(0.0, f64::max);
            let (first, last) = (seen[0], seen[seen.len() - 1]);
            println!("| {name} | {first:.0} | {highest:.0} | {last:.0} |");
            most.push(highest);
        }
        let seen = traffic.seen();
        println!("\nUsers meanwhile: {seen}");
        assert_eq!(seen.errors(), 0, "{:?}", seen.by_error);
        let restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
        let of_model = "serving.kserve.io/inferenceservice=logged";
        assert_eq!(kubectl(&site, &["get", "pods", "-l", of_model, "-o", restarts]), "0 0 0");
        assert!(most.iter().all(|highest| *highest < FLAT), "{most:?}");
    })
    .await;
}

fn mebibytes(bytes: u64) -> f64 {
    let kibibytes = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
    f64::from(kibibytes) / 1024.0
}

/// A service with one pod, whose answers go to this URL, or nowhere.
async fn serve(site: &Site, name: &str, image: &str, url: &str) {
    let mut predictor = json!({
        "minReplicas": 1, "maxReplicas": 1,
        "containers": [{
            "name": "kserve-container", "image": image, "ports": [{"containerPort": 3000}],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}},
        }],
    });
    if !url.is_empty() {
        predictor["logger"] = json!({"mode": "response", "url": url});
    }
    let service = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
                         "metadata": {"name": name}, "spec": {"predictor": predictor}});
    site.create(service).await.unwrap();
    let ready = site.until(LIMIT, "a service that is ready", ("InferenceService", name), |found| {
        let conditions = found.and_then(|found| found.data["status"]["conditions"].as_array());
        conditions.is_some_and(|all| {
            all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
        })
    });
    ready.await.unwrap();
}
