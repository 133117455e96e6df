//! What a container sees of layers: the measure by which two images are the same. For tests alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufReader, Read},
};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use step::text::hex;
use tar::{Archive, EntryType};

/// More symlinks than this on one way are a circle, as the kernel has it.
const MOST_LINKS: usize = 40;
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// A file, a directory or a symlink of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub content: Content,
    /// The lower 12 bits; 0 for a symlink, which has none of its own
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Directory,
    /// Bytes, and hexadecimal digits
    File {
        size: u64,
        sha256: String,
    },
    Symlink(String),
    /// A device or a pipe, by the type in its header
    Other(u8),
}

/// All of an image, by its path without a `/` before or after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// The tree of some layers, the lowest first, each a tar or a gzip of one.
    pub fn of<R: Read>(layers: impl IntoIterator<Item = R>) -> io::Result<Self> {
        let mut tree = Self::default();
        for layer in layers {
            tree.apply(layer)?;
        }
        Ok(tree)
    }

    /// Puts one more layer on top.
    pub fn apply(&mut self, mut layer: impl Read) -> io::Result<()> {
        let mut begin = Vec::new();
        layer.by_ref().take(2).read_to_end(&mut begin)?;
        let whole = BufReader::new(begin.as_slice().chain(layer));
        if begin == [0x1f, 0x8b] {
            self.apply_tar(MultiGzDecoder::new(whole))
        } else {
            self.apply_tar(whole)
        }
    }

    fn apply_tar(&mut self, tar: impl Read) -> io::Result<()> {
        let mut fresh = BTreeSet::new();
        for entry in Archive::new(tar).entries()? {
            let mut entry = entry?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some(path) = self.resolve_parent(&name)? else { continue };
            let (parent, last) = path.rsplit_once('/').unwrap_or(("", &path));
            if last == OPAQUE {
                self.remove_below(parent, &fresh);
            } else if let Some(hidden) = last.strip_prefix(WHITEOUT) {
                let hidden = join(parent, hidden);
                self.remove_below(&hidden, &fresh);
                if !fresh.contains(&hidden) {
                    self.nodes.remove(&hidden);
                }
            } else {
                let node = self.node(&mut entry)?;
                if node.content != Content::Directory {
                    self.remove_below(&path, &BTreeSet::new());
                }
                fresh.insert(path.clone());
                self.nodes.insert(path, node);
            }
        }
        Ok(())
    }

    fn node<R: Read>(&self, entry: &mut tar::Entry<R>) -> io::Result<Node> {
        let target = entry.link_name_bytes().unwrap_or_default();
        let target = String::from_utf8_lossy(&target).into_owned();
        let (kind, mut mode) = (entry.header().entry_type(), entry.header().mode()? & 0o7777);
        let (uid, gid) = (entry.header().uid()?, entry.header().gid()?);
        let mut xattrs = BTreeMap::new();
        for record in entry.pax_extensions()?.into_iter().flatten() {
            let record = record?;
            if let Some(name) = record.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr."))
            {
                xattrs.insert(name.to_owned(), record.value_bytes().to_vec());
            }
        }
        let content = match kind {
            EntryType::Directory => Content::Directory,
            EntryType::Symlink => {
                mode = 0;
                Content::Symlink(target)
            }
            EntryType::Link => {
                let path = self.resolve_parent(&target)?.unwrap_or_default();
                let first = self.nodes.get(&path).cloned();
                return first.ok_or_else(|| io::Error::other(format!("a hard link to `{path}`")));
            }
            EntryType::Regular | EntryType::Continuous => {
                let mut sha256 = Hashed(Sha256::new());
                let size = io::copy(entry, &mut sha256)?;
                Content::File { size, sha256: hex(&sha256.0.finalize()) }
            }
            other => Content::Other(other.as_byte()),
        };
        Ok(Node { content, mode, uid, gid, xattrs })
    }

    /// A name as a path, with the symlinks on the way followed inside the image; `None` for the root.
    fn resolve_parent(&self, name: &str) -> io::Result<Option<String>> {
        let parts = |name: &str| {
            let parts = name.split('/').filter(|part| !part.is_empty() && *part != ".");
            parts.rev().map(str::to_owned).collect::<Vec<_>>()
        };
        let (mut path, mut rest, mut links) = (String::new(), parts(name), 0);
        let is_root = rest.is_empty();
        while let Some(part) = rest.pop() {
            if part == ".." {
                path.truncate(path.rfind('/').unwrap_or(0));
                continue;
            }
            let next = join(&path, &part);
            match self.nodes.get(&next).map(|node| &node.content) {
                Some(Content::Symlink(target)) if !rest.is_empty() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(io::Error::other(format!("`{name}` leads through a circle")));
                    }
                    if target.starts_with('/') {
                        path.clear();
                    }
                    rest.extend(parts(target));
                }
                _ => path = next,
            }
        }
        Ok((!is_root).then_some(path))
    }

    /// Removes all that lies in a directory, but what is kept.
    fn remove_below(&mut self, path: &str, keep: &BTreeSet<String>) {
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.nodes.retain(|name, _| !name.starts_with(&below) || keep.contains(name));
    }
}

/// Hashes what is written.
struct Hashed(Sha256);

impl io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}
