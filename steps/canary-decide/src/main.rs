//! Writes what a person decides about a release, where the gate reads it.
//!
//! - `word`: what a person says, and the annotation that it becomes
//! - `plan`: from what is desired and what is observed to an action

mod plan;
mod word;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use inference_service::{Service, connect};
use step::{Outcome, ResultFile};

use crate::{
    plan::next,
    word::{Word, WordArgs},
};

/// Decide about a release that is out: approve, hold, resume, promote or abort it
///
/// Writes who decided what and why as an annotation of the Lease SERVICE-canary-decision, which the gate of the
/// release reads. It is the same as `kubectl annotate`, for those who come by an event. Of a release that is not
/// there, or of another version, nothing is written. Run again, or killed and run again, it ends the same.
#[derive(Parser)]
#[command(disable_version_flag = true, after_long_help = EXAMPLES)]
struct Args {
    /// Name of the `InferenceService`
    #[arg(long)]
    service: String,
    #[command(flatten)]
    word: WordArgs,
    /// Namespace of the service; the pod's own, or the kubeconfig's, when not given
    #[arg(long)]
    namespace: Option<String>,
    /// Give up after this time, such as 5m
    #[arg(long, default_value = "1m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print the first thing it would do, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Why nothing was written; empty when it was
    #[arg(long)]
    result_error: ResultFile,
}

const EXAMPLES: &str = "\
Examples:
  Let it climb up to 50 %, and no further
    canary-decide --decision approve --service iris --version v2 --percent 50 --by ada

  Stay where it is until somebody resumes
    canary-decide --decision hold --service iris --version v2 --by ada --reason 'p99 is up, looking'
    canary-decide --decision resume --service iris --version v2 --by ada

  Take the canary back
    canary-decide --decision abort --service iris --version v2 --by ada --reason 'wrong model'

  The same without this step
    kubectl annotate lease iris-canary-decision --overwrite kanaria.dev/abort='v2 ada: wrong model'

Exit codes: 0 it is written, 1 could not, or there is no such release, 2 usage, 143 stopped by a signal.";

fn main() -> ExitCode {
    step::run(decide)
}

async fn decide(args: Args) -> Result<Outcome> {
    let Args { service, word, namespace, timeout, dry_run, result_error } = args;
    let word = Word::of(word)?;
    // A release that has all requests already goes on while a run still watches it.
    let service = Service::new(connect().await?, namespace, &service).with_runs().with_decisions();
    if dry_run {
        service.preview(|observed| next(&word, observed)).await?;
        return Ok(Outcome::Done);
    }
    result_error.write("")?; // Tekton skips whatever reads a result that was never written
    let ended = service.reconcile(timeout, |observed| next(&word, observed)).await;
    let ended = result_error.write_error(ended)?;
    tracing::info!("{}: {ended}", service.full_name());
    Ok(Outcome::Done)
}

#[cfg(test)]
mod scenarios;
