//! Receives the answers of models as KServe's logger sends them, and counts them by version for Prometheus.
//! What is counted, and how, is in the library.
//!
//! - `args`: the command line
//! - `config_file`: what is counted, as a site wrote it down
//! - `room`: bytes and connections, of which nobody gets more than a third
//! - `troubles`: what could not be counted, and a line about it now and then
//! - `intake`: from an event's path, headers and body to a job, in bounded time and memory
//! - `worker`: counts what waits, beside the thread that receives
//! - `scrape`: the counts as the body of an answer
//! - `server`: HTTP

mod args;
mod config_file;
mod intake;
mod room;
mod scrape;
mod server;
mod troubles;
mod worker;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use step::{Outcome, Terminated, connections::bind};

use crate::{args::Args, server::Server, worker::Worker};

fn main() -> ExitCode {
    step::serve(serve)
}

async fn serve(args: Args, mut terminated: Terminated) -> Result<Outcome> {
    let Args { listen, metrics_listen, config } = args;
    let config = Arc::new(config_file::read(config.as_deref())?);

    let events = bind(listen, "--listen").await?;
    let metrics = bind(metrics_listen, "--metrics-listen").await?;
    let address = |listener: &tokio::net::TcpListener| {
        listener.local_addr().context("failed to read the address")
    };
    tracing::info!(
        "serving metrics on {}, and events on {}",
        address(&metrics)?,
        address(&events)?
    );
    let worker = Worker::start(Arc::clone(&config))?;
    let server = Arc::new(Server::new(config, &worker));
    server::run(events, metrics, server, &mut terminated).await;
    worker.end();
    Ok(Outcome::Terminated)
}
