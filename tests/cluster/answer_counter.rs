//! The namespace's `answer-counter`, as KServe's agent, Prometheus and the kubelet see it.

use std::collections::BTreeMap;

use anyhow::Result;
use demo::{Site, within};
use serde_json::Value;

use crate::release::LIMIT;

pub(crate) const COUNTER: &str = "app.kubernetes.io/name=answer-counter";

/// The counter's pod.
pub(crate) struct Counter {
    site: Site,
    http: reqwest::Client,
    address: String,
}

impl Counter {
    /// The one that serves, as soon as one does.
    pub(crate) async fn of(site: &Site) -> Self {
        let http = reqwest::Client::new();
        let address = within(LIMIT, "a counter that serves", async || {
            let path = "jsonpath={.items[*].status.podIP}";
            let found = site.kubectl(["get", "pods", "-l", COUNTER, "-o", path])?;
            for address in found.split_whitespace() {
                if http.get(format!("http://{address}:8080/healthz")).send().await.is_ok() {
                    return Ok(Some(address.to_owned()));
                }
            }
            Ok(None)
        });
        Self { address: address.await.unwrap(), http, site: site.clone() }
    }

    /// Sends an answer as KServe's agent does, from a pod of this namespace.
    pub(crate) async fn send(&self, service: &str, version: &str, answer: &str) {
        self.send_from(&self.site.namespace, service, version, answer).await;
    }

    /// The same from another one. It always gets the 202 that it is asked for.
    pub(crate) async fn send_from(
        &self,
        namespace: &str,
        service: &str,
        version: &str,
        answer: &str,
    ) {
        let Self { http, address, .. } = self;
        let url = format!("http://{address}:8080/{namespace}/{service}/{version}");
        let request = http
            .post(url)
            .header("content-type", "application/json")
            .header("ce-specversion", "1.0")
            .header("ce-id", "1b4e28ba-2fa1-11d2-883f-0016d3cca427")
            .header("ce-type", "org.kubeflow.serving.inference.response")
            .header("ce-source", "http://localhost:9081/")
            .header("ce-inferenceservicename", service)
            .header("ce-namespace", namespace)
            .body(answer.to_owned());
        assert_eq!(request.send().await.unwrap().status(), 202, "{service} {version}");
    }

    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        let url = format!("http://{}:8081/metrics", self.address);
        let text = self.http.get(url).send().await?.error_for_status()?.text().await?;
        Ok(Metrics { text })
    }

    /// Waits until Prometheus has read it.
    pub(crate) async fn is_scraped(&self) {
        let address = &self.address;
        let query = format!("up{{job=\"answer-counter\",instance=\"{address}:8081\"}}");
        let url = format!("{}/api/v1/query", self.site.cluster.prometheus.host);
        within(LIMIT, "the counter in Prometheus", async || {
            let asked = self.http.get(&url).query(&[("query", &query)]).send().await?;
            let found: Value = serde_json::from_str(&asked.text().await?)?;
            Ok((found["data"]["result"][0]["value"][1] == "1").then_some(()))
        })
        .await
        .unwrap();
    }

    /// It has never been ended for its memory, which stays below this.
    pub(crate) async fn assert_unharmed(&self, bytes: u64) {
        let restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
        let restarts = self.site.kubectl(["get", "pods", "-l", COUNTER, "-o", restarts]).unwrap();
        assert_eq!(restarts, "0");
        let used = within(LIMIT, "the counter's memory", async || {
            Ok(memory(&self.site, "answer-counter", "answer-counter"))
        });
        let used = used.await.unwrap();
        assert!(used < bytes, "{used} bytes");
    }
}

/// What the counter tells Prometheus.
pub(crate) struct Metrics {
    text: String,
}

impl Metrics {
    /// How many series there are.
    pub(crate) fn series(&self) -> usize {
        self.text.lines().filter(|line| !line.starts_with('#')).count()
    }

    /// The answers of a version in field `/species`, or in any one, and how often each came.
    pub(crate) fn of(&self, service: &str, version: &str) -> BTreeMap<String, u64> {
        let wanted = [format!("service=\"{service}\""), format!("version=\"{version}\"")];
        let lines = self.text.lines().filter(|line| {
            line.starts_with("kanaria_answers_total{")
                && wanted.iter().all(|one| line.contains(one))
        });
        let read = |line: &str| {
            let (labels, count) = line.rsplit_once(' ')?;
            let (_, answer) = labels.split_once(",answer=\"")?;
            let (answer, _) = answer.split_once('"')?;
            Some((answer.to_owned(), count.parse().ok()?))
        };
        lines.filter_map(read).collect()
    }

    /// How many answers of a version were counted.
    pub(crate) fn answers(&self, service: &str, version: &str) -> u64 {
        self.of(service, version).values().sum()
    }
}

/// Bytes that a container works with, in the pod whose name begins so, as the kubelet has seen them last.
pub(crate) fn memory(site: &Site, pod: &str, container: &str) -> Option<u64> {
    let node = ["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"];
    let path = format!("/api/v1/nodes/{}/proxy/metrics/cadvisor", site.cluster.kubectl(node).ok()?);
    let metrics = site.cluster.kubectl(["get", "--raw", &path]).ok()?;
    let labels = [
        format!("{{container=\"{container}\","),
        format!("namespace=\"{}\"", site.namespace),
        format!("pod=\"{pod}"),
    ];
    let is_wanted = |line: &&str| {
        line.starts_with("container_memory_working_set_bytes{")
            && labels.iter().all(|label| line.contains(label))
    };
    // `NAME{LABELS} BYTES MILLISECONDS`
    let line = metrics.lines().find(is_wanted)?;
    let (_, value) = line.rsplit_once("} ")?;
    let bytes: f64 = value.split(' ').next()?.parse().ok()?;
    format!("{bytes:.0}").parse().ok()
}
