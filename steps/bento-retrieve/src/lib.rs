//! Gets a bento from a store and unpacks it so that whoever made it can do no harm.
//!
//! A library beside the binary because its tests, fuzz targets and benchmarks need the modules, and because
//! `bento-image` reads archives by the same rules. In the order in which data flows:
//!
//! - `source`: where an archive's bytes come from: S3, HTTP or a file; and why a read failed
//! - `download`: reads an archive to its end, through cuts, on more connections where one is the limit
//! - `archive`: reads it by rules and limits into a sink, which is a folder or whatever else takes it
//! - `bento`: what a bento says of itself, where stores keep it, and what a builder cannot build of it
//! - `destination`: the folder that it ends in, complete or not there at all
//! - `progress`: how far all of this is, and the switch that ends it
//! - `size`: a number of bytes as people write it
//! - `hints`: what to do about each error, in the words of the Task
//! - `listing`: what a store has, newest first
//! - `request`: one archive, from flags to the end of the sink that takes it
//! - `retrieve`: a bento in a folder, all of it or a part

pub mod archive;
pub mod bento;
pub mod destination;
pub mod download;
pub mod hints;
pub mod listing;
pub mod progress;
pub mod request;
pub mod retrieve;
pub mod size;
pub mod source;
