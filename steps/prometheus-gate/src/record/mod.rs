//! The record of a run: all that came in, in the form that the verdict takes.

pub(crate) mod file;
pub(crate) mod line;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod summary;
