//! A bento's Dockerfile.

pub mod ca_bundle;
pub(crate) mod check;
pub mod parser;
pub mod scripts;
pub(crate) mod unsupported;

pub use unsupported::{Builder, Problem, Unsupported};
