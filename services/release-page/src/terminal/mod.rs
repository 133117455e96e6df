//! Releases in a terminal.
//!
//! - `timeline`: chapters and stages with their time, alive on a terminal, plain lines elsewhere

pub mod timeline;
