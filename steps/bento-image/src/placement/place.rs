//! The answer: where a bento lies, whose its files are, and which modes they have.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Everyone may read and enter, as in a folder that bento-retrieve made and a builder copied.
const DIRECTORY: u32 = 0o755;
const RUNNABLE: u32 = 0o755;
const PLAIN: u32 = 0o644;

/// Where a bento lies in an image, and whose its files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Relative to the image's root, without a `/` before or after it; empty if the bento lies in the root itself
    pub path: String,
    pub uid: u64,
    pub gid: u64,
    /// What the image has of the bento already, by its path in the bento
    pub(crate) shown: BTreeMap<String, Shown>,
    pub(crate) below: Below,
}

/// A file or a directory of the image that lies where the bento's will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) is_directory: bool,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

/// What of an image's lower layers keeps some bentos from being added to it. Empty for nearly every environment, so
/// that it may be kept beside one: as text it is JSON of a few bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Below {
    /// Paths in the bento that are links
    #[serde(default)]
    pub(crate) links: BTreeSet<String>,
    /// Directories of the skeleton that are there
    #[serde(default)]
    pub(crate) directories: BTreeSet<String>,
}

impl Below {
    /// As text, for [`Below::parse`].
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl Placement {
    /// A place in an image that has nothing of the bento.
    pub fn new(path: impl Into<String>, uid: u64, gid: u64) -> Self {
        Self { path: path.into(), uid, gid, shown: BTreeMap::new(), below: Below::default() }
    }

    /// The same with what was found in the layers below, so that a bento that it keeps from being added is refused.
    pub fn with_below(self, below: Below) -> Self {
        Self { below, ..self }
    }

    /// The permissions that the image shows for a path of the bento, such as those of a late `chmod +x`.
    pub fn mode_of(&self, path: &str) -> Option<u32> {
        self.shown.get(path).map(|shown| shown.mode)
    }

    /// Whose a path of the bento is: uid and gid.
    pub fn owner_of(&self, path: &str) -> (u64, u64) {
        self.shown.get(path).map_or((self.uid, self.gid), |shown| (shown.uid, shown.gid))
    }

    /// A path of the bento as one of the image.
    pub fn in_image(&self, path: &str) -> String {
        let slash = if self.path.is_empty() || path.is_empty() { "" } else { "/" };
        format!("{}{slash}{path}", self.path)
    }

    /// A path of the image as one of the bento, if it lies in it.
    pub(crate) fn in_bento(&self, name: &[u8]) -> Option<String> {
        let rest = name.strip_prefix(self.path.as_bytes())?;
        let rest = if self.path.is_empty() { rest } else { rest.strip_prefix(b"/")? };
        Some(String::from_utf8_lossy(rest).into_owned())
    }

    /// The permissions of a file of the bento in the image.
    pub(crate) fn file_mode(&self, path: &str, is_executable: bool) -> u32 {
        let shown = self.shown.get(path).filter(|shown| !shown.is_directory);
        shown.map_or(if is_executable { RUNNABLE } else { PLAIN }, |shown| shown.mode)
    }

    /// The permissions of a directory of the bento in the image.
    pub(crate) fn directory_mode(&self, path: &str) -> u32 {
        self.shown
            .get(path)
            .filter(|shown| shown.is_directory)
            .map_or(DIRECTORY, |shown| shown.mode)
    }
}
