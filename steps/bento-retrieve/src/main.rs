//! Gets a bento from a store, for a pipeline or a person.
//!
//! - `cli`: arguments and output; all else is the library's

mod cli;

use std::process::ExitCode;

use anyhow::Result;
use rustix::{fs::Mode, process::umask};
use step::{Outcome, Terminated};

use crate::cli::{
    args::{Args, Inspect},
    list, retrieve, show,
};

fn main() -> ExitCode {
    umask(Mode::WGRP | Mode::WOTH); // what is unpacked has the same modes whoever runs this
    step::run_to_safe_point(run)
}

async fn run(args: Args, mut terminated: Terminated) -> Result<Outcome> {
    let inspect = async |command| match command {
        Inspect::List(args) => list::list(args).await,
        Inspect::Show(args) => show::show(args).await,
    };
    match args.command {
        None => Box::pin(retrieve::retrieve(args.retrieve, terminated)).await,
        Some(command) => tokio::select! {
            outcome = inspect(command) => outcome,
            () = terminated.wait() => Ok(Outcome::Terminated),
        },
    }
}
