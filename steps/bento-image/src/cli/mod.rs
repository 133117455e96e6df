//! Arguments, what is printed and written, and what the three steps of a build leave for each other.

pub(crate) mod args;
pub(crate) mod assemble;
pub(crate) mod build;
pub(crate) mod finish;
mod hints;
mod making;
pub(crate) mod plan;
pub(crate) mod prepare;
mod results;
