//! The namespace's `answer-counter`, as KServe's agent, Prometheus and the kubelet see it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use demo::{Site, within};
use serde_json::Value;

use crate::release::LIMIT;

pub(crate) const COUNTER: &str = "app.kubernetes.io/name=answer-counter";

pub(crate) struct Counter {
    site: Site,
    http: reqwest::Client,
}

impl Counter {
    pub(crate) fn of(site: &Site) -> Self {
        Self { site: site.clone(), http: reqwest::Client::new() }
    }

    /// The address of its pod that runs.
    fn address(&self) -> Result<String> {
        let path = "jsonpath={.items[?(@.status.phase==\"Running\")].status.podIP}";
        let found = self.site.kubectl(["get", "pods", "-l", COUNTER, "-o", path])?;
        let address = found.split_whitespace().next().context("failed to find the counter")?;
        Ok(address.to_owned())
    }

    /// Sends an answer as the agent does, and waits for the 202 that it always gets. Where the counter reads no more
    /// of what is too large, the connection may end first.
    pub(crate) async fn send(&self, service: &str, version: &str, answer: &str) {
        let is_large = answer.len() > 1 << 20;
        let sent = within(LIMIT, "the counter", async || {
            let Ok(address) = self.address() else { return Ok(None) };
            let url = format!("http://{address}:8080/{}/{service}/{version}", self.site.namespace);
            let request = self
                .http
                .post(url)
                .header("content-type", "application/json")
                .header("ce-specversion", "1.0")
                .header("ce-id", "1b4e28ba-2fa1-11d2-883f-0016d3cca427")
                .header("ce-type", "org.kubeflow.serving.inference.response")
                .header("ce-source", "http://localhost:9081/")
                .header("ce-inferenceservicename", service)
                .header("ce-namespace", &self.site.namespace)
                .body(answer.to_owned());
            match request.send().await {
                Ok(answered) => Ok(Some(answered.status().as_u16())),
                Err(_) if is_large => Ok(Some(202)),
                Err(_) => Ok(None),
            }
        });
        assert_eq!(sent.await.unwrap(), 202, "{service} {version}");
    }

    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        let url = format!("http://{}:8081/metrics", self.address()?);
        let text = self.http.get(url).send().await?.error_for_status()?.text().await?;
        Ok(Metrics { text })
    }

    /// Waits until Prometheus has read it.
    pub(crate) async fn is_scraped(&self) {
        let address = self.address().unwrap();
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
    let node =
        site.cluster.kubectl(["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok()?;
    let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
    let summary: Value =
        serde_json::from_str(&site.cluster.kubectl(["get", "--raw", &path]).ok()?).ok()?;
    let of_pod = |found: &&Value| {
        found["podRef"]["namespace"] == site.namespace.as_str()
            && found["podRef"]["name"].as_str().is_some_and(|name| name.starts_with(pod))
    };
    let of_container = |found: &Value| {
        let containers = found["containers"].as_array()?;
        let one = containers.iter().find(|one| one["name"] == container)?;
        one["memory"]["workingSetBytes"].as_u64()
    };
    summary["pods"].as_array()?.iter().filter(of_pod).find_map(of_container)
}
