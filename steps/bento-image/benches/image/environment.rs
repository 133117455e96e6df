//! An environment as kaniko would have built it: a base image, and a layer with what the key covers and the marker.

use std::{
    env::consts::ARCH,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::{
    Bench,
    bento::{self, Bento},
    registry::{MANIFEST, digest},
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Pushes the base image and this bento's environment, and returns the environment by digest.
pub(crate) fn push(bench: &Bench, bento: &Bento) -> String {
    let base = layer(&[("etc/os-release", b"NAME=bench\n", 0)]);
    image(bench, "library/python", "3.11-slim", &[&base], &json!({}));
    let key = key(bench, bento);
    let home = "home/bentoml/bento";
    let mut files = vec![(format!("{home}/.kanaria-environment"), key.clone().into_bytes())];
    let of_bento = bento::environment_files().into_iter();
    files.extend(of_bento.map(|(path, bytes)| (format!("{home}/{path}"), bytes)));
    files.extend(["apis/", "models/", "src/"].map(|path| (format!("{home}/{path}"), Vec::new())));
    let files: Vec<_> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice(), 1034)).collect();
    let more = json!({
        "User": "bentoml", "WorkingDir": format!("/{home}"),
        "Entrypoint": [format!("/{home}/env/docker/entrypoint.sh")],
        "Labels": {"kanaria.dev/environment": key},
    });
    let digest =
        image(bench, "environments", &format!("e1-{key}"), &[&base, &layer(&files)], &more);
    format!("{}/environments@{digest}", bench.registry.host)
}

fn key(bench: &Bench, bento: &Bento) -> String {
    let ended = bench.step("plan", bento, "iris").arg("--output=json").output().unwrap();
    let why = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{why}");
    let plan: Value = serde_json::from_slice(&ended.stdout).unwrap();
    plan["key"].as_str().unwrap_or_else(|| panic!("{plan}")).to_owned()
}

fn image(
    bench: &Bench,
    repository: &str,
    tag: &str,
    layers: &[&[u8]],
    container: &Value,
) -> String {
    let architecture = if ARCH == "aarch64" { "arm64" } else { "amd64" };
    let config = json!({
        "os": "linux", "architecture": architecture, "config": container,
        "created": humantime::format_rfc3339_seconds(SystemTime::now() - Duration::from_hours(1)).to_string(),
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| digest(layer)).collect::<Vec<_>>()},
    });
    let push = |kind, bytes: &[u8]| bench.registry.push(repository, kind, bytes);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": push(CONFIG, config.to_string().as_bytes()),
        "layers": layers.iter().map(|layer| push(LAYER, layer)).collect::<Vec<_>>(),
    });
    bench.registry.push_manifest(repository, tag, &manifest)
}

/// Files and, where the path ends with `/`, directories, with all that lead to them, and whose they are.
fn layer(entries: &[(&str, &[u8], u64)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut known = Vec::new();
    for (path, bytes, owner) in entries {
        let folders = path.match_indices('/').map(|(end, _)| &path[..=end]);
        for folder in folders {
            if !known.contains(&folder) {
                known.push(folder);
                append(&mut tar, folder, &[], *owner, 0o755);
            }
        }
        if !path.ends_with('/') {
            append(
                &mut tar,
                path,
                bytes,
                *owner,
                if path.ends_with("entrypoint.sh") { 0o755 } else { 0o644 },
            );
        }
    }
    tar.into_inner().unwrap()
}

fn append(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], owner: u64, mode: u32) {
    let mut header = tar::Header::new_ustar();
    let is_folder = path.ends_with('/');
    header.set_entry_type(if is_folder {
        tar::EntryType::Directory
    } else {
        tar::EntryType::Regular
    });
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(1_790_000_000);
    tar.append_data(&mut header, path, bytes).unwrap();
}
