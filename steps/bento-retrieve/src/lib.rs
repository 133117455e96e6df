//! Gets a bento from a store and unpacks it so that whoever made it can do no harm.
//!
//! A library beside the binary because its tests, fuzz targets and benchmarks need the parts.

pub mod archive;
pub mod details;
pub mod dockerfile;
pub mod download;
pub mod fault;
pub mod folder;
pub mod glance;
pub mod image;
pub mod manifest;
pub mod meter;
pub mod obstacle;
pub mod page;
mod parts;
pub mod place;
pub mod profile;
pub mod size;
pub mod source;
pub mod store;
pub mod tag;
pub mod tree;
pub mod trust;
pub mod unpacking;
mod web;
mod zip;
