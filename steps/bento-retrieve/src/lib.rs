//! Gets a bento from a store and unpacks it so that whoever made it can do no harm.
//!
//! A library beside the binary because its tests, fuzz targets and benchmarks need the parts.

pub mod archive;
pub mod bento;
pub mod destination;
pub mod download;
pub mod size;
pub mod source;
