//! Whatever the archive: nothing outside of the folder, nothing beyond the limits, and a bento whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod contents;
mod properties;
mod refusals;
mod sinks;
#[path = "../support/mod.rs"]
mod support;
mod yard;
mod zips;
