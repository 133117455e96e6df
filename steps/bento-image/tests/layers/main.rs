//! Layers of a bento on the image of its environment, without a registry.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bento;
mod environment;
mod image;
mod placement;
mod properties;
mod tars;
