//! Watches Prometheus and decides whether a canary may have more traffic.
//!
//! The modules, in the order in which data goes through them:
//!
//! - `cli`: arguments, and the subcommands that need no server: `check`, `replay`, `simulate`
//! - `spec`: what is asked: timing, criteria, presets and their queries
//! - `watch`: the loop that asks, judges, logs and waits
//! - `prometheus`: the client, and which answers are evidence
//! - `series`: a series, and what it stands for
//! - `decisions`: what people decided about the release, and where that is read
//! - `judge`: the verdict, a pure function over the answers and the decisions
//! - `record`: every answer in a file, and the verdict again from there
//! - `observer`: a gate that runs elsewhere, looked at from outside
//! - `output`: results, report and terminal
//! - `time`: timestamps, durations, and the points at which series are evaluated

mod cli;
mod decisions;
mod judge;
mod observer;
mod output;
mod prometheus;
mod record;
mod series;
mod spec;
mod time;
mod watch;

pub use cli::{args::Args, start};
pub use judge::{
    answer_change::Change,
    answer_weights,
    counts::{Counts, Side},
    e_process::{Process, Ratio},
    restarted::Restarted,
};
pub use observer::{Observer, ObserverOptions, Seen};
pub use output::report::STYLE;
