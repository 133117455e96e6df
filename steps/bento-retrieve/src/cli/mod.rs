//! The command line.

pub(crate) mod args;
mod hints;
pub(crate) mod list;
mod origin;
mod progress;
pub(crate) mod retrieve;
pub(crate) mod show;
