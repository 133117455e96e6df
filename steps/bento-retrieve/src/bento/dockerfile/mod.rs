//! A bento's Dockerfile.

pub mod ca_bundle;
pub(crate) mod check;
mod parser;
pub(crate) mod unsupported;

pub use unsupported::{Builder, Unsupported};
