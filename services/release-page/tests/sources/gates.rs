//! What is known of gates that are deciding.

use serde_json::{Value, json};

use crate::{
    api::Api,
    objects::{NAMESPACE, release_run, task_run},
    start, until,
};

/// Nobody listens there.
const PROMETHEUS: &str = "http://127.0.0.1:9";

fn gate(succeeded: &str) -> Value {
    let mut task = task_run("gate-1", "prometheus-gate", succeeded, &[]);
    let args =
        [&format!("--prometheus-url={PROMETHEUS}"), "--query=up", "--when=value > 0", "--hold=1m"];
    task["status"]["taskSpec"] = json!({"steps": [{"name": "prometheus-gate", "args": args}]});
    task
}

fn gets(api: &Api) -> usize {
    api.asked().iter().filter(|asked| asked.starts_with("get")).count()
}

#[tokio::test]
async fn a_gate_is_looked_at_while_somebody_looks_and_it_decides() {
    let api = Api::default();
    api.put("pipelineruns", &release_run("gate-1", "v1", "Unknown"));
    api.put("taskruns", &gate("Unknown"));
    let sources = start(api.client(), &[]).await;
    let known = until(&sources, "a release", |known| known.releases.len() == 1).await;
    assert!(known.gates.is_empty());
    assert_eq!(gets(&api), 0, "nobody looks");
    sources.interest.look(NAMESPACE, "iris");
    let known = until(&sources, "a gate", |known| known.gate(NAMESPACE, "gate-1").is_some()).await;
    let error = known.gate(NAMESPACE, "gate-1").unwrap().error.clone();
    assert!(error.as_ref().is_some_and(|error| error.contains(PROMETHEUS)), "{error:?}");
    assert_eq!(gets(&api), 1, "its arguments are read once");
    api.put("taskruns", &gate("True"));
    until(&sources, "no gate", |known| known.gates.is_empty()).await;
}

#[tokio::test]
async fn a_gate_that_asks_another_prometheus_than_the_one_that_may_be_asked_says_so() {
    let api = Api::default();
    api.put("pipelineruns", &release_run("gate-1", "v1", "Unknown"));
    api.put("taskruns", &gate("Unknown"));
    let sources = start(api.client(), &["--prometheus-url=http://prometheus:9090"]).await;
    sources.interest.look(NAMESPACE, "iris");
    let known = until(&sources, "a gate", |known| known.gate(NAMESPACE, "gate-1").is_some()).await;
    let error = known.gate(NAMESPACE, "gate-1").unwrap().error.clone();
    assert!(error.as_ref().is_some_and(|error| error.contains("another Prometheus")), "{error:?}");
}
