//! Bentos as BentoML makes them, the archives that they come in, and what a builder's copy makes of them.

use std::collections::BTreeMap;

use bento_image::flatten::{Content, Node, Tree};
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::archives::{tar, zip};

pub(crate) const HOME: &str = "home/bentoml/bento";
pub(crate) const UID: u64 = 1034;
pub(crate) const ENTRYPOINT: &str = "env/docker/entrypoint.sh";

/// As 1.4 writes it, without what it installs.
pub(crate) const DOCKERFILE: &str = "\
FROM python:3.11-slim
ARG BENTO_USER=bentoml
ARG BENTO_USER_UID=1034
RUN groupadd -g $BENTO_USER_UID -o $BENTO_USER && useradd -m -u $BENTO_USER_UID -g $BENTO_USER_UID -o -r $BENTO_USER
ARG BENTO_PATH=/home/bentoml/bento
ENV BENTO_PATH=$BENTO_PATH
RUN mkdir $BENTO_PATH && chown bentoml:bentoml $BENTO_PATH -R
WORKDIR $BENTO_PATH
COPY --chown=bentoml:bentoml ./env/docker ./env/docker/
COPY --chown=bentoml:bentoml ./env/python ./env/python/
RUN uv pip install -r ./env/python/requirements.txt
COPY --chown=bentoml:bentoml . ./
EXPOSE 3000
RUN chmod +x /home/bentoml/bento/env/docker/entrypoint.sh
USER bentoml
ENTRYPOINT [ \"/home/bentoml/bento/env/docker/entrypoint.sh\" ]
";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Directory,
    File(Vec<u8>),
    Program(Vec<u8>),
    HardLink(String),
    Symlink(String),
}

pub(crate) type Items = Vec<(String, Item)>;

#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// NAME:VERSION
    pub(crate) tag: &'static str,
    /// In the bento's manifest
    pub(crate) created: &'static str,
    /// In its own `model.yaml`
    pub(crate) says: &'static str,
    pub(crate) weights: Vec<u8>,
}

pub(crate) fn model(tag: &'static str, weights: Vec<u8>) -> Model {
    Model { tag, created: "2026-11-20T06:00:00+00:00", says: "", weights }
}

#[derive(Clone, Debug)]
pub(crate) struct Bento {
    pub(crate) version: &'static str,
    pub(crate) dockerfile: String,
    pub(crate) requirements: &'static str,
    pub(crate) models: Vec<Model>,
    /// Its code
    pub(crate) service: Vec<u8>,
    /// What it has besides
    pub(crate) more: Items,
    /// Directories that it has not
    pub(crate) without: Vec<&'static str>,
}

impl Bento {
    /// `iris` of this version, with one small model.
    pub(crate) fn new(version: &'static str) -> Self {
        Self {
            version,
            dockerfile: DOCKERFILE.into(),
            requirements: "bentoml==1.4.39\nnumpy==2.3.4\n",
            models: vec![model("iris_svm:m1", noise(1, 3_000))],
            service: format!("VERSION = '{version}'\n").into_bytes(),
            more: Vec::new(),
            without: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, path: &str, item: Item) -> Self {
        self.more.push((path.into(), item));
        self
    }

    pub(crate) fn models(self, models: impl IntoIterator<Item = Model>) -> Self {
        Self { models: models.into_iter().collect(), ..self }
    }

    fn manifest(&self) -> String {
        let version = self.version;
        let models = self.models.iter().map(|Model { tag, created, .. }| {
            let created = if created.is_empty() {
                String::new()
            } else {
                format!("  creation_time: '{created}'\n")
            };
            format!("- tag: {tag}\n  module: bentoml.sklearn\n{created}")
        });
        let models: String = models.collect();
        let models = if models.is_empty() { " []\n".into() } else { format!("\n{models}") };
        let day = 1 + version.bytes().last().unwrap() % 20;
        format!(
            "service: service:Iris\nname: iris\nversion: {version}\nbentoml_version: 1.4.39\n\
             creation_time: '2026-11-{day:02}T06:00:00+00:00'\nlabels: {{}}\nmodels:{models}"
        )
    }

    /// All that it has, sorted, with its directories.
    pub(crate) fn items(&self) -> Items {
        let mut files: BTreeMap<String, Item> = [
            ("README.md", b"# iris\n".to_vec()),
            ("apis/openapi.yaml", b"openapi: 3.0.2\n".to_vec()),
            ("bento.yaml", self.manifest().into_bytes()),
            ("env/docker/Dockerfile", self.dockerfile.clone().into_bytes()),
            (ENTRYPOINT, b"#!/bin/sh\nexec bentoml serve\n".to_vec()),
            ("env/python/requirements.txt", self.requirements.into()),
            ("src/service.py", self.service.clone()),
        ]
        .map(|(path, text)| (path.to_owned(), Item::File(text)))
        .into();
        for Model { tag, says, weights, .. } in &self.models {
            let (name, version) = tag.split_once(':').unwrap();
            let said =
                if says.is_empty() { String::new() } else { format!("creation_time: '{says}'\n") };
            let described = format!("name: {name}\nversion: {version}\n{said}");
            let folder = format!("models/{name}/{version}");
            files.insert(format!("{folder}/model.yaml"), Item::File(described.into_bytes()));
            files.insert(format!("{folder}/saved_model.pkl"), Item::File(weights.clone()));
        }
        files.extend(self.more.iter().cloned());
        files.retain(|path, _| !self.without.iter().any(|it| path.starts_with(&format!("{it}/"))));
        with_directories(&files)
    }

    /// As 1.4 packs it: sorted, the models before the code.
    pub(crate) fn archive(&self) -> Vec<u8> {
        pack(&self.items())
    }

    /// As 1.1 packed it: level by level.
    pub(crate) fn breadth_first(&self) -> Vec<u8> {
        let mut items = self.items();
        items.sort_by_key(|(path, _)| path.matches('/').count());
        pack(&items)
    }

    pub(crate) fn zip(&self) -> Vec<u8> {
        let items = self.items();
        let entries = items.iter().filter_map(|(path, item)| match item {
            Item::File(contents) => Some(zip::file(path, contents)),
            _ => None,
        });
        zip::Zip::of(entries).bytes()
    }

    /// What `COPY --chown . ./` makes of it, and the `chmod` after it.
    pub(crate) fn copied(&self, tree: &mut Tree) {
        copy(&self.items(), tree, HOME, ENTRYPOINT);
    }
}

pub(crate) fn with_directories(files: &BTreeMap<String, Item>) -> Items {
    let mut all = files.clone();
    for path in files.keys() {
        for (end, _) in path.match_indices('/') {
            all.entry(path[..end].to_owned()).or_insert(Item::Directory);
        }
    }
    all.into_iter().collect()
}

/// A tar that gzip has packed.
pub(crate) fn pack(items: &Items) -> Vec<u8> {
    let entries = items.iter().map(|(path, item)| {
        let name = format!("./{path}");
        match item {
            Item::Directory => tar::directory(&name),
            Item::File(contents) => tar::file(&name, contents),
            Item::Program(contents) => tar::entry(name.as_bytes(), tar::FILE, 0o755, b"", contents),
            Item::HardLink(to) => tar::hard_link(&name, &format!("./{to}")),
            Item::Symlink(to) => tar::symlink(&name, to),
        }
    });
    tar::gzip(&tar::archive(entries))
}

pub(crate) fn copy(items: &Items, tree: &mut Tree, home: &str, entrypoint: &str) {
    let node = |item: &Item, mode: u32| {
        let file = |contents: &[u8], mode| {
            let (size, sha256) = (contents.len() as u64, hex(&Sha256::digest(contents)));
            (Content::File { size, sha256 }, mode)
        };
        let (content, mode) = match item {
            Item::Directory => (Content::Directory, 0o755),
            Item::Symlink(to) => (Content::Symlink(to.clone()), 0),
            Item::File(contents) => file(contents, mode),
            Item::Program(contents) => file(contents, 0o755),
            Item::HardLink(_) => unreachable!(),
        };
        Node { content, mode, uid: UID, gid: UID, xattrs: BTreeMap::new() }
    };
    for (path, item) in items {
        let item = match item {
            Item::HardLink(to) => &items.iter().find(|(path, _)| path == to).unwrap().1,
            item => item,
        };
        let mode = if path == entrypoint { 0o755 } else { 0o644 };
        tree.nodes.insert(format!("{home}/{path}"), node(item, mode));
    }
}

/// Bytes that no compression makes smaller, the same for each seed.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ seed.wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}
