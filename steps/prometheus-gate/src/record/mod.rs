//! The record of a run: all that came in, in the form that the verdict takes.
//!
//! - `line`: one line of the file
//! - `run`: the record while a gate watches
//! - `file`: the file, which is a courtesy
//! - `replay`: the verdict again, from the file alone
//! - `summary`: the verdict and how it came about

pub(crate) mod file;
pub(crate) mod line;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod summary;
