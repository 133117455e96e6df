//! What an archive may put where: the rules about names, kinds and links, without touching a disk.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::archive::writer::Links;

/// Longest part of a name, in bytes: what Linux file systems take.
const LONGEST_PART: usize = 255;
/// Longest name, in bytes. Real bentos stay below 200; the kernel takes 4,096 with the folder in front.
const LONGEST_NAME: usize = 2_048;

/// Why an entry is refused. Reads as the end of a sentence that begins with the entry's name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Rule {
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
    #[error("is a {0}; a bento has files, directories and symlinks only")]
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
    #[error("is no file that came before it")]
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
    pub(crate) fn file(&mut self, name: &[u8], size: u64) -> Result<Placed, Rule> {
        if name.ends_with(b"/") {
            return Err(Rule::NoName);
        }
        self.place(name, Kind::File(size))
    }

    /// A place for a second name of a file that came before, and that file.
    pub(crate) fn hard_link(
        &mut self,
        name: &[u8],
        target: &[u8],
    ) -> Result<(Placed, Earlier), Rule> {
        let shown =
            text(target).ok().filter(|target| !target.is_empty()).ok_or(Rule::LinkTarget)?;
        let refused = |rule| Rule::HardLink(shown.to_owned(), Box::new(rule));
        let earlier = self.earlier(target).map_err(refused)?;
        Ok((self.file(name, earlier.size)?, earlier))
    }

    /// The file that is there under this name, which counts from the archive's root, like an entry's own.
    fn earlier(&self, name: &[u8]) -> Result<Earlier, Rule> {
        let name = parts(name)?.join("/");
        match self.entries.get(&name.to_lowercase()) {
            Some((known, Kind::File(size))) if *known == name => {
                Ok(Earlier { path: name.into(), size: *size })
            }
            _ => Err(Rule::NoEarlierFile),
        }
    }

    pub(crate) fn directory(&mut self, name: &[u8]) -> Result<Placed, Rule> {
        self.place(name, Kind::Directory)
    }

    /// Keeps a symlink for [`Tree::into_links`]: until the archive's end nothing can be written through it.
    pub(crate) fn link(&mut self, name: &[u8], target: &[u8]) -> Result<Placed, Rule> {
        let target = text(target).map_err(|_| Rule::LinkTarget)?;
        if target.is_empty() {
            return Err(Rule::LinkTarget);
        }
        if target.starts_with('/') {
            return Err(Rule::LinkAbsolute(target.into()));
        }
        let placed = self.place(name, Kind::Link)?;
        self.links.push((placed.name.clone(), target.into()));
        Ok(placed)
    }

    /// All symlinks with their targets, once the whole archive is known, or the name of the one that is refused.
    pub(crate) fn into_links(self) -> Result<Links, (String, Rule)> {
        for (name, target) in &self.links {
            self.follow(name, target).map_err(|rule| (name.clone(), rule))?;
        }
        Ok(self.links)
    }

    /// Goes the way of a symlink, part by part, inside the tree.
    fn follow(&self, name: &str, target: &str) -> Result<(), Rule> {
        let outside = || Rule::LinkOutside(target.into());
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
                return Err(Rule::LinkThrough(target.into()));
            }
        }
        Ok(())
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        self.entries.get(&name.to_lowercase()).map(|(_, kind)| *kind)
    }

    fn place(&mut self, name: &[u8], kind: Kind) -> Result<Placed, Rule> {
        let parts = parts(name)?;
        if parts.is_empty() {
            // `./` itself, which is there already
            return if kind == Kind::Directory { Ok(Placed::default()) } else { Err(Rule::NoName) };
        }
        let mut fresh = Vec::new();
        let name = parts.join("/");
        for (end, _) in name.match_indices('/') {
            if self.add(&name[..end], Kind::ImpliedDirectory)? {
                fresh.push(PathBuf::from(&name[..end]));
            }
        }
        let is_fresh = self.add(&name, kind)?;
        if is_fresh && kind == Kind::Directory {
            fresh.push(PathBuf::from(&name));
        }
        Ok(Placed { name, fresh_directories: fresh })
    }

    /// Whether it is new. Only a directory may be named again, and only once by itself.
    fn add(&mut self, name: &str, kind: Kind) -> Result<bool, Rule> {
        let (known, known_kind) = match self.entries.entry(name.to_lowercase()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(place) => {
                place.insert((name.to_owned(), kind));
                return Ok(true);
            }
        };
        if known != name {
            return Err(Rule::CaseTwin(known.clone()));
        }
        match (*known_kind, kind) {
            (Kind::Directory | Kind::ImpliedDirectory, Kind::ImpliedDirectory) => Ok(false),
            (Kind::ImpliedDirectory, Kind::Directory) => {
                *known_kind = Kind::Directory;
                Ok(false)
            }
            (Kind::File(_) | Kind::Link, Kind::ImpliedDirectory) => {
                Err(Rule::BelowFile(known.clone()))
            }
            _ => Err(Rule::Twice),
        }
    }
}

/// Where an entry goes, relative to the folder that the archive is unpacked into.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    name: String,
    /// Directories to make first, outermost first; with the entry itself if it is one
    fresh_directories: Vec<PathBuf>,
}

/// A file of the archive that another entry is a hard link to.
#[derive(Debug)]
pub(crate) struct Earlier {
    pub(crate) path: PathBuf,
    /// Bytes
    pub(crate) size: u64,
}

impl Placed {
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(&self.name)
    }

    pub(crate) fn fresh_directories(&self) -> impl Iterator<Item = &Path> {
        self.fresh_directories.iter().map(PathBuf::as_path)
    }
}

/// The parts of a name that may be used, without `.` and empty ones.
fn parts(name: &[u8]) -> Result<Vec<&str>, Rule> {
    let name = text(name)?;
    if name.starts_with('/') {
        return Err(Rule::Absolute);
    }
    let parts: Vec<_> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(Rule::Parent);
    }
    if parts.iter().any(|part| part.len() > LONGEST_PART) {
        return Err(Rule::TooLong);
    }
    Ok(parts)
}

fn text(bytes: &[u8]) -> Result<&str, Rule> {
    if bytes.len() > LONGEST_NAME {
        return Err(Rule::TooLong);
    }
    let text = str::from_utf8(bytes).map_err(|_| Rule::NotUtf8)?;
    if text.chars().any(char::is_control) { Err(Rule::Control) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn placed(names: &[&str]) -> Result<Vec<PathBuf>, Rule> {
        let mut tree = Tree::default();
        names.iter().map(|name| tree.file(name.as_bytes(), 1).map(|placed| placed.path())).collect()
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        assert_eq!(placed(&["/etc/passwd"]), Err(Rule::Absolute));
        assert_eq!(placed(&["src/../../x"]), Err(Rule::Parent));
        assert_eq!(
            placed(&["./a//./b"]),
            Ok(vec!["a/b".into()]),
            "dots and empty parts mean nothing"
        );
    }

    #[test]
    fn names_that_no_bento_has_are_refused() {
        assert_eq!(Tree::default().file(b"\xff", 1).unwrap_err(), Rule::NotUtf8);
        assert_eq!(placed(&["a\u{1b}[2J"]), Err(Rule::Control));
        assert_eq!(placed(&["src/"]), Err(Rule::NoName));
        assert_eq!(placed(&["."]), Err(Rule::NoName));
        assert_eq!(placed(&[&"x".repeat(256)]), Err(Rule::TooLong));
        assert_eq!(placed(&[&format!("{}x", "x/".repeat(1_025))]), Err(Rule::TooLong));
    }

    #[test]
    fn a_name_stands_for_one_thing_only() {
        assert_eq!(placed(&["a", "./a"]), Err(Rule::Twice));
        assert_eq!(placed(&["src/A", "src/a"]), Err(Rule::CaseTwin("src/A".into())));
        assert_eq!(placed(&["Src/a", "src/b"]), Err(Rule::CaseTwin("Src".into())));
        assert_eq!(placed(&["a", "a/b"]), Err(Rule::BelowFile("a".into())));
        assert_eq!(placed(&["a/b", "a"]), Err(Rule::Twice));
        let mut tree = Tree::default();
        tree.directory(b"./").unwrap();
        tree.file(b"src/a", 1).unwrap();
        tree.directory(b"src").unwrap();
        assert_eq!(tree.directory(b"src/").unwrap_err(), Rule::Twice);
    }

    #[test]
    fn each_directory_is_made_once_before_what_is_in_it() {
        let mut tree = Tree::default();
        let mut fresh = |name: &str| tree.file(name.as_bytes(), 1).unwrap().fresh_directories;
        assert_eq!(fresh("a/b/c"), [PathBuf::from("a"), PathBuf::from("a/b")]);
        assert!(fresh("a/b/d").is_empty());
    }

    #[test]
    fn symlinks_that_stay_inside_are_kept() {
        let mut tree = Tree::default();
        tree.file(b"models/m/v1/model.yaml", 1).unwrap();
        for (name, target) in
            [("models/m/latest", "v1"), ("src/up", "../models/./m"), ("top", "."), ("again", "top")]
        {
            tree.link(name.as_bytes(), target.as_bytes()).unwrap();
        }
        assert_eq!(tree.into_links().unwrap().len(), 4);
    }

    #[test]
    fn symlinks_that_leave_or_pass_through_another_are_refused() {
        let refused = |links: &[(&str, &str)]| {
            let mut tree = Tree::default();
            for (name, target) in links {
                if let Err(rule) = tree.link(name.as_bytes(), target.as_bytes()) {
                    return rule;
                }
            }
            tree.into_links().unwrap_err().1
        };
        assert_eq!(refused(&[("l", "/etc")]), Rule::LinkAbsolute("/etc".into()));
        assert_eq!(refused(&[("l", "..")]), Rule::LinkOutside("..".into()));
        assert_eq!(refused(&[("a/l", "b/../../../x")]), Rule::LinkOutside("b/../../../x".into()));
        // Each is inside when its dots are counted; the second leaves through the first.
        let chain = [("p/q/s", "../.."), ("p/q/l", "s/../../x")];
        assert_eq!(refused(&chain), Rule::LinkThrough("s/../../x".into()));
        assert_eq!(refused(&[("l", "")]), Rule::LinkTarget);
        let mut tree = Tree::default();
        tree.link(b"l", b"src").unwrap();
        assert_eq!(tree.file(b"l/x", 1).unwrap_err(), Rule::BelowFile("l".into()));
    }

    #[test]
    fn a_hard_link_is_a_second_name_of_a_file_that_came_before_and_of_nothing_else() {
        let mut tree = Tree::default();
        tree.file(b"./models/m/v1/weights", 7).unwrap();
        tree.link(b"latest", b"models").unwrap();
        let mut linked = |name: &str, target: &str| {
            let linked = tree.hard_link(name.as_bytes(), target.as_bytes());
            linked.map(|(placed, earlier)| (placed.path(), earlier.path, earlier.size))
        };
        let first = ("models/m/v2/weights".into(), "models/m/v1/weights".into(), 7);
        assert_eq!(linked("./models/m/v2/weights", "./models/m/v1/weights"), Ok(first));
        let second = ("x".into(), "models/m/v2/weights".into(), 7);
        assert_eq!(linked("x", "models/m/v2/weights"), Ok(second), "by then it is a file");
        assert_eq!(linked("x", "models/m/v1/weights"), Err(Rule::Twice));
        assert_eq!(linked("y/", "x"), Err(Rule::NoName));
        for target in ["", "a\u{7}", &"x/".repeat(1_025)] {
            assert_eq!(linked("y", target), Err(Rule::LinkTarget), "{target:?}");
        }
        let nothing_earlier =
            ["y", "later", ".", "models", "models/m/v1", "latest", "latest/m/v1/weights", "X"];
        let outside = ["/etc/passwd", "/x"].map(|target| (target, Rule::Absolute));
        let above = ["../x", "models/../x"].map(|target| (target, Rule::Parent));
        let refused = nothing_earlier.map(|target| (target, Rule::NoEarlierFile));
        for (target, rule) in refused.into_iter().chain(outside).chain(above) {
            assert_eq!(linked("y", target), Err(Rule::HardLink(target.into(), Box::new(rule))));
        }
    }

    /// An independent walk: where a path ends when every symlink is followed, or `None` when it leaves.
    fn resolve(links: &HashMap<String, String>, path: &str, depth: usize) -> Option<Vec<String>> {
        let mut at: Vec<String> = Vec::new();
        for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                at.pop()?;
                continue;
            }
            at.push(part.to_owned());
            if let Some(target) = links.get(&at.join("/")) {
                if depth > 40 {
                    return Some(at); // the kernel gives up on a loop
                }
                at.pop();
                let onwards = format!("{}/{target}", at.join("/"));
                at = resolve(links, &onwards, depth + 1)?;
            }
        }
        Some(at)
    }

    proptest! {
        #[test]
        fn no_accepted_set_of_symlinks_leaves_the_folder(
            links in prop::collection::vec(("[ab](/[ab]){0,3}", "(\\.\\.|[ab]|\\.)(/(\\.\\.|[ab])){0,4}"), 1..6)
        ) {
            let mut tree = Tree::default();
            for (name, target) in &links {
                let _ = tree.link(name.as_bytes(), target.as_bytes());
            }
            if let Ok(kept) = tree.into_links() {
                let kept: HashMap<_, _> = kept.into_iter().collect();
                for name in kept.keys() {
                    prop_assert!(resolve(&kept, name, 0).is_some(), "{name} leaves by way of {kept:?}");
                }
            }
        }
    }
}
