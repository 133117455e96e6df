//! Takes a canary back and puts the old image in its place.

mod plan;

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::{Parser, builder::ArgAction};
use inference_service::{Seen, Service, connect};
use step::{Outcome, ResultFile, Usage};

use crate::plan::{Asked, Ended, next};

/// Take a canary back, whatever state it is in
///
/// Gives it no more requests, restores the old image, waits until that serves 100 %, and leaves a
/// spec that says what runs. Works on a canary that is starting, live, crashing or promoted; only on
/// the one that it was told of. When that one is not there, nothing is done and the outcome is
/// `nothing`. Run again, or killed and run again, it ends the same.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Args {
    /// Name of the `InferenceService`
    #[arg(long)]
    service: String,
    /// Take back this revision and no other, such as iris-predictor-00002
    #[arg(long, value_name = "REVISION")]
    canary_revision: Option<String>,
    /// Take back this image and no other
    #[arg(long, value_name = "IMAGE")]
    canary_image: Option<String>,
    /// Revision to go back to; the cluster knows it as long as it keeps it
    #[arg(long, value_name = "REVISION")]
    baseline_revision: Option<String>,
    /// Image to go back to, should its revision be gone
    #[arg(long, value_name = "IMAGE")]
    baseline_image: Option<String>,
    /// Leave the canary alone if it serves all requests already
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    keep_promoted: bool,
    /// Namespace of the service; the pod's own, or the kubeconfig's, when not given
    #[arg(long)]
    namespace: Option<String>,
    /// Give up after this time, such as 9m
    #[arg(long, default_value = "9m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print the first thing it would do, and change nothing
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    dry_run: bool,
    #[command(flatten)]
    results: Results,
}

#[derive(clap::Args, Default)]
#[command(next_help_heading = "Results")]
struct Results {
    /// rolled-back or nothing
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_outcome: ResultFile,
    /// Image that serves again; written as soon as it is known
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_restored_image: ResultFile,
}

const EXAMPLES: &str = "\
Examples:
  Take back the canary that canary-create named
    canary-rollback --service iris --canary-revision iris-predictor-00002

  Take back an image, whether its release got far or not
    canary-rollback --service iris --canary-image registry.local:5000/models/iris@sha256:…

Exit codes: 0 done or nothing to do, 1 could not (run it again), 2 usage, 143 stopped by a signal.";

fn main() -> ExitCode {
    step::run(rollback)
}

async fn rollback(args: Args) -> Result<Outcome> {
    let Args {
        service,
        canary_revision,
        canary_image,
        baseline_revision,
        baseline_image,
        keep_promoted,
        namespace,
        timeout,
        dry_run,
        results,
    } = args;
    if canary_revision.is_none() && canary_image.is_none() {
        bail!(Usage {
            what: "it is not said which canary to take back".into(),
            hint: "give `canary-revision` or `canary-image`, so that no other canary is meant"
                .into(),
        });
    }
    let service = Service::new(connect().await?, namespace, &service);
    let mut asked =
        Asked { canary_revision, canary_image, baseline_revision, baseline_image, keep_promoted };
    if dry_run {
        service
            .preview(|seen| {
                asked.learn(seen);
                next(&asked, seen)
            })
            .await?;
        return Ok(Outcome::Done);
    }
    let ended = take_back(&service, asked, timeout, &results).await?;
    tracing::info!("{}/{}: {ended}", service.namespace, service.name);
    Ok(Outcome::Done)
}

async fn take_back(
    service: &Service,
    mut asked: Asked,
    timeout: Duration,
    results: &Results,
) -> Result<Ended> {
    results.begin()?;
    let ended = service
        .drive(timeout, |seen| {
            asked.learn(seen);
            results.write_what_is_known(&asked, seen)?;
            next(&asked, seen)
        })
        .await?;
    results.end(&ended)?;
    Ok(ended)
}

impl Results {
    /// A result that was never written would keep Tekton from running whatever reads it.
    fn begin(&self) -> Result<()> {
        self.result_outcome.write("")?;
        self.result_restored_image.write("")
    }

    fn write_what_is_known(&self, asked: &Asked, seen: &Seen) -> Result<()> {
        if !asked.is_canary(seen) && seen.patches == 0 {
            return Ok(());
        }
        asked.baseline_image(seen).map_or(Ok(()), |image| self.result_restored_image.write(image))
    }

    fn end(&self, ended: &Ended) -> Result<()> {
        match ended {
            Ended::RolledBack { image } => {
                self.result_restored_image.write(image)?;
                self.result_outcome.write("rolled-back")
            }
            Ended::Nothing(_) => {
                self.result_restored_image.write("")?;
                self.result_outcome.write("nothing")
            }
        }
    }
}

#[cfg(test)]
mod stories;
