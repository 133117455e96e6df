//! Makes a bento's image, for a pipeline or a person.
//!
//! - `cli`: arguments, hints and output; all else is the library's

mod cli;

use std::process::ExitCode;

use anyhow::Result;
use rustix::{fs::Mode, process::umask};
use step::{Outcome, Terminated};

use crate::cli::{
    args::{Args, Command},
    assemble, build, finish, plan, prepare,
};

fn main() -> ExitCode {
    umask(Mode::WGRP | Mode::WOTH); // what is laid out has the same modes whoever runs this
    step::run_to_safe_point(run)
}

async fn run(args: Args, terminated: Terminated) -> Result<Outcome> {
    match args.command {
        Command::Assemble(args) => Box::pin(assemble::assemble(args, terminated)).await,
        Command::Plan(args) => Box::pin(plan::plan(args, terminated)).await,
        Command::Prepare(args) => Box::pin(prepare::prepare(args, terminated)).await,
        Command::Build(args) => build::build(args),
        Command::Finish(args) => Box::pin(finish::finish(args, terminated)).await,
    }
}
