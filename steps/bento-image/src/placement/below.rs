//! What lies where a bento will, from before it was copied: in the layers below the marker's.
//!
//! A copy hides nearly all of it, as our layers do. But a builder writes through a link that it finds at the place of a
//! file, and leaves alone a directory that the bento does not have, while our layers replace the one and remove the
//! other.

use std::io::Read;

use crate::{
    placement::{
        entries::Kind,
        error::{PlacementError, Unfit},
        place::{Below, Placement},
        stream,
    },
    recipe::DIRECTORIES,
};

/// Links that a bento's directory may have; no Dockerfile of BentoML's makes one.
const MOST: usize = 200;

impl Below {
    /// Reads one of the layers below the marker's, in any order.
    pub fn read_layer(
        &mut self,
        placement: &Placement,
        layer: impl Read,
    ) -> Result<(), PlacementError> {
        stream::read(layer, |found, _| {
            let names = [Some(&found.name), found.hard_link.as_ref()];
            for path in names.into_iter().flatten().filter_map(|name| placement.in_bento(name)) {
                let top = path.split('/').next().unwrap_or_default();
                if DIRECTORIES.contains(&top) {
                    self.directories.insert(top.to_owned());
                }
                if !matches!(found.kind, Kind::Directory | Kind::File) {
                    self.links.insert(path);
                }
            }
            if self.links.len() > MOST {
                return Err(Unfit::TooLarge("200 links where the bento belongs").into());
            }
            Ok(())
        })
    }
}
