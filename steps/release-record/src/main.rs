//! Keeps how releases went: what gates leave, and what runs were, beside the bentos.
//!
//! - `args`: the command line
//! - `gate`: what a gate has left goes into the store, and the step ends as the gate did
//! - `cluster`: the runs of releases that the API server has
//! - `plan`: which of them are kept now, and what has been kept for long enough
//! - `runs`: does that

mod args;
mod cluster;
mod gate;
mod plan;
mod runs;

use std::process::ExitCode;

use crate::args::{Args, Keep};

fn main() -> ExitCode {
    step::run(async |args: Args| match args.keep {
        Keep::Gate(args) => gate::gate(*args).await,
        Keep::Runs(args) => runs::runs(*args).await,
    })
}
