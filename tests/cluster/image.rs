//! An image of the model server in miniature, pushed straight to the registry, for the tests that
//! are not about building one.

use std::{fs, io::Read as _};

use demo::Site;
use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::process::Command;

use crate::bento::{self, Model};

/// Pushes an image whose server answers with this version, and returns it as pods call it, by digest.
pub(crate) async fn push(site: &Site, version: &str, model: Model) -> String {
    let cluster::Endpoint { host, pod } = &site.cluster.registry;
    push_to(site, host, "{}", version, model).await.replace(host, pod)
}

/// The same to a registry at this address, with what `docker login` keeps; by this address.
pub(crate) async fn push_to(
    site: &Site,
    registry: &str,
    login: &str,
    version: &str,
    model: Model,
) -> String {
    let variables =
        model.variables(version).into_iter().map(|variable| format!("--env={variable}"));
    let config = ["--user=1034:1034".to_owned(), "--entrypoint=/model".to_owned()];
    let config: Vec<_> = config.into_iter().chain(variables).collect();
    push_layer(site, &format!("{registry}/models/canary"), login, &layer(), &config).await
}

/// Pushes an image to build others on: this layer, a tar.
pub(crate) async fn push_base(site: &Site, name: &str, layer: &[u8]) -> String {
    let cluster::Endpoint { host, pod } = &site.cluster.registry;
    let config = ["--env=PATH=/bin:/usr/bin".to_owned()];
    let image = format!("{host}/models/{name}");
    push_layer(site, &image, "{}", layer, &config).await.replace(host, pod)
}

/// Pushes a base image as one of Docker Hub, `NAME:TAG`, which the registry mirrors. Returns that name.
pub(crate) async fn push_to_mirror(site: &Site, name: &str, tag: &str, layer: &[u8]) -> String {
    let image = format!("{}/{name}", site.cluster.registry.host);
    let config = ["--env=PATH=/usr/local/bin:/usr/bin:/bin".to_owned()];
    let pushed = push_layer(site, &image, "{}", layer, &config).await;
    let crane = Command::new(site.cluster.kubectl.with_file_name("crane"))
        .args(["tag", &pushed, tag])
        .output();
    let tagged = crane.await.unwrap();
    assert!(tagged.status.success(), "{}", String::from_utf8_lossy(&tagged.stderr));
    format!("{name}:{tag}")
}

/// Pushes an image of this one layer, with these flags of `crane mutate`.
async fn push_layer(
    site: &Site,
    repository: &str,
    login: &str,
    layer: &[u8],
    config: &[String],
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("layer.tar");
    fs::write(&tar, layer).unwrap();
    fs::write(folder.path().join("config.json"), login).unwrap();
    let crane = async |args: &[&str]| {
        let mut crane = Command::new(site.cluster.kubectl.with_file_name("crane"));
        let ended = crane.args(args).env("DOCKER_CONFIG", folder.path()).output().await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap().trim().to_owned()
    };
    let (tag, tar) = (format!("{repository}:layer"), tar.display().to_string());
    let bare = crane(&["append", "--oci-empty-base", "--new_tag", &tag, "--new_layer", &tar]).await;
    let config: Vec<_> = config.iter().map(String::as_str).collect();
    crane(&[&["mutate", &bare, "--set-platform=linux/amd64"], &config[..]].concat()).await
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
    for blob in std::iter::once(&manifest["config"]).chain(manifest["layers"].as_array().unwrap()) {
        let blob = get(format!("blobs/{}", blob["digest"].as_str().unwrap())).await;
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

/// The header of an entry that is root's, and of no time.
pub(crate) fn header() -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn layer() -> Vec<u8> {
    let server = bento::server();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = header();
    header.set_mode(0o755);
    header.set_size(server.len() as u64);
    tar.append_data(&mut header, "model", server.as_slice()).unwrap();
    tar.into_inner().unwrap()
}
