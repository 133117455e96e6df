//! The models of a store, the services that run them, and how their releases went: as a page, in a terminal,
//! and as metrics. It reads only, and keeps nothing.
//!
//! - `known`: all that is known just now, in the form in which it is shown

pub mod known;
