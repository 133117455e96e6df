//! The models of a store, the services that run them, and how their releases went.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use release_page::terminal::{ListArgs, WatchArgs, list, watch};
use step::{Outcome, Terminated};

/// See the models of a store, the services that run them, and how their releases went
///
/// It reads only, and keeps nothing.
#[derive(Parser)]
#[command(name = "release-page", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Follow one release of a service in a terminal, from its begin to its end
    Watch(WatchArgs),
    /// Print the services: who gets which part of the requests, and how far their releases are
    List(Box<ListArgs>),
}

fn main() -> ExitCode {
    step::serve(act)
}

async fn act(args: Args, terminated: Terminated) -> Result<Outcome> {
    match args.command {
        Command::Watch(args) => watch(args, terminated).await,
        Command::List(args) => list(*args, terminated).await,
    }
}
