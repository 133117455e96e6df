//! Whether adding a bento's files to an image gives what a builder's copy of them gives, and with which attributes.
//!
//! A builder copies the bento into the layer that has the marker. What lies below it is hidden by the copy; what lies
//! above was done to the copy later, and must not be undone or be more than a change of permissions.

use std::collections::{BTreeMap, btree_map::Entry as Slot};

use crate::{
    placement::{
        entries::{Entries, Entry, Kind},
        error::{Unfit, printable},
        place::{Placement, Shown},
    },
    recipe::MARKER,
};

const WHITEOUT: &[u8] = b".wh.";
/// In a directory: all that lower layers have in it is gone.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Where the file lies that marks an environment.
#[derive(Debug)]
pub(crate) struct Marker {
    /// The directory that it lies in, without a `/` before or after it
    pub(crate) path: String,
    pub(crate) layer: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

/// Whether an entry is the bento's directory, leads to it or lies in it.
pub(crate) fn may_matter(bento: &str, name: &[u8]) -> bool {
    let bento = bento.as_bytes();
    let removed = removed(name);
    let name = removed.as_deref().unwrap_or(name);
    leads(name, bento) || leads(bento, name)
}

pub(crate) fn judge(
    entries: &Entries,
    marker: Marker,
    directories: &[&str],
) -> Result<Placement, Unfit> {
    let mut seen = BTreeMap::new();
    entries.each(|name, entry| {
        if may_matter(&marker.path, name) { look(&mut seen, &marker, name, entry) } else { Ok(()) }
    })?;
    for directory in directories {
        match seen.get(*directory).map(|seen| seen.top.kind) {
            Some(Kind::Directory) => {}
            other => {
                let what = other.map_or("nothing", Kind::name);
                return Err(Unfit::NoDirectory(short(&marker, directory), what));
            }
        }
    }
    let mut shown = BTreeMap::new();
    for (path, Seen { top: entry, is_copied }) in seen {
        if !is_copied && entry.kind != Kind::Directory {
            return Err(Unfit::MadeAfter(short(&marker, &path), entry.kind.name()));
        }
        let is_directory = entry.kind == Kind::Directory;
        // A symlink has no permissions of its own, and builders differ in whose it is.
        if entry.kind != Kind::Symlink && path != MARKER {
            let (mode, uid, gid) = (entry.mode.into(), entry.uid, entry.gid);
            shown.insert(path, Shown { is_directory, mode, uid, gid });
        }
    }
    let Marker { path, uid, gid, .. } = marker;
    Ok(Placement { shown, ..Placement::new(path, uid, gid) })
}

/// What the layers say of a path of the bento.
struct Seen {
    /// Of the topmost layer that has it
    top: Entry,
    /// It is in the marker's layer
    is_copied: bool,
}

fn look(
    seen: &mut BTreeMap<String, Seen>,
    marker: &Marker,
    name: &[u8],
    entry: Entry,
) -> Result<(), Unfit> {
    let is_copied = entry.layer == marker.layer;
    if let Some(removed) = removed(name) {
        // In the marker's layer itself it hides what lies below, and so what does not matter.
        return if is_copied { Ok(()) } else { Err(Unfit::Whiteout(printable(&removed))) };
    }
    let bento = marker.path.as_bytes();
    if leads(name, bento) {
        let is_way = entry.kind == Kind::Directory;
        return if is_way { Ok(()) } else { Err(Unfit::Way(printable(name), entry.kind.name())) };
    }
    let start = if bento.is_empty() { 0 } else { bento.len() + 1 };
    let Ok(path) = str::from_utf8(&name[start..]) else {
        return Err(Unfit::NotUtf8(printable(name))); // no bento has such a name
    };
    if !is_copied && !matches!(entry.kind, Kind::Directory | Kind::File) {
        return Err(Unfit::MadeAfter(printable(name), entry.kind.name()));
    }
    if !is_copied && (entry.uid, entry.gid) != (marker.uid, marker.gid) {
        return Err(Unfit::OwnedAfter(printable(name)));
    }
    match seen.entry(path.to_owned()) {
        Slot::Vacant(slot) => {
            slot.insert(Seen { top: entry, is_copied });
        }
        Slot::Occupied(slot) => {
            let seen = slot.into_mut();
            if entry.kind != seen.top.kind {
                let (below, above) = (entry.kind.name(), seen.top.kind.name());
                return Err(Unfit::Replaced(printable(name), below, above));
            }
            seen.is_copied |= is_copied;
            if entry.layer == seen.top.layer {
                seen.top = entry; // of two in one layer the last counts
            }
        }
    }
    Ok(())
}

/// What a whiteout removes, or whose contents.
fn removed(name: &[u8]) -> Option<Vec<u8>> {
    let start = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (parent, last) = name.split_at(start);
    if last == OPAQUE {
        return Some(parent[..start.saturating_sub(1)].to_vec());
    }
    Some([parent, last.strip_prefix(WHITEOUT)?].concat())
}

/// Whether a path is another one or a directory above it.
fn leads(above: &[u8], path: &[u8]) -> bool {
    above.is_empty()
        || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn short(marker: &Marker, path: &str) -> String {
    let slash = if marker.path.is_empty() { "" } else { "/" };
    printable(format!("{}{slash}{path}", marker.path).as_bytes())
}
