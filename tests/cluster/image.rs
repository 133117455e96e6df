//! An image of the model server in miniature, pushed straight to the registry, for the tests that
//! are not about building one.

use demo::Site;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bento::{self, Model};

/// Pushes an image whose server answers with this version, and returns it as pods call it, by digest.
pub(crate) async fn push(site: &Site, version: &str, model: Model) -> String {
    let registry = &site.cluster.registry;
    let push = Push {
        url: format!("http://{}/v2/models/canary", registry.host),
        http: reqwest::Client::new(),
    };
    let layer = layer();
    let layer_digest = push.blob(layer.clone()).await;
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {
            "User": "1034:1034", "Entrypoint": ["/model"],
            "Env": model.variables(version),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    push.blob(config).await;
    let digest = push.manifest(manifest.to_string().into_bytes()).await;
    format!("{}/models/canary@{digest}", registry.pod)
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Push {
    url: String,
    http: reqwest::Client,
}

impl Push {
    async fn blob(&self, content: Vec<u8>) -> String {
        let digest = digest(&content);
        let start = self.http.post(format!("{}/blobs/uploads/", self.url)).send().await.unwrap();
        let upload = start.headers()["location"].to_str().unwrap().to_owned();
        let upload = if upload.starts_with('/') {
            format!("{}{upload}", self.url.split_once("/v2/").unwrap().0)
        } else {
            upload
        };
        let end = self.http.put(upload).query(&[("digest", &digest)]);
        let end = end.header("content-type", "application/octet-stream").body(content);
        end.send().await.unwrap().error_for_status().unwrap();
        digest
    }

    async fn manifest(&self, manifest: Vec<u8>) -> String {
        let digest = digest(&manifest);
        let put = self.http.put(format!("{}/manifests/{digest}", self.url));
        put.header("content-type", MANIFEST)
            .body(manifest)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        digest
    }
}

fn layer() -> Vec<u8> {
    let server = bento::server();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(server.len() as u64);
    tar.append_data(&mut header, "model", server.as_slice()).unwrap();
    tar.into_inner().unwrap()
}

fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(content), "size": content.len()})
}

fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
