//! What leaves a gate.

#[cfg(test)]
pub(crate) mod example;
mod point_style;
pub(crate) mod report;
pub(crate) mod results;
pub(crate) mod terminal;
