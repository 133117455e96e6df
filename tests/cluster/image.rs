//! An image of the model server in miniature, pushed straight to the registry, for the tests that
//! are not about building one.

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use demo::Site;
use flate2::read::GzDecoder;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bento::{self, Model};

/// Pushes an image whose server answers with this version, and returns it as pods call it, by digest.
pub(crate) async fn push(site: &Site, version: &str, model: Model) -> String {
    let cluster::Endpoint { host, pod } = &site.cluster.registry;
    push_to(host, None, version, model).await.replace(host, pod)
}

/// The same to a registry at this address, which may ask for name and password; by this address.
pub(crate) async fn push_to(
    registry: &str,
    login: Option<(&str, &str)>,
    version: &str,
    model: Model,
) -> String {
    let config = json!({
        "User": "1034:1034", "Entrypoint": ["/model"],
        "Env": model.variables(version),
    });
    push_layer(registry, login, "canary", layer(), &config).await
}

/// Pushes an image to build others on: this layer, a tar.
pub(crate) async fn push_base(site: &Site, name: &str, layer: Vec<u8>) -> String {
    let cluster::Endpoint { host, pod } = &site.cluster.registry;
    let config = json!({ "Env": ["PATH=/bin:/usr/bin"] });
    push_layer(host, None, name, layer, &config).await.replace(host, pod)
}

async fn push_layer(
    registry: &str,
    login: Option<(&str, &str)>,
    name: &str,
    layer: Vec<u8>,
    config: &Value,
) -> String {
    let mut headers = HeaderMap::new();
    if let Some((name, password)) = login {
        let basic = STANDARD.encode(format!("{name}:{password}"));
        headers.insert(AUTHORIZATION, format!("Basic {basic}").parse().unwrap());
    }
    let push = Push {
        url: format!("http://{registry}/v2/models/{name}"),
        http: reqwest::Client::builder().default_headers(headers).build().unwrap(),
    };
    let layer_digest = push.blob(layer.clone()).await;
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": config,
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
    format!("{registry}/models/{name}@{digest}")
}

/// All that an image says: its configuration, and its layers as bytes of tar.
pub(crate) async fn text(site: &Site, repository: &str, tag: &str) -> String {
    let url = format!("http://{}/v2/{repository}", site.cluster.registry.host);
    let http = reqwest::Client::new();
    let get = async |path: String| {
        let request = http
            .get(format!("{url}/{path}"))
            .header("accept", format!("{MANIFEST}, {DOCKER_MANIFEST}"));
        request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap()
    };
    let manifest: Value = serde_json::from_slice(&get(format!("manifests/{tag}")).await).unwrap();
    let mut text = String::new();
    for part in std::iter::once(&manifest["config"]).chain(manifest["layers"].as_array().unwrap()) {
        let blob = get(format!("blobs/{}", part["digest"].as_str().unwrap())).await;
        let mut plain = Vec::new();
        if GzDecoder::new(&blob[..]).read_to_end(&mut plain).is_err() {
            plain = blob.to_vec();
        }
        text += &String::from_utf8_lossy(&plain);
    }
    text
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

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
