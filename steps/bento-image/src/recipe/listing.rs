//! The files of a bento.

use std::collections::BTreeMap;

/// What every environment's context has, empty where its key covers nothing in them: a bento's archive may bring them
/// after the decision what is built.
pub const DIRECTORIES: [&str; 4] = ["apis", "env", "models", "src"];

/// The file in the root of an environment's context that holds the key: its layer tells where the bento goes, and
/// whose it is.
pub const MARKER: &str = ".kanaria-environment";

/// What is known of a bento: paths relative to its root, with `/`, as bento-retrieve lets them pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// A directory may be missing where something below it is there
    pub entries: BTreeMap<String, Entry>,
    /// Content of those that are small: what ADD may unpack is looked at here, and the requirements are
    pub texts: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Directory,
    File {
        executable: bool,
        /// In bytes
        size: u64,
        /// 64 digits; empty for a file that no key covers, which need not be hashed
        sha256: String,
    },
    Link {
        target: String,
    },
}

impl Entry {
    /// Whether it is a file of the same size and mode.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::File { executable, size, .. },
                Self::File { executable: other_executable, size: other_size, .. },
            ) => (executable, size) == (other_executable, other_size),
            _ => false,
        }
    }
}

impl Listing {
    /// Whether it is a directory, be it only because something is below it.
    pub(crate) fn is_directory(&self, path: &str) -> bool {
        matches!(self.entries.get(path), Some(Entry::Directory))
            || (!self.entries.contains_key(path) && self.below(path).next().is_some())
    }

    /// Whether there is anything of that name.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path) || self.is_directory(path)
    }

    /// All below a directory.
    pub(crate) fn below(&self, directory: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let start = format!("{directory}/");
        let found = self.entries.range(start.clone()..);
        found
            .take_while(move |(path, _)| path.starts_with(&start))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// Directories in the root, in order.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &str> {
        let mut last = "";
        self.entries.iter().filter_map(move |(path, entry)| {
            let name = match path.split_once('/') {
                Some((name, _)) => name,
                None if *entry == Entry::Directory => path,
                None => return None,
            };
            (std::mem::replace(&mut last, name) != name).then_some(name)
        })
    }
}

/// The directories that a path is in, the outermost first.
pub(crate) fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_with_an_entry_and_without() {
        let file = || Entry::File { executable: false, size: 0, sha256: String::new() };
        let entries = [
            ("a", Entry::Directory),
            ("a-b", file()),
            ("a/x", file()),
            ("b/c/x", file()),
            ("d", file()),
            ("e", Entry::Link { target: "a".into() }),
        ];
        let entries = entries.into_iter().map(|(path, entry)| (path.to_owned(), entry)).collect();
        let listing = Listing { entries, ..Listing::default() };
        let directories: Vec<_> = listing.directories().collect();
        assert_eq!(directories, ["a", "b"]);
        let found =
            ["a", "a-b", "b", "b/c", "b/c/x", "c", "d", "e"].map(|path| listing.is_directory(path));
        assert_eq!(found, [true, false, true, true, false, false, false, false]);
        assert!(listing.has("e") && listing.has("b/c") && !listing.has("c"));
    }
}
