//! The server as a process: its help, its start, what it takes over real sockets, its end.
//!
//! - `server`: a server that runs, and what is asked of it
//! - `start`: help, config and addresses
//! - `events`: what is taken, ignored and refused
//! - `strangers`: what others send that is too much, too slow or made up

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

mod events;
mod server;
mod start;
mod strangers;
