//! What a reading has found out for the next one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{planner::Layered, recipe::Listing};

/// What readings before have found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learnt {
    /// How the image is made, once all of the archive was listed
    pub plan: Option<Known>,
    /// Files of which another layer has a copy, by hard links: each with the paths of the copies
    pub copies: BTreeMap<String, Vec<String>>,
    /// Layers of models that were pushed by this run
    pub pushed: BTreeMap<String, Stored>,
    /// Models whose files do not lie together in the archive
    pub scattered: BTreeSet<String>,
    /// Models whose layer has to be uploaded, whatever the registry is said to have
    pub changed: BTreeSet<String>,
    /// Whether files are hashed that the key does not cover: one that it covers is a hard link to such a file
    pub hashes_all: bool,
}

/// All of a bento.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub layered: Layered,
    /// The folder of the archive that everything lies in, with its `/`; empty where there is none
    pub root: String,
    pub listing: Arc<Listing>,
}

/// A layer that the registry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub digest: String,
    /// Bytes
    pub size: u64,
}
