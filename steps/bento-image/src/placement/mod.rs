//! Where and how a bento lies in the image of its environment: read from the layers, never from a Dockerfile.

mod below;
mod entries;
mod error;
mod judge;
mod place;
mod reader;
mod stream;

pub use self::{
    error::{PlacementError, Unfit},
    place::{Below, Placement},
    reader::PlacementReader,
};
