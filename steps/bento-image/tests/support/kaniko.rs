//! Plays kaniko: from what it is given to an image in the registry, without running any of it.

use std::{fs, path::Path};

use bento_image::{
    flatten::Tree,
    layer::{Attributes, LayerWriter},
    recipe::MARKER,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, io::Write as _, os::unix::fs::PermissionsExt as _};

use super::{
    bentos::{ENTRYPOINT, HOME, Item, Items, UID, with_directories},
    registry::{Image, Registry},
};

/// Where the base image is: what Docker Hub calls `python:3.11-slim`, at a mirror.
pub(crate) const BASE: &str = "library/python";
pub(crate) const BASE_TAG: &str = "3.11-slim";
pub(crate) const ENVIRONMENTS: &str = "models/environments";

pub(crate) fn base_image() -> Image {
    let layer = Layer::new().directory("usr", 0).file("usr/python", 0o755, 0, b"3.11");
    let config = json!({
        "os": "linux", "architecture": "amd64", "created": "2026-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/bin"]},
    });
    Image { layers: vec![layer.bytes()], config }
}

/// What it builds of a context.
pub(crate) struct Builds<'a> {
    pub(crate) registry: &'a Registry,
    /// Where the Dockerfile copies the context to
    pub(crate) home: &'a str,
    /// What it makes executable
    pub(crate) entrypoint: &'a str,
    /// When it is built: RFC 3339
    pub(crate) created: String,
}

impl<'a> Builds<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        let created = jiff::Timestamp::now().to_string();
        Self { registry, home: HOME, entrypoint: ENTRYPOINT, created }
    }

    /// Reads `prepared.json`, and does what it says; gives the digest that kaniko would write.
    pub(crate) fn build(&self, folder: &Path) -> String {
        let prepared: Value =
            serde_json::from_slice(&fs::read(folder.join("prepared.json")).unwrap()).unwrap();
        let build = prepared.as_object().unwrap().values().next().unwrap()["build"].clone();
        let context = Path::new(build["context"].as_str().unwrap());
        let labels = build["labels"].as_array().unwrap().iter().map(|label| {
            let (name, value) = label.as_str().unwrap().split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        let (_, destination) = build["destination"].as_str().unwrap().split_once('/').unwrap();
        self.push(&listed(context), &labels.collect(), destination)
    }

    /// The environment of a key.
    pub(crate) fn environment(&self, items: &Items, key: &str, label: &str, tag: &str) -> String {
        let mut context: BTreeMap<_, _> = items.iter().cloned().collect();
        for directory in ["apis", "env", "models", "src"] {
            context.entry(directory.into()).or_insert(Item::Directory);
        }
        context.insert(MARKER.into(), Item::File(key.into()));
        let labels = BTreeMap::from([("kanaria.dev/environment".to_owned(), label.to_owned())]);
        let destination = format!("{ENVIRONMENTS}:{tag}");
        self.push(&with_directories(&context), &labels, &destination)
    }

    /// A directory and those above it, which are the bento's user's from the context on.
    fn parents(&self, mut layer: Layer, path: &str) -> Layer {
        for (end, _) in path.match_indices('/') {
            let owner = if path[..end].starts_with(self.home) { UID } else { 0 };
            layer = layer.directory(&path[..end], owner);
        }
        layer.directory(path, UID)
    }

    fn push(&self, context: &Items, labels: &BTreeMap<String, String>, to: &str) -> String {
        let mut base = base_image();
        let requirements = context.iter().find(|(path, _)| path.ends_with("requirements.txt"));
        let packages = match requirements {
            Some((_, Item::File(text))) => text.clone(),
            _ => Vec::new(),
        };
        let packages = Layer::new().directory("app", 0).file("app/packages", 0o644, 0, &packages);
        let mut copied = self.parents(Layer::new(), self.home);
        for (path, item) in context {
            let path = format!("{}/{path}", self.home);
            copied = match item {
                Item::Directory => copied.directory(&path, UID),
                Item::File(contents) => copied.file(&path, 0o644, UID, contents),
                Item::Program(contents) => copied.file(&path, 0o755, UID, contents),
                Item::Symlink(target) => copied.symlink(&path, target),
                Item::HardLink(_) => unreachable!("a folder has none"),
            };
        }
        base.layers.extend([packages.bytes(), copied.bytes()]);
        let program = context.iter().find(|(path, _)| path == self.entrypoint);
        if let Some((path, Item::File(contents) | Item::Program(contents))) = program {
            let path = format!("{}/{path}", self.home);
            let parent = path.rsplit_once('/').unwrap().0.to_owned();
            let late = self.parents(Layer::new(), &parent).file(&path, 0o755, UID, contents);
            base.layers.push(late.bytes());
        }
        base.config["created"] = self.created.clone().into();
        base.config["config"] = json!({
            "User": "bentoml", "Env": ["PATH=/app/bin:/usr/bin"], "WorkingDir": "/home/bentoml/bento",
            "Entrypoint": ["/home/bentoml/bento/env/docker/entrypoint.sh"], "Labels": labels,
            "Healthcheck": {"Test": ["NONE"]},
        });
        let (repository, tag) = to.split_once(':').unwrap();
        self.registry.put(repository, tag, &base)
    }
}

/// What of an environment an image of a bento has: all but the skeleton.
pub(crate) fn without_skeleton(mut tree: Tree, home: &str) -> Tree {
    for path in [MARKER, "apis", "env", "models", "src"] {
        let path = format!("{home}/{path}");
        let below = format!("{path}/");
        tree.nodes.retain(|name, _| *name != path && !name.starts_with(&below));
    }
    tree
}

/// What of a bento is in its skeleton, by BentoML's own Dockerfile.
pub(crate) fn skeleton(items: &Items) -> Items {
    let folders = ["env/docker/", "env/python/"];
    let needed = items.iter().filter(|(path, _)| folders.iter().any(|it| path.starts_with(it)));
    needed.cloned().collect()
}

fn listed(folder: &Path) -> Items {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let metadata = path.symlink_metadata().unwrap();
            let item = if metadata.is_symlink() {
                Item::Symlink(fs::read_link(&path).unwrap().to_str().unwrap().into())
            } else if metadata.is_dir() {
                folders.push(path);
                Item::Directory
            } else if metadata.permissions().mode() & 0o111 != 0 {
                Item::Program(fs::read(&path).unwrap())
            } else {
                Item::File(fs::read(&path).unwrap())
            };
            found.insert(name, item);
        }
    }
    found.into_iter().collect()
}

/// A layer that is being made.
struct Layer(LayerWriter<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(LayerWriter::plain(Vec::new()))
    }

    fn directory(mut self, path: &str, owner: u64) -> Self {
        self.0.directory(path, &attributes(0o755, owner)).unwrap();
        self
    }

    fn file(mut self, path: &str, mode: u32, owner: u64, contents: &[u8]) -> Self {
        self.0.file(path, &attributes(mode, owner), contents.len() as u64).unwrap();
        self.0.write_all(contents).unwrap();
        self
    }

    fn symlink(mut self, path: &str, target: &str) -> Self {
        self.0.symlink(path, target, &attributes(0o777, 0)).unwrap();
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.finish().unwrap().0
    }
}

fn attributes(mode: u32, owner: u64) -> Attributes {
    Attributes { mode, uid: owner, gid: owner, mtime: 1_700_000_000 }
}
