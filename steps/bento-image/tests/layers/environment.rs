//! Layers of an environment, as a builder leaves them.

use bento_image::{
    layer::{Attributes, LayerWriter},
    placement::{Placement, PlacementError, PlacementReader},
    recipe::{DIRECTORIES, MARKER},
};
use std::io::Write as _;

pub(crate) const KEY: &str = "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592";
pub(crate) const HOME: &str = "home/bentoml/bento";
pub(crate) const UID: u64 = 1034;

/// A layer that is being made: a plain tar in memory.
pub(crate) struct Layer(LayerWriter<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(LayerWriter::plain(Vec::new()))
    }

    pub(crate) fn packed() -> Self {
        Self(LayerWriter::gzip(Vec::new()))
    }

    pub(crate) fn directory(mut self, path: &str, mode: u32, owner: u64) -> Self {
        self.0.directory(path, &attributes(mode, owner)).unwrap();
        self
    }

    pub(crate) fn file(mut self, path: &str, mode: u32, owner: u64, contents: &[u8]) -> Self {
        self.0.file(path, &attributes(mode, owner), contents.len() as u64).unwrap();
        self.0.write_all(contents).unwrap();
        self
    }

    pub(crate) fn symlink(mut self, path: &str, target: &str) -> Self {
        self.0.symlink(path, target, &attributes(0o777, 0)).unwrap();
        self
    }

    pub(crate) fn hard_link(mut self, path: &str, target: &str) -> Self {
        self.0.hard_link(path, target, &attributes(0o644, UID)).unwrap();
        self
    }

    /// Of a name, such as `home/.wh.x`
    pub(crate) fn whiteout(self, path: &str) -> Self {
        self.file(path, 0o644, 0, b"")
    }

    /// The directories of the skeleton and the marker.
    pub(crate) fn skeleton(mut self, home: &str) -> Self {
        for (end, _) in home.match_indices('/') {
            self = self.directory(&home[..end], 0o755, 0);
        }
        self = if home.is_empty() { self } else { self.directory(home, 0o755, UID) };
        for directory in DIRECTORIES {
            self = self.directory(&under(home, directory), 0o755, UID);
        }
        self.file(&under(home, MARKER), 0o644, UID, KEY.as_bytes())
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.finish().unwrap().0
    }
}

fn attributes(mode: u32, owner: u64) -> Attributes {
    Attributes { mode, uid: owner, gid: owner, mtime: 1_000_000_000 }
}

pub(crate) fn under(home: &str, path: &str) -> String {
    format!("{home}/{path}").trim_start_matches('/').to_owned()
}

/// What is read of layers, the lowest first.
pub(crate) fn placement(layers: &[Vec<u8>]) -> Result<Placement, PlacementError> {
    let mut reader = PlacementReader::new(KEY);
    for layer in layers.iter().rev() {
        if reader.read_layer(layer.as_slice())? {
            break;
        }
    }
    reader.placement(&DIRECTORIES)
}
