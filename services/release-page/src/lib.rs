//! The models of a store, the services that run them, and how their releases went: as a page, in a terminal,
//! and as metrics. It reads only, and keeps nothing.
//!
//! - `options`: the flags that say what is watched
//! - `counts`: what this server itself has asked and seen
//! - `shared`: what one task changes and another reads
//! - `runs`: the runs of releases, of the cluster and of the store, and the releases that they make
//! - `known`: all that is known just now, in the form in which it is shown
//! - `cluster`: services, their canaries and the runs of their releases, by watches
//! - `interest`: which services somebody looks at
//! - `gates`: the gates that are deciding just now, of services that somebody looks at
//! - `store`: the bentos of the store, and what is kept beside them of releases
//! - `picture`: all that is known, put together anew when a part of it has changed
//! - `sources`: starts all that reads, and gives what is known, again at each change
//! - `metrics`: the same for Prometheus
//! - `page`: the same as pages
//! - `server`: pages, their changes and kept reports over HTTP
//! - `terminal`: releases in a terminal

mod cluster;
pub mod counts;
mod gates;
pub mod interest;
pub mod known;
pub mod metrics;
pub mod options;
pub mod page;
mod picture;
mod runs;
pub mod server;
mod shared;
pub mod sources;
pub mod store;
pub mod terminal;
