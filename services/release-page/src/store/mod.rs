//! The bentos of the store, and what is kept beside them of releases.
//!
//! - `reader`: what a page asks for by itself: a manifest, a gate's report

mod reader;

pub use reader::{EvidenceFile, Reader};
