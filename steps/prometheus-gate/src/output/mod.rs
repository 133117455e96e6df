//! What leaves a gate.
//!
//! - `results`: the Task's results
//! - `terminal`: the live view, or lines of a log
//! - `report`: `verdict.json` and `report.html`
//! - `shade`: how one point is drawn, on the page and on a terminal

#[cfg(test)]
pub(crate) mod example;
pub(crate) mod report;
pub(crate) mod results;
mod shade;
pub(crate) mod terminal;
