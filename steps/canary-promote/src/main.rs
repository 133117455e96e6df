//! Gives a canary all requests.
//!
//! - `plan`: from what is desired and what is observed to an action

mod plan;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use inference_service::{Service, connect};
use step::{Outcome, ResultFile};

use crate::plan::{Desired, is_changed, next};

/// Give a live canary all requests
///
/// Only the revision that was judged is promoted: if another one is the latest by now, this fails and
/// changes nothing. It ends when the route says 100 %. Run again, or killed and run again, it ends the same.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Args {
    /// Name of the `InferenceService`
    #[arg(long)]
    service: String,
    /// Revision to promote, as canary-create's result says, such as iris-predictor-00002
    #[arg(long, value_name = "REVISION")]
    canary_revision: String,
    /// Percents to pass through on the way, such as 25,50
    #[arg(long, value_name = "PERCENTS", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=99))]
    ladder: Vec<u8>,
    /// How long the canary must stay ready on each percent of the ladder, such as 1m
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pause: Duration,
    /// Namespace of the service; the pod's own, or the kubeconfig's, when not given
    #[arg(long)]
    namespace: Option<String>,
    /// Give up after this time, pauses included, such as 5m
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print the first thing it would do, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    results: Results,
}

#[derive(clap::Args)]
struct Results {
    /// promoted, or changed (another revision is there than the one that was judged); empty on other failures
    #[arg(long)]
    result_outcome: ResultFile,
    /// Why it was not promoted; empty when it was
    #[arg(long)]
    result_error: ResultFile,
}

const EXAMPLES: &str = "\
Examples:
  Give the canary all requests
    canary-promote --service iris --canary-revision iris-predictor-00002

  First a quarter, then a half, each for a minute
    canary-promote --service iris --canary-revision iris-predictor-00002 --ladder 25,50 --pause 1m

Exit codes: 0 promoted, 1 could not (the canary keeps its percent), 2 usage, 143 stopped by a signal.
After a failure, run it again or end the canary with canary-rollback.";

fn main() -> ExitCode {
    step::run(promote)
}

async fn promote(args: Args) -> Result<Outcome> {
    let Results { result_outcome, result_error } = args.results;
    let desired = Desired { canary: args.canary_revision, ladder: args.ladder, pause: args.pause };
    let service = Service::new(connect().await?, args.namespace, &args.service);
    if args.dry_run {
        service.preview(|observed| next(&desired, observed)).await?;
        return Ok(Outcome::Done);
    }
    result_outcome.write("")?; // Tekton skips whatever reads a result that was never written
    result_error.write("")?;
    let mut is_other = false;
    let ended = service
        .reconcile(args.timeout, |observed| {
            is_other = is_changed(&desired, observed);
            next(&desired, observed)
        })
        .await;
    if is_other && ended.is_err() {
        result_outcome.write("changed")?;
    }
    result_error.write_error(ended)?;
    result_outcome.write("promoted")?;
    tracing::info!("{}: `{}` serves all requests", service.full_name(), desired.canary);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod scenarios;
