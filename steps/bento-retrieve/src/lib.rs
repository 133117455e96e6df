//! Gets a bento from a store and unpacks it so that whoever made it can do no harm.
//!
//! A library beside the binary because its tests, fuzz targets and benchmarks need the modules, in the order in which
//! data flows:
//!
//! - `source`: where an archive's bytes come from: S3, HTTP or a file; and why a read failed
//! - `download`: reads an archive to its end, through cuts, on more connections where one is the limit
//! - `archive`: unpacks it by rules and limits
//! - `bento`: what a bento says of itself, where stores keep it, and what a builder cannot build of it
//! - `destination`: the folder that it ends in, complete or not there at all
//! - `progress`: how far all of this is, and the switch that ends it
//! - `size`: a number of bytes as people write it

pub mod archive;
pub mod bento;
pub mod destination;
pub mod download;
pub mod progress;
pub mod size;
pub mod source;
