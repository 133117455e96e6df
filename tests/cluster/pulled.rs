//! An image as a node would have it: its layers one above the other, and its configuration.

use std::{
    collections::BTreeMap,
    io::{Read, Write as _},
};

use demo::Site;
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tar::{Archive, EntryType};

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// What a path of an image is. Times are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: &'static str,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) size: u64,
    pub(crate) sha256: String,
    /// Where a symbolic link leads to
    pub(crate) link: String,
    /// Extended attributes, such as capabilities
    pub(crate) attributes: BTreeMap<String, Vec<u8>>,
}

/// By path, without `/` before or after it.
pub(crate) type Tree = BTreeMap<String, Node>;

/// An image in the registry.
pub(crate) struct Pulled {
    pub(crate) manifest: Value,
    pub(crate) config: Value,
    pub(crate) tree: Tree,
}

impl Pulled {
    /// Digests of its layers, the lowest first.
    pub(crate) fn layers(&self) -> Vec<&str> {
        let layers = self.manifest["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["digest"].as_str().unwrap()).collect()
    }

    /// The descriptors of the layers that are not compressed.
    pub(crate) fn plain_layers(&self) -> Vec<&Value> {
        let layers = self.manifest["layers"].as_array().unwrap().iter();
        layers
            .filter(|layer| layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar")
            .collect()
    }
}

/// Pulls `REPOSITORY` as pods call it, at this tag or digest.
pub(crate) async fn pull(site: &Site, repository: &str, tag: &str) -> Pulled {
    let cluster::Endpoint { host, pod } = &site.cluster.registry;
    let (_, path) = repository.split_once('/').unwrap();
    assert!(repository.starts_with(pod.as_str()), "{repository}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |what: String| {
        let request =
            http.get(format!("http://{host}/v2/{path}/{what}")).header("accept", MANIFESTS);
        request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap()
    };
    let manifest: Value = serde_json::from_slice(&get(format!("manifests/{tag}")).await).unwrap();
    let blob = |descriptor: &Value| format!("blobs/{}", descriptor["digest"].as_str().unwrap());
    let config = serde_json::from_slice(&get(blob(&manifest["config"])).await).unwrap();
    let mut tree = Tree::new();
    for layer in manifest["layers"].as_array().unwrap() {
        let bytes = get(blob(layer)).await;
        let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
        let says_gzip = layer["mediaType"].as_str().unwrap().ends_with("gzip");
        assert_eq!(is_gzip, says_gzip, "{layer}");
        if is_gzip {
            lay_over(&mut tree, GzDecoder::new(&bytes[..]));
        } else {
            lay_over(&mut tree, &bytes[..]);
        }
    }
    Pulled { manifest, config, tree }
}

/// Puts a layer onto those below it, as OCI's image specification says.
fn lay_over(tree: &mut Tree, layer: impl Read) {
    let mut above = Vec::new();
    let mut archive = Archive::new(layer);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = normal(&String::from_utf8_lossy(&entry.path_bytes()));
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            remove_below(tree, folder);
        } else if let Some(hidden) = name.strip_prefix(".wh.") {
            let hidden = normal(&format!("{folder}/{hidden}"));
            tree.remove(&hidden);
            remove_below(tree, &hidden);
        } else {
            let attributes = attributes(&mut entry);
            let kind = entry.header().entry_type();
            let link =
                entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
            let header = entry.header().clone();
            let (mut size, mut sha256) = (0, Sha256::new());
            if kind.is_file() {
                size = std::io::copy(&mut entry, &mut Hashing(&mut sha256)).unwrap();
            }
            above.push((path, kind, link.unwrap_or_default(), header, size, sha256, attributes));
        }
    }
    for (path, kind, link, header, size, sha256, attributes) in above {
        if kind == EntryType::Link {
            // What it is a second name of may lie in this layer or below.
            let first = tree[&normal(&link)].clone();
            tree.insert(path, first);
            continue;
        }
        let node = Node {
            kind: named(kind),
            mode: header.mode().unwrap() & 0o7777,
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            size,
            sha256: if kind.is_file() { hex(&sha256.finalize()) } else { String::new() },
            link: if kind.is_symlink() { link } else { String::new() },
            attributes,
        };
        if !kind.is_dir() {
            remove_below(tree, &path);
        }
        if !path.is_empty() {
            tree.insert(path, node);
        }
    }
}

struct Hashing<'a>(&'a mut Sha256);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn attributes(entry: &mut tar::Entry<'_, impl Read>) -> BTreeMap<String, Vec<u8>> {
    let Ok(Some(extensions)) = entry.pax_extensions() else { return BTreeMap::new() };
    let found = extensions.filter_map(Result::ok).filter_map(|extension| {
        let name = extension.key().ok()?.strip_prefix("SCHILY.xattr.")?;
        Some((name.to_owned(), extension.value_bytes().to_vec()))
    });
    found.collect()
}

fn named(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Directory => "folder",
        EntryType::Symlink => "symbolic link",
        EntryType::Regular | EntryType::Continuous => "file",
        other => panic!("a layer holds an entry of type {other:?}"),
    }
}

fn normal(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

fn remove_below(tree: &mut Tree, folder: &str) {
    if folder.is_empty() {
        tree.clear();
        return;
    }
    let below = format!("{folder}/");
    tree.retain(|path, _| !path.starts_with(&below));
}

fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    String::from_utf8(text).unwrap()
}
