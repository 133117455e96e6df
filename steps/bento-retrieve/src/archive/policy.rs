//! What an archive may put where: the rules about names, kinds and links, without touching a disk.

use std::collections::{HashMap, hash_map::Entry};

use thiserror::Error;

/// Longest part of a name, in bytes: what Linux file systems take.
const LONGEST_PART: usize = 255;
/// Longest name, in bytes. Real bentos stay below 200; the kernel takes 4,096 with the folder in front.
const LONGEST_NAME: usize = 2_048;

/// Why an entry is refused. Reads as the end of a sentence that begins with the entry's name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Violation {
    #[error("has a name that is not UTF-8")]
    NotUtf8,
    #[error("has a control character in its name")]
    Control,
    #[error("has a name or a part of it that is too long")]
    TooLong,
    #[error("has an absolute name")]
    Absolute,
    #[error("has `..` in its name")]
    Parent,
    #[error("is a file, but has the name of a directory")]
    NoName,
    #[error("is there twice")]
    Twice,
    #[error("differs from `{0}` in upper and lower case only")]
    CaseTwin(String),
    #[error("lies below `{0}`, which is not a directory")]
    BelowFile(String),
    #[error("is {0}; a bento has files, directories and symlinks only")]
    Kind(&'static str),
    #[error("is a link without a target, or one with a target that no bento has")]
    LinkTarget,
    #[error("is a symlink to `{0}`, an absolute name")]
    LinkAbsolute(String),
    #[error("is a symlink to `{0}`, which lies outside of the bento")]
    LinkOutside(String),
    #[error("is a symlink to `{0}`, which passes through another symlink")]
    LinkThrough(String),
    #[error("is a hard link to `{0}`, which {1}")]
    HardLink(String, Box<Self>),
    #[error("is not an earlier file")]
    NoEarlierFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Seen only as a part of another entry's name
    ImpliedDirectory,
    Directory,
    /// Of so many bytes
    File(u64),
    Link,
}

/// Symlinks and their targets.
pub(crate) type Links = Vec<(String, String)>;

/// All that an archive has brought so far.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// By name in lower case: the name as it is, and what it is.
    entries: HashMap<String, (String, Kind)>,
    links: Links,
}

impl Tree {
    /// A place for a file of so many bytes. The path is relative and its directories are listed by
    /// [`Placed::fresh_directories`].
    pub(crate) fn file(&mut self, name: &[u8], size: u64) -> Result<Placed, Violation> {
        if name.ends_with(b"/") {
            return Err(Violation::NoName);
        }
        self.place(name, Kind::File(size))
    }

    /// A place for a second name of a file that came before, and that file.
    pub(crate) fn hard_link(
        &mut self,
        name: &[u8],
        target: &[u8],
    ) -> Result<(Placed, Earlier), Violation> {
        let shown =
            text(target).ok().filter(|target| !target.is_empty()).ok_or(Violation::LinkTarget)?;
        let refused = |violation| Violation::HardLink(shown.to_owned(), Box::new(violation));
        let earlier = self.earlier(target).map_err(refused)?;
        Ok((self.file(name, earlier.size)?, earlier))
    }

    /// The file that is there under this name, which counts from the archive's root, like an entry's own.
    fn earlier(&self, name: &[u8]) -> Result<Earlier, Violation> {
        let name = parts(name)?.join("/");
        match self.entries.get(&name.to_lowercase()) {
            Some((known, Kind::File(size))) if *known == name => {
                Ok(Earlier { path: name, size: *size })
            }
            _ => Err(Violation::NoEarlierFile),
        }
    }

    pub(crate) fn directory(&mut self, name: &[u8]) -> Result<Placed, Violation> {
        self.place(name, Kind::Directory)
    }

    /// Keeps a symlink for [`Tree::into_links`]: until the archive's end nothing can be written through it.
    pub(crate) fn link(&mut self, name: &[u8], target: &[u8]) -> Result<Placed, Violation> {
        let target = text(target).map_err(|_| Violation::LinkTarget)?;
        if target.is_empty() {
            return Err(Violation::LinkTarget);
        }
        if target.starts_with('/') {
            return Err(Violation::LinkAbsolute(target.into()));
        }
        let placed = self.place(name, Kind::Link)?;
        self.links.push((placed.name.clone(), target.into()));
        Ok(placed)
    }

    /// All symlinks with their targets, once the whole archive is known, or the name of the one that is refused.
    pub(crate) fn into_links(self) -> Result<Links, (String, Violation)> {
        for (name, target) in &self.links {
            self.follow(name, target).map_err(|violation| (name.clone(), violation))?;
        }
        Ok(self.links)
    }

    /// Goes the way of a symlink, part by part, inside the tree.
    fn follow(&self, name: &str, target: &str) -> Result<(), Violation> {
        let outside = || Violation::LinkOutside(target.into());
        let mut at: Vec<&str> = name.split('/').collect();
        at.pop(); // a target counts from the link's folder
        let mut parts =
            target.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
        while let Some(part) = parts.next() {
            if part == ".." {
                at.pop().ok_or_else(outside)?;
                continue;
            }
            at.push(part);
            let is_link = self.kind(&at.join("/")) == Some(Kind::Link);
            if is_link && parts.peek().is_some() {
                return Err(Violation::LinkThrough(target.into()));
            }
        }
        Ok(())
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        self.entries.get(&name.to_lowercase()).map(|(_, kind)| *kind)
    }

    fn place(&mut self, name: &[u8], kind: Kind) -> Result<Placed, Violation> {
        let parts = parts(name)?;
        if parts.is_empty() {
            // `./` itself, which is there already
            return if kind == Kind::Directory {
                Ok(Placed::default())
            } else {
                Err(Violation::NoName)
            };
        }
        let mut fresh = Vec::new();
        let name = parts.join("/");
        for (end, _) in name.match_indices('/') {
            if self.add(&name[..end], Kind::ImpliedDirectory)? {
                fresh.push(name[..end].to_owned());
            }
        }
        let is_fresh = self.add(&name, kind)?;
        if is_fresh && kind == Kind::Directory {
            fresh.push(name.clone());
        }
        Ok(Placed { name, fresh_directories: fresh })
    }

    /// Whether it is new. Only a directory may be named again, and only once by itself.
    fn add(&mut self, name: &str, kind: Kind) -> Result<bool, Violation> {
        let (known, known_kind) = match self.entries.entry(name.to_lowercase()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(place) => {
                place.insert((name.to_owned(), kind));
                return Ok(true);
            }
        };
        if known != name {
            return Err(Violation::CaseTwin(known.clone()));
        }
        match (*known_kind, kind) {
            (Kind::Directory | Kind::ImpliedDirectory, Kind::ImpliedDirectory) => Ok(false),
            (Kind::ImpliedDirectory, Kind::Directory) => {
                *known_kind = Kind::Directory;
                Ok(false)
            }
            (Kind::File(_) | Kind::Link, Kind::ImpliedDirectory) => {
                Err(Violation::BelowFile(known.clone()))
            }
            _ => Err(Violation::Twice),
        }
    }
}

/// Where an entry goes, relative to the folder that the archive is unpacked into.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    pub(crate) name: String,
    /// Directories to make first, outermost first; with the entry itself if it is one
    pub(crate) fresh_directories: Vec<String>,
}

/// A file of the archive that another entry is a hard link to.
#[derive(Debug)]
pub(crate) struct Earlier {
    pub(crate) path: String,
    /// Bytes
    pub(crate) size: u64,
}

/// The parts of a name that may be used, without `.` and empty ones.
fn parts(name: &[u8]) -> Result<Vec<&str>, Violation> {
    let name = text(name)?;
    if name.starts_with('/') {
        return Err(Violation::Absolute);
    }
    let parts: Vec<_> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(Violation::Parent);
    }
    if parts.iter().any(|part| part.len() > LONGEST_PART) {
        return Err(Violation::TooLong);
    }
    Ok(parts)
}

fn text(bytes: &[u8]) -> Result<&str, Violation> {
    if bytes.len() > LONGEST_NAME {
        return Err(Violation::TooLong);
    }
    let text = str::from_utf8(bytes).map_err(|_| Violation::NotUtf8)?;
    if text.chars().any(char::is_control) { Err(Violation::Control) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
