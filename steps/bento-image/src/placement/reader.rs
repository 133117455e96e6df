//! Looks through an image's layers, from the top down, for the file that marks an environment.

use std::io::Read;

use crate::{
    placement::{
        entries::{Entries, Entry, Kind},
        error::{PlacementError, Unfit, printable},
        judge::{Marker, judge, may_matter},
        place::Placement,
        stream,
    },
    recipe::MARKER,
};

/// Finds where a bento lies in the image of its environment.
#[derive(Debug)]
pub struct PlacementReader {
    key: String,
    /// Layers that were read
    layers: u32,
    entries: Entries,
    marker: Option<Marker>,
}

impl PlacementReader {
    /// For the environment with this key.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), layers: 0, entries: Entries::default(), marker: None }
    }

    /// Reads the next layer, a tar or a gzip of one, to its end. Begin with the topmost one and stop as soon as
    /// one has the marker: `true`.
    pub fn read_layer(&mut self, layer: impl Read) -> Result<bool, PlacementError> {
        let number = self.layers;
        self.layers += 1;
        stream::read(layer, |found, contents| {
            if found.name.rsplit(|byte| *byte == b'/').next() == Some(MARKER.as_bytes()) {
                self.mark(&found, number, contents)?;
            }
            if self.marker.as_ref().is_none_or(|marker| may_matter(&marker.path, &found.name)) {
                let stream::Found { name, kind, mode, uid, gid, .. } = found;
                self.entries.add(&name, Entry { layer: number, kind, mode, uid, gid })?;
            }
            Ok(())
        })?;
        Ok(self.marker.is_some())
    }

    /// How the bento lies in the image, if all these directories of the environment's context are directories of the
    /// image; their paths are relative to the bento.
    pub fn placement(self, directories: &[&str]) -> Result<Placement, PlacementError> {
        let marker = self.marker.ok_or(Unfit::NoMarker)?;
        Ok(judge(&self.entries, marker, directories)?)
    }

    fn mark(
        &mut self,
        found: &stream::Found,
        layer: u32,
        contents: &mut dyn Read,
    ) -> Result<(), PlacementError> {
        let shown = printable(&found.name);
        if let Some(first) = &self.marker {
            let first = printable(first.path.as_bytes());
            return Err(Unfit::MarkerTwice(format!("{first}/{MARKER}"), shown).into());
        }
        if found.kind != Kind::File {
            return Err(Unfit::MarkerKind(shown, found.kind.name()).into());
        }
        let mut content = Vec::new();
        let most = found.size.min(self.key.len() as u64 + 1);
        if (contents.take(most).read_to_end(&mut content)? as u64) < most {
            return Err(stream::truncated());
        }
        if content != self.key.as_bytes() {
            return Err(Unfit::MarkerContent(shown).into());
        }
        let end = found.name.len() - MARKER.len();
        let path = String::from_utf8(found.name[..end].to_vec());
        let path = path.map_err(|_| Unfit::NotUtf8(shown))?.trim_end_matches('/').to_owned();
        self.marker = Some(Marker { path, layer, uid: found.uid, gid: found.gid });
        Ok(())
    }
}
