//! Bentos as archives bring them, what they become in layers, and what a builder's copy makes of them.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io::Write as _,
    sync::Arc,
};

use bento_image::{
    flatten::{Content, Node, Tree},
    layer::{CodeLayer, Finished, LayerError, ModelLayer, Written},
    placement::Placement,
};
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::environment::{UID, under};

/// In every bento here, and made executable late.
pub(crate) const ENTRYPOINT: &str = "env/docker/entrypoint.sh";
pub(crate) const MODELS: [(&str, &str); 2] = [("iris", "v1"), ("rose", "v2")];

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Directory,
    File { is_executable: bool, contents: Vec<u8> },
    HardLink(String),
    Symlink(String),
}

/// Entries in the order of the archive: directories before what is in them, hard links after their files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bento(pub(crate) Vec<(String, Item)>);

impl Bento {
    pub(crate) fn new() -> Self {
        let mut bento = Self::default();
        bento.file(ENTRYPOINT, false, b"#!/bin/sh");
        bento
    }

    pub(crate) fn file(&mut self, path: &str, is_executable: bool, contents: &[u8]) {
        self.add(path, Item::File { is_executable, contents: contents.to_vec() });
    }

    /// Leaves out what no archive may have: a name twice, or one below a file.
    pub(crate) fn add(&mut self, path: &str, item: Item) {
        let at = |bento: &Self, path: &str| {
            let found = bento.0.iter().find(|(known, _)| known == path);
            found.map(|(_, item)| matches!(item, Item::Directory))
        };
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        let is_below_file = parents.clone().any(|parent| at(self, parent) == Some(false));
        if is_below_file || at(self, path).is_some() {
            return;
        }
        for parent in parents {
            if at(self, parent).is_none() {
                self.0.push((parent.to_owned(), Item::Directory));
            }
        }
        self.0.push((path.to_owned(), item));
    }

    /// The files of the same layer, which a hard link may be of.
    pub(crate) fn files_beside(&self, path: &str) -> Vec<String> {
        let files = self.0.iter().filter(|(_, item)| matches!(item, Item::File { .. }));
        let beside = files.filter(|(file, _)| file != ENTRYPOINT && model(file) == model(path));
        beside.map(|(file, _)| file.clone()).collect()
    }

    pub(crate) fn top_directories(&self) -> BTreeSet<String> {
        let directories = self.0.iter().filter(|(_, item)| matches!(item, Item::Directory));
        directories.filter(|(path, _)| !path.contains('/')).map(|(path, _)| path.clone()).collect()
    }

    /// What `COPY --chown . ./` makes of it.
    pub(crate) fn copy_into(&self, tree: &mut Tree, home: &str) {
        for (path, item) in &self.0 {
            let node = self.node(item);
            tree.nodes.insert(under(home, path), node);
        }
    }

    fn node(&self, item: &Item) -> Node {
        let (content, mode) = match item {
            Item::Directory => (Content::Directory, 0o755),
            Item::Symlink(target) => (Content::Symlink(target.clone()), 0),
            Item::HardLink(target) => {
                return self.node(&self.0.iter().find(|(path, _)| path == target).unwrap().1);
            }
            Item::File { is_executable, contents } => {
                let sha256 = hex(&Sha256::digest(contents));
                let content = Content::File { size: contents.len() as u64, sha256 };
                (content, if *is_executable { 0o755 } else { 0o644 })
            }
        };
        Node { content, mode, uid: UID, gid: UID, xattrs: BTreeMap::new() }
    }
}

/// The model in whose layer a path is.
fn model(path: &str) -> Option<(&'static str, &'static str)> {
    MODELS.into_iter().find(|(name, version)| {
        let rest = path.strip_prefix(&format!("models/{name}/{version}"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The layers of a bento, models first, each written in pieces of so many bytes; and whether the code layer was too
/// large to be held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    pub(crate) models: BTreeMap<(&'static str, &'static str), (Vec<u8>, Written)>,
    pub(crate) code: (Vec<u8>, Written),
    pub(crate) is_spilled: bool,
}

impl Layers {
    pub(crate) fn of(bento: &Bento, at: &Placement, piece: usize) -> Result<Self, LayerError> {
        let at = Arc::new(at.clone());
        let mut code = CodeLayer::new(at.clone(), 1_700_000_000, || Ok(Vec::new()));
        let (mut models, mut links) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
        for (path, item) in &bento.0 {
            let model = model(path);
            if let Some((name, version)) = model {
                if let Entry::Vacant(vacant) = models.entry((name, version)) {
                    let created = 1_600_000_000;
                    vacant.insert(ModelLayer::new(Vec::new(), at.clone(), name, version, created)?);
                }
                let layer = models.get_mut(&(name, version)).unwrap();
                code.has(path);
                match item {
                    Item::Directory => layer.directory(path)?,
                    Item::HardLink(target) => layer.hard_link(path, target)?,
                    Item::Symlink(target) => {
                        links.entry(model).or_default().push((path.clone(), target.clone()));
                    }
                    Item::File { is_executable, contents } => {
                        layer.file(path, *is_executable, contents.len() as u64)?;
                        contents.chunks(piece).try_for_each(|piece| layer.write_all(piece))?;
                    }
                }
            } else {
                match item {
                    Item::Directory => code.directory(path)?,
                    Item::HardLink(target) => code.hard_link(path, target)?,
                    Item::Symlink(target) => {
                        links.entry(model).or_default().push((path.clone(), target.clone()));
                    }
                    Item::File { is_executable, contents } => {
                        code.file(path, *is_executable, contents.len() as u64)?;
                        contents.chunks(piece).try_for_each(|piece| code.write_all(piece))?;
                    }
                }
            }
        }
        let links = |model| links.get(&model).map_or(&[][..], Vec::as_slice);
        let (code, is_spilled) = match code.finish(links(None))? {
            Finished::Held(bytes, written) => ((bytes, written), false),
            Finished::Spilled(bytes, written) => ((bytes, written), true),
        };
        let models =
            models.into_iter().map(|(model, layer)| Ok((model, layer.finish(links(Some(model)))?)));
        Ok(Self { models: models.collect::<Result<_, LayerError>>()?, code, is_spilled })
    }

    pub(crate) fn bytes(&self) -> Vec<&[u8]> {
        self.models.values().chain([&self.code]).map(|(bytes, _)| bytes.as_slice()).collect()
    }
}
