//! The command line.

pub(crate) mod args;
mod hints;
pub(crate) mod list;
mod origin;
mod output;
mod progress;
pub(crate) mod retrieve;
pub(crate) mod show;
