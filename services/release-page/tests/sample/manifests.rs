//! What manifests say, and a store that has them.

use std::sync::Arc;

use anyhow::{Result, bail};
use bento_retrieve::bento::{Details, ManifestFiles};
use futures::future::BoxFuture;
use release_page::server::Archive;
use release_record::key::{KeptFile, RunKey};
use serde_json::json;

use super::{HOSTILE, LABEL, gates::report};

fn read(manifest: &serde_json::Value, models: &[(&str, &str)]) -> Details {
    let models = models.iter().map(|(tag, yaml)| ((*tag).to_owned(), (*yaml).to_owned())).collect();
    let manifest = manifest.to_string(); // which is YAML as well
    Details::read(&ManifestFiles { manifest, is_legacy: false, models }).unwrap()
}

pub(crate) fn iris(version: &str) -> Details {
    let numbers = json!({ "type": "array", "items": { "type": "number" } });
    let route = |path: &str, input: serde_json::Value| json!({ "name": &path[1..], "route": path, "input": { "properties": input }, "output": { "type": "integer" } });
    let manifest = json!({
        "service": "service:IrisClassifier", "name": "iris", "version": version, "bentoml_version": "1.4.8",
        "creation_time": "2026-11-24T06:00:00.123456+00:00",
        "labels": { "team": "flowers", "stage": "candidate" },
        "models": [{ "tag": "iris_svc:3kqd7vx", "module": "bentoml.sklearn" }],
        "services": [{ "name": "IrisClassifier" }],
        "envs": [{ "name": "LOG_LEVEL", "value": "debug" }, { "name": "TOKEN", "value": "t0p-s3cret" }],
        "image": {
            "python_version": "3.11",
            "python_requirements": "scikit-learn==1.7.2\nnumpy==2.3.4\nbentoml==1.4.8\n# comment\npydantic==2.12.4",
        },
        "schema": { "routes": [
            route("/classify", json!({ "measurements": numbers })),
            route("/explain", json!({ "measurements": numbers, "depth": { "type": "integer" } })),
        ] },
    });
    let model = "module: bentoml.sklearn\nlabels: {trained-by: ada}\n\
                 metadata: {accuracy: 0.973, rows: 120, trained on: 2026-11-23}\n\
                 context: {framework_versions: {scikit-learn: 1.7.2}}";
    read(&manifest, &[("iris_svc:3kqd7vx", model)])
}

pub(crate) fn hostile() -> Details {
    let text = LABEL.repeat(300);
    let long = "z".repeat(200_000);
    let manifest = json!({
        "name": "zoo", "version": "v1", "creation_time": text, "bentoml_version": text, "service": text,
        "labels": { LABEL: HOSTILE }, HOSTILE: LABEL,
        "models": [{ "tag": "zoo:v1", "module": text }],
        "runners": [{ "name": HOSTILE }, LABEL, 7], "services": [{ "name": HOSTILE }],
        "envs": [{ "name": HOSTILE, "value": "t0p-s3cret" }],
        "image": { "python_version": text, "base_image": text, "python_requirements": "</code></pre><script>" },
        "schema": { "routes": [{ "route": HOSTILE, "input": { "properties": { LABEL: "</pre><script>" } } }] },
        "long": long,
    });
    let model = json!({ "labels": { LABEL: HOSTILE }, "metadata": { LABEL: text }, "context": { "framework_versions": { HOSTILE: LABEL } } });
    read(&manifest, &[("zoo:v1", &model.to_string())])
}

/// Has the manifests and the reports of the sample.
pub(crate) struct Store;

impl Archive for Store {
    fn details<'a>(
        &'a self,
        name: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Details>>>> {
        Box::pin(async move {
            Ok(match (name, version) {
                ("iris", _) => Some(Arc::new(iris(version))),
                (HOSTILE, _) => Some(Arc::new(hostile())),
                ("spam", _) => {
                    bail!("failed to read `s3://bentos/spam/v1.bento`: the archive ends too early")
                }
                _ => None,
            })
        })
    }

    fn evidence<'a>(
        &'a self,
        key: &'a RunKey,
        file: KeptFile,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let passes = !key.version.ends_with("rc1");
            Ok(match file {
                _ if !key.run.starts_with("promotion-iris") => None,
                KeptFile::Report => Some(report(passes).into_bytes()),
                KeptFile::Verdict | KeptFile::Run => Some(
                    json!({ "verdict": if passes { "pass" } else { "fail" } })
                        .to_string()
                        .into_bytes(),
                ),
                KeptFile::Record => Some(vec![0x1f, 0x8b]),
            })
        })
    }
}
