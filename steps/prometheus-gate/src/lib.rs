//! Watches Prometheus and decides whether a canary may have more traffic.
//!
//! The modules, in the order in which data goes through them:
//!
//! - `cli`: arguments, and the subcommands that need no server: `check`, `replay`, `simulate`
//! - `spec`: what is asked: timing, criteria, presets and their queries
//! - `watch`: the loop that asks, judges, logs and waits
//! - `prometheus`: the client, and which answers are evidence
//! - `series`: a series, and what it stands for
//! - `judge`: the verdict, a pure function over the answers
//! - `manual_override`: the verdict of a person, before that
//! - `record`: every answer in a file, and the verdict again from there
//! - `output`: results, report and terminal
//! - `time`: timestamps, durations, and the points at which series are evaluated

mod cli;
mod judge;
mod manual_override;
mod output;
mod prometheus;
mod record;
mod series;
mod spec;
mod time;
mod watch;

pub use cli::{args::Args, start};
pub use judge::{
    counts::{Counts, Side},
    e_process::Ratio,
};
