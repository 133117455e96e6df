//! What leaves a gate.

#[cfg(test)]
pub(crate) mod example;
pub(crate) mod report;
pub(crate) mod results;
mod shade;
pub(crate) mod terminal;
