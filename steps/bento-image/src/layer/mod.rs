//! Layers of an image: deterministic tars, with their digests counted while they are written.

mod bento;
mod code;
mod error;
mod gzip;
mod model;
mod writer;
mod written;

pub use self::{
    code::{CodeLayer, Finished},
    error::LayerError,
    model::ModelLayer,
    writer::{Attributes, LayerWriter},
    written::Written,
};
