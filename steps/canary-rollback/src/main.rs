//! Takes a canary back and puts the old image in its place.

mod orphaned_canaries;
mod outcome_event;
mod plan;
mod rollback_cause;
mod unreported_runs;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, builder::ArgAction};
use futures::future::join_all;
use inference_service::{Next, Seen, Service, connect};
use kube::Client;
use step::{Failure, Outcome, OwnRun, ResultFile, Usage};

use crate::{
    orphaned_canaries::{Orphan, orphans},
    outcome_event::Report,
    plan::{Asked, Ended, next},
    rollback_cause::Cause,
    unreported_runs::{Untold, untold},
};

/// Take a canary back, whatever state it is in
///
/// Gives it no more requests, restores the old image, ends the canary's pods, waits until the old
/// image serves 100 %, and leaves a spec that says what runs. Works on a canary that is starting,
/// live, crashing or promoted, whatever revision runs its image by now; only on the one that it was
/// told of. When that one is not there, nothing is done and the outcome is `nothing`. Run again, or
/// killed and run again, it ends the same.
///
/// With `--sweep` it takes back every canary of the namespace that no unfinished run will end.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Args {
    /// Name of the `InferenceService`
    #[arg(long, required_unless_present = "sweep")]
    service: Option<String>,
    /// Take back the image that this revision runs, such as iris-predictor-00002
    #[arg(long, value_name = "REVISION")]
    canary_revision: Option<String>,
    /// Take back this image and no other
    #[arg(long, value_name = "IMAGE")]
    canary_image: Option<String>,
    /// Take back the canary that the run with this uid made, if it made one
    #[arg(long, value_name = "UID")]
    made_by: Option<String>,
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
    /// Give up after this time, such as 30m [default: 9m, or as long as the old image may take to start]
    #[arg(long, value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Take back every canary of the namespace that canary-create made and no unfinished run will end
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set,
          conflicts_with_all = ["service", "canary_revision", "canary_image", "made_by", "dry_run"])]
    sweep: bool,
    /// Sweep: how long a canary must have been without a run
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    grace: Duration,
    /// Print the first thing it would do, and change nothing
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    dry_run: bool,
    #[command(flatten)]
    event: EventArgs,
    #[command(flatten)]
    run: OwnRun,
    #[command(flatten)]
    results: Results,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Event")]
struct EventArgs {
    /// Folder for the event that tells what was done, SERVICE.json, as `cloudevent-send --event-file`
    /// takes it; why, it asks the run that this step belongs to
    #[arg(long, value_name = "FOLDER")]
    event_folder: Option<PathBuf>,
    /// Version of the service that the canary brought [default: the one that canary-create was told]
    #[arg(long, value_name = "VERSION")]
    service_version: Option<String>,
    /// What all events of one release have in common [default: what canary-create was told, or the uid of the run]
    #[arg(long, value_name = "ID", env = "CORRELATION_ID")]
    correlation_id: Option<String>,
    /// Id of the event that led to this run
    #[arg(long, value_name = "ID", env = "CAUSATION_ID")]
    causation_id: Option<String>,
    /// The attribute `chainhops` of that event
    #[arg(long, value_name = "NUMBER", env = "CHAINHOPS")]
    chainhops: Option<u16>,
}

#[derive(clap::Args, Default)]
#[command(next_help_heading = "Results")]
struct Results {
    /// rolled-back, or nothing (the canary was not there)
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_outcome: ResultFile,
    /// Image that serves again; written as soon as it is known
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_restored_image: ResultFile,
}

const USUALLY_WITHIN: Duration = Duration::from_mins(9);

/// What KServe and Knative need besides, before the model starts and after it has.
const SETTLES_WITHIN: Duration = Duration::from_mins(2);

const EXAMPLES: &str = "\
Examples:
  Take back the canary that canary-create named
    canary-rollback --service iris --canary-revision iris-predictor-00002

  Take back an image, whether its release got far or not
    canary-rollback --service iris --canary-image registry.local:5000/models/iris@sha256:…

  Take back every canary that is left behind
    canary-rollback --sweep

Exit codes: 0 done or nothing to do, 1 could not (run it again), 2 usage, 143 stopped by a signal.";

fn main() -> ExitCode {
    step::run(rollback)
}

async fn rollback(args: Args) -> Result<Outcome> {
    if args.sweep { sweep(args).await } else { one(args).await }
}

/// Takes back the canary that is named.
async fn one(args: Args) -> Result<Outcome> {
    let Args { service, namespace, timeout, dry_run, event, run, results, .. } = args;
    let mut asked = Asked {
        canary_revision: args.canary_revision,
        canary_image: args.canary_image,
        made_by: args.made_by,
        baseline_revision: args.baseline_revision,
        baseline_image: args.baseline_image,
        keep_promoted: args.keep_promoted,
    };
    if !asked.names_a_canary() {
        bail!(Usage {
            what: "it is not said which canary to take back".into(),
            hint:
                "give `canary-image`, `canary-revision` or `made-by`, so that no other canary is meant"
                    .into(),
        });
    }
    let client = connect().await?;
    let service = Service::new(client.clone(), namespace, &service.unwrap_or_default());
    if dry_run {
        service
            .preview(|seen| {
                asked.learn(seen);
                next(&asked, seen)
            })
            .await?;
        return Ok(Outcome::Done);
    }
    let mut seen = Seen::default();
    let ended = take_back(&service, &mut asked, &mut seen, timeout, &results).await;
    if let Some(folder) = &event.event_folder {
        let ours = run.task_run_uid.as_deref().unwrap_or_default();
        let cause = match &run.pipeline_run {
            Some(name) => {
                rollback_cause::of_run(&client, client.default_namespace(), name, ours).await
            }
            None => Cause::by_hand(),
        };
        let source = source(&service.namespace, &run);
        let report = Report {
            namespace: &service.namespace,
            service: &service.name,
            asked: &asked,
            seen: &seen,
            cause: &cause,
            event: &event,
            run: &run,
            source,
        };
        report.write(folder, &service.name, &ended)?;
    }
    tracing::info!("{}/{}: {}", service.namespace, service.name, ended?);
    Ok(Outcome::Done)
}

/// The same for every run of a Pipeline
fn source(namespace: &str, run: &OwnRun) -> String {
    match &run.pipeline {
        Some(pipeline) => format!("/tekton/{namespace}/pipelines/{pipeline}"),
        None => format!("/tekton/{namespace}/tasks/canary-rollback"),
    }
}

/// Takes back what no run will end, all at the same time: one that cannot be taken back must not hold
/// up the others, and the next sweep tries it again.
async fn sweep(args: Args) -> Result<Outcome> {
    let Args { namespace, timeout, grace, event, run, .. } = args;
    let client = connect().await?;
    let found = orphans(&client, namespace.as_deref(), grace).await?;
    tracing::info!("{} canaries are left behind", found.len());
    let event = &event;
    let run = &run;
    let rollbacks = found.into_iter().map(async |Orphan { service, mut seen, image }| {
        let cause = rollback_cause::of_canary(&service, &seen, &image).await;
        tracing::warn!("{}: {}; taking its canary back", seen.full_name(), cause.message);
        let mut asked = Asked { canary_image: Some(image), ..Asked::default() };
        let ended = take_back(&service, &mut asked, &mut seen, timeout, &Results::default()).await;
        match &ended {
            Ok(ended) => tracing::info!("{}: {ended}", seen.full_name()),
            Err(error) => tracing::error!("{error:#}; the next sweep tries again"),
        }
        match &event.event_folder {
            Some(folder) => {
                let source = format!("/tekton/{}/cronjobs/canary-sweep", service.namespace);
                let report = Report {
                    namespace: &service.namespace,
                    service: &service.name,
                    asked: &asked,
                    seen: &seen,
                    cause: &cause,
                    event,
                    run,
                    source,
                };
                report.write(folder, &service.name, &ended)
            }
            None => ended.map(drop), // nobody else would tell of a failure
        }
    });
    join_all(rollbacks).await.into_iter().collect::<Result<()>>()?;
    if let Some(folder) = &event.event_folder {
        let namespace = namespace.as_deref().unwrap_or(client.default_namespace());
        tell(&client, namespace, folder).await?;
    }
    Ok(Outcome::Done)
}

/// Writes the events of runs that ended without theirs.
async fn tell(client: &Client, namespace: &str, folder: &Path) -> Result<()> {
    let untold = untold(client, namespace).await.with_context(|| Failure {
        what: format!("failed to look for runs of `{namespace}` that ended without an event"),
        hint: "the next sweep tries again".into(),
    })?;
    for Untold {
        service,
        seen,
        image,
        revision,
        version,
        run,
        correlation,
        causation,
        chainhops,
        cause,
        ended,
    } in untold
    {
        tracing::warn!(
            "{}: run `{}` has not told how it ended: {}",
            seen.full_name(),
            run.name(),
            cause.message
        );
        let asked = Asked {
            canary_image: Some(image).filter(|image| !image.is_empty()),
            canary_revision: Some(revision).filter(|revision| !revision.is_empty()),
            ..Asked::default()
        };
        let event = EventArgs {
            event_folder: None,
            service_version: Some(version),
            correlation_id: correlation,
            causation_id: causation,
            chainhops,
        };
        let report = Report {
            namespace,
            service: &service.name,
            asked: &asked,
            seen: &seen,
            cause: &cause,
            event: &event,
            run: &run,
            source: source(namespace, &run),
        };
        report.write(folder, run.name(), &Ok(ended))?;
    }
    Ok(())
}

/// `seen` is what the last look found: the event tells of it.
async fn take_back(
    service: &Service,
    asked: &mut Asked,
    seen: &mut Seen,
    timeout: Option<Duration>,
    results: &Results,
) -> Result<Ended> {
    results.begin()?;
    let timeout = if let Some(timeout) = timeout {
        timeout
    } else {
        // The revision that restores the old image has to load its model anew.
        let starts_within = |now: &Seen| {
            asked.learn(now);
            Ok(Next::Done(now.progress_deadline_of(asked.baseline(now))))
        };
        let starts_within = service.drive(USUALLY_WITHIN, starts_within).await?;
        starts_within.map_or(USUALLY_WITHIN, |time| USUALLY_WITHIN.max(time + SETTLES_WITHIN))
    };
    let ended = service
        .drive(timeout, |now| {
            asked.learn(now);
            seen.clone_from(now);
            results.write_what_is_known(asked, now)?;
            next(asked, now)
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
            Ended::Replaced | Ended::Promoted | Ended::Nothing(_) => {
                self.result_restored_image.write("")?;
                self.result_outcome.write("nothing")
            }
        }
    }
}

#[cfg(test)]
mod scenarios;
