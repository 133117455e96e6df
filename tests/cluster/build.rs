//! A run of one of the Tasks that make images, and what it came to.

use std::time::Duration;

use demo::{Site, TaskRun};
use serde_json::{Value, json};

use crate::task_run::task_run;

const LIMIT: Duration = Duration::from_mins(5);

/// A run of bento-build or bento-image that ended.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) run: TaskRun,
    /// Its results as Tekton keeps them, objects among them
    pub(crate) results: Value,
    /// How each step ended
    pub(crate) exit_codes: Vec<i64>,
    pub(crate) log: String,
}

impl Built {
    pub(crate) fn result(&self, name: &str) -> &str {
        let result = self.run.results.get(name);
        result.unwrap_or_else(|| panic!("there is no result `{name}`: {self:?}"))
    }

    /// Of the image, which is there.
    pub(crate) fn digest(&self) -> &str {
        assert!(self.run.succeeded, "{:?}\n{}", self.run, self.log);
        let digest = self.result("IMAGE_DIGEST");
        assert!(digest.starts_with("sha256:"), "{self:?}");
        digest
    }

    /// Bytes that were uploaded for the layers.
    pub(crate) fn uploaded(&self) -> u64 {
        self.result("uploaded").parse().unwrap()
    }

    /// Whether kaniko had something to build, by what it logs.
    pub(crate) fn kaniko_built(&self) -> bool {
        self.log.contains("Taking snapshot of")
    }

    /// No image was made, and no digest is told of one.
    pub(crate) fn assert_failed(&self) {
        assert!(!self.run.succeeded, "{self:?}");
        let digest = self.run.results.get("IMAGE_DIGEST").map_or("", String::as_str);
        assert_eq!(digest, "", "it was not pushed");
    }
}

/// What every build of these tests is given; what comes after it wins.
fn usual(bento: &str, image: &str) -> [(&'static str, Value); 7] {
    [
        ("store", json!("s3://bentos")),
        ("bento", json!(bento)),
        ("s3-endpoint", json!("http://s3.local:9000")),
        ("image", json!(image)),
        ("environments", json!("registry.local:5000/kanaria-tests/environments")),
        ("registry-insecure", json!("true")),
        ("registry-mirror", json!("registry.local:5000")),
    ]
}

/// Starts this Task for a bento, and returns the run's name.
pub(crate) async fn start(
    site: &Site,
    task: &str,
    bento: &str,
    image: &str,
    more: &[(&str, Value)],
) -> String {
    let is_given = |name: &str| more.iter().any(|(given, _)| *given == name);
    let usual = usual(bento, image).into_iter().filter(|(name, _)| !is_given(name));
    let params: Vec<_> = usual.chain(more.iter().cloned()).collect();
    let run = site.create(task_run(task, "canary-builder", &params)).await.unwrap();
    run.metadata.name.unwrap()
}

/// Waits for a run's end.
pub(crate) async fn ended(site: &Site, name: &str) -> Built {
    let run = site.task_run(name, LIMIT).await.unwrap();
    let status = site.objects("TaskRun").get(name).await.unwrap().data["status"].clone();
    let steps = status["steps"].as_array().cloned().unwrap_or_default();
    let exit_codes =
        steps.iter().filter_map(|step| step["terminated"]["exitCode"].as_i64()).collect();
    // A pod that was refused has no log.
    let log = site.kubectl(["logs", &run.pod, "--all-containers"]).unwrap_or_default();
    Built { run, results: status["results"].clone(), exit_codes, log }
}

/// Runs this Task for a bento to its end.
pub(crate) async fn run(
    site: &Site,
    task: &str,
    bento: &str,
    image: &str,
    more: &[(&str, Value)],
) -> Built {
    ended(site, &start(site, task, bento, image, more).await).await
}

/// A repository of this test alone, as images stay in the registry.
pub(crate) fn repository(site: &Site, name: &str) -> String {
    format!("{}/models/{}-{name}", site.cluster.registry.pod, site.namespace)
}
