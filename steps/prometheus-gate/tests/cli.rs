//! The gate as a process: what it prints, its exit codes and its results.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/ladders.rs"]
mod ladders;
#[path = "cli/people.rs"]
mod people;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/replays.rs"]
mod replays;
#[path = "cli/server.rs"]
mod server;
#[path = "cli/verdicts.rs"]
mod verdicts;
