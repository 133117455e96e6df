//! The command line.

pub(crate) mod args;
pub(crate) mod list;
mod output;
pub(crate) mod retrieve;
pub(crate) mod show;
