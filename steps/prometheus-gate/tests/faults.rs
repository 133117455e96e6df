//! A server that misbehaves on the wire, a volume that is full, a result that cannot be written: never
//! a panic, a hang, a pass, or an exit code that says something else than the results.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "faults/access.rs"]
mod access;
#[path = "faults/amazon.rs"]
mod amazon;
#[path = "faults/answers.rs"]
mod answers;
#[path = "faults/files.rs"]
mod files;
#[path = "faults/outage.rs"]
mod outage;
#[path = "faults/results.rs"]
mod results;
#[path = "faults/wire.rs"]
mod wire;
