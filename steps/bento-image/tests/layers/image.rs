//! Configuration and manifest, on top of those of an environment.

use std::collections::BTreeMap;

use bento_image::image::{
    About, Bento, Environment, Image, ImageError, LAYER_GZIP, LAYER_TAR, Layer, assemble,
};
use insta::assert_snapshot;
use serde_json::{Value, json};

fn environment() -> (Value, Value) {
    let docker = "application/vnd.docker.image.rootfs";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:c", "size": 1 },
        "layers": [
            { "mediaType": format!("{docker}.foreign.diff.tar.gzip"), "digest": "sha256:1", "size": 10, "urls": ["https://layers.example"] },
            { "mediaType": format!("{docker}.diff.tar.gzip"), "digest": "sha256:2", "size": 20 },
            { "mediaType": format!("{docker}.diff.tar"), "digest": "sha256:3", "size": 30 },
            { "mediaType": LAYER_GZIP, "digest": "sha256:4", "size": 40, "annotations": { "toc": "x" } },
        ],
        "annotations": { "of the environment": "kept", "kanaria.dev/of-the-environment": "not kept" },
        "subject": { "digest": "sha256:another" },
    });
    let config = json!({
        "architecture": "arm64", "os": "linux", "variant": "v8", "unknown": { "kept": 18_446_744_073_709_551_615_u64 },
        "created": "2020-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/bin"], "User": "bentoml", "Healthcheck": { "Test": ["CMD", "x"], "Interval": 5_000_000_000_u64 },
            "OnBuild": ["RUN x"], "Shell": ["/bin/bash", "-c"], "Labels": { "kanaria.dev/environment": "key" },
        },
        "history": [{ "created_by": "RUN apt" }],
        "rootfs": { "type": "layers", "diff_ids": ["sha256:d1", "sha256:d2", "sha256:d3", "sha256:d4"] },
    });
    (manifest, config)
}

fn layers() -> Vec<Layer> {
    let layer = |media_type, name: &str, annotation: &str, value: &str| Layer {
        media_type,
        digest: format!("sha256:{name}"),
        diff_id: format!("sha256:{name}-diff"),
        size: 100,
        created_by: format!("bento-image: {value}"),
        annotations: BTreeMap::from([(annotation.to_owned(), value.to_owned())]),
    };
    vec![
        layer(LAYER_TAR, "model", "kanaria.dev/model", "iris:m1"),
        layer(LAYER_GZIP, "code", "kanaria.dev/bento", "iris:v2"),
    ]
}

fn about() -> About {
    About::bento(&Bento {
        name: "iris",
        version: "v2",
        sha256: "5d41",
        created: "2026-11-29T08:00:00Z",
        environment: "registry.example/environments@sha256:e",
        base_name: "registry.example/environments:e1-key",
        base_digest: "sha256:e",
    })
}

fn image(manifest: &Value, config: &Value) -> Result<Image, ImageError> {
    let (manifest, config) = (manifest.to_string(), config.to_string());
    let environment = Environment { manifest: manifest.as_bytes(), config: config.as_bytes() };
    assemble(&environment, &layers(), &about())
}

fn pretty(bytes: &[u8]) -> String {
    serde_json::to_string_pretty(&serde_json::from_slice::<Value>(bytes).unwrap()).unwrap()
}

#[test]
fn an_image_is_its_environment_and_our_layers_and_nothing_is_lost() {
    let (manifest, config) = environment();
    let image = image(&manifest, &config).unwrap();
    assert_eq!(image.size, 300);
    assert_snapshot!("config", pretty(&image.config.bytes));
    assert_snapshot!("manifest", pretty(&image.manifest.bytes));
}

#[test]
fn what_a_builder_left_out_or_wrote_as_null_is_made() {
    let (manifest, mut config) = environment();
    config["config"]["Labels"] = Value::Null;
    config["history"] = Value::Null;
    let of = |config: &Value| {
        let made = image(&manifest, config).unwrap().config.bytes;
        serde_json::from_slice::<Value>(&made).unwrap()
    };
    let made = of(&config);
    assert_eq!(made["config"]["Labels"]["kanaria.dev/bento"], "iris:v2");
    assert_eq!(made["config"]["User"], "bentoml");
    assert_eq!(made["history"].as_array().unwrap().len(), 2);
    config.as_object_mut().unwrap().remove("config");
    assert_eq!(of(&config)["config"], json!({ "Labels": about().labels }));
}

#[test]
fn an_environment_that_does_not_fit_together_is_refused() {
    let (manifest, config) = environment();
    let refused =
        |manifest: &Value, config: &Value| image(manifest, config).unwrap_err().to_string();
    let mut fewer = config.clone();
    fewer["rootfs"]["diff_ids"].as_array_mut().unwrap().pop();
    assert_eq!(
        refused(&manifest, &fewer),
        "the environment's configuration names 3 layers, its manifest 4"
    );
    let index = json!({ "schemaVersion": 2, "manifests": [] });
    assert_eq!(refused(&index, &config), "the environment's manifest has no `layers`");
    assert_eq!(
        refused(&manifest, &json!({})),
        "the environment's configuration has no `rootfs.diff_ids`"
    );
    assert_eq!(refused(&json!([]), &config), "failed to read the environment's manifest");
}
