//! The binary as a process, against a store and a registry that answer as each test wants it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../../../bento-retrieve/tests/support/mod.rs"]
mod archives;
mod assemble;
mod credentials;
mod environments;
mod faults;
mod killed;
mod legacy;
mod models;
mod reading;
mod run;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod tags;
mod usage;
mod whole;
