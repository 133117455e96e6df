//! The name of an environment, and the context that it is built over.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::recipe::{
    layered::Recipe,
    listing::{DIRECTORIES, Entry, Listing, parents},
};

/// What of a bento a builder gets as its context, beside the marker that holds the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skeleton {
    /// To be made, in order
    pub directories: BTreeSet<String>,
    /// To be laid out with their content and, where true, executable
    pub files: BTreeMap<String, bool>,
    /// With their targets
    pub links: BTreeMap<String, String>,
}

impl Recipe {
    /// Names the environment: 64 hexadecimal digits that are the same exactly where a builder gets the same.
    ///
    /// `base_digest` is the base image's, `sha256:…`, empty for `scratch`; `platform` as in `linux/amd64`; `flags` are
    /// those that the builder gets from its user.
    pub fn key(
        &self,
        listing: &Listing,
        base_digest: &str,
        platform: &str,
        flags: &[String],
    ) -> String {
        let mut key = Key::default();
        key.text("kanaria environment 1").text(platform).text(base_digest).text(&self.text);
        let covered: Vec<_> = self
            .covered(listing)
            // A directory that is not empty is told by what is in it, whether or not the archive has an entry for it.
            .filter(|(path, entry)| {
                **entry != Entry::Directory || listing.below(path).next().is_none()
            })
            .collect();
        key.count(covered.len());
        for (path, entry) in covered {
            key.text(path);
            match entry {
                Entry::Directory => key.text("directory"),
                Entry::File { executable: false, sha256, .. } => key.text("file").text(sha256),
                Entry::File { executable: true, sha256, .. } => key.text("program").text(sha256),
                Entry::Link { target } => key.text("link").text(target),
            };
        }
        let other: Vec<_> = extra(listing).collect();
        key.count(other.len());
        for name in other {
            key.text(name);
        }
        key.count(flags.len());
        for flag in flags {
            key.text(flag);
        }
        hex(&key.0.finalize())
    }

    /// What to lay out of a bento that [`check`](Self::check) lets pass.
    pub fn skeleton(&self, listing: &Listing) -> Skeleton {
        let mut skeleton = Skeleton::default();
        let top = DIRECTORIES.into_iter().chain(extra(listing)).map(str::to_owned);
        skeleton.directories.extend(top);
        for (path, entry) in self.covered(listing) {
            skeleton.directories.extend(parents(path).map(str::to_owned));
            match entry {
                Entry::Directory => {
                    skeleton.directories.insert(path.to_owned());
                }
                Entry::File { executable, .. } => {
                    skeleton.files.insert(path.to_owned(), *executable);
                }
                Entry::Link { target } => {
                    skeleton.links.insert(path.to_owned(), target.clone());
                }
            }
        }
        skeleton
    }
}

/// Directories in the root that not every skeleton has.
fn extra(listing: &Listing) -> impl Iterator<Item = &str> {
    listing.directories().filter(|name| !DIRECTORIES.contains(name))
}

/// A SHA-256 over parts that are each preceded by their length, so that no two lists of parts are the same bytes.
#[derive(Default)]
struct Key(Sha256);

impl Key {
    fn text(&mut self, text: &str) -> &mut Self {
        self.count(text.len());
        self.0.update(text);
        self
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }
}
