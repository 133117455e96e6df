//! Releases as a user sees them, on the real cluster. Each test has a namespace of its own, with the
//! catalog installed in it as a user would, and leaves nothing there when it passes.
//!
//! `make cluster-tests` brings the cluster up and runs them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bento;
mod build;
mod canary;
mod events;
mod front;
mod gate;
mod image;
mod left_behind;
mod namespace;
mod proxies;
mod release;
mod restricted;
mod samples;
mod service;
mod sink;
mod site;
mod slow;
mod soak;
mod under_faults;
mod will_not_heal;
