//! The server as a process: its help, its start, what it takes over real sockets, its end.
//!
//! - `process`: the service as a process of its own, for the benchmark, too
//! - `server`: what is asked of it
//! - `start`: help, config and addresses
//! - `events`: what is taken, ignored and refused
//! - `strangers`: what others send that is too much, too slow or made up

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

mod events;
mod process;
mod server;
mod start;
mod strangers;
