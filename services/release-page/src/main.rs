//! The page, and the same in a terminal.
//!
//! - `args`: the command line
//! - `serve`: from the command line to a server

mod args;
mod serve;

use std::process::ExitCode;

use anyhow::Result;
use release_page::terminal::{list, watch};
use step::{Outcome, Terminated};

use crate::args::{Args, Command};

fn main() -> ExitCode {
    step::serve(act)
}

async fn act(args: Args, terminated: Terminated) -> Result<Outcome> {
    match args.command {
        Command::Serve(args) => serve::serve(*args, terminated).await,
        Command::Watch(args) => watch(args, terminated).await,
        Command::List(args) => list(*args, terminated).await,
    }
}
