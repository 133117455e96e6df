//! Gets a bento from a store, for a pipeline or a person.

mod cli;

use std::process::ExitCode;

use anyhow::Result;
use rustix::{fs::Mode, process::umask};
use step::{Outcome, Terminated};

use crate::cli::{
    args::{Args, Look},
    list, retrieve, show,
};

fn main() -> ExitCode {
    umask(Mode::WGRP | Mode::WOTH); // what is unpacked has the same modes whoever runs this
    step::run_to_safe_point(run)
}

async fn run(args: Args, mut terminated: Terminated) -> Result<Outcome> {
    let looking = async {
        match args.look {
            None => None,
            Some(Look::List(args)) => Some(list::list(args).await),
            Some(Look::Show(args)) => Some(show::show(args).await),
        }
    };
    let looked = tokio::select! {
        looked = looking => looked,
        () = terminated.wait() => return Ok(Outcome::Terminated),
    };
    match looked {
        Some(outcome) => outcome,
        None => Box::pin(retrieve::retrieve(args.retrieve, terminated)).await,
    }
}
