//! The models of a store, the services that run them, and how their releases went: as a page, in a terminal,
//! and as metrics. It reads only, and keeps nothing.
//!
//! - `options`: the flags that say what is watched
//! - `counts`: what this server itself has asked and seen
//! - `known`: all that is known just now, in the form in which it is shown
//! - `interest`: which services somebody looks at
//! - `store`: the bentos of the store, and what is kept beside them of releases
//! - `sources`: starts all that reads, and gives what is known, again at each change
//! - `metrics`: the same for Prometheus

pub mod counts;
pub mod interest;
pub mod known;
pub mod metrics;
pub mod options;
pub mod sources;
pub mod store;
