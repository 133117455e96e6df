//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use cloudevent::run_event::ChainArgs;
use step::OwnRun;

use crate::results::Results;

/// Take a canary back, whatever state it is in
///
/// Gives it no more requests, restores the old image, ends the canary's pods, waits until the old
/// image serves 100 %, and leaves a spec that says what runs. Works on a canary that is starting,
/// live, crashing or promoted, whatever revision runs its image by now; only on the one that is
/// named. When that one is not there, nothing is done and the outcome is `nothing`. Run again, or
/// killed and run again, it ends the same.
///
/// With `--undo` it takes back what serves all requests, once: run again, it does not go further back.
///
/// With `--sweep` it takes back every canary of the namespace that no unfinished run will end.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools)] // each is a flag by itself
pub(crate) struct Args {
    /// Name of the `InferenceService`
    #[arg(long, required_unless_present = "sweep")]
    pub(crate) service: Option<String>,
    /// Take back the image that this revision runs, such as iris-predictor-00002
    #[arg(long, value_name = "REVISION")]
    pub(crate) canary_revision: Option<String>,
    /// Take back this image and no other
    #[arg(long, value_name = "IMAGE")]
    pub(crate) canary_image: Option<String>,
    /// Take back the canary that the run with this uid made, if it made one
    #[arg(long, value_name = "UID")]
    pub(crate) made_by: Option<String>,
    /// Revision to go back to; the cluster knows it as long as it keeps it
    #[arg(long, value_name = "REVISION")]
    pub(crate) baseline_revision: Option<String>,
    /// Image to go back to, should its revision be gone
    #[arg(long, value_name = "IMAGE")]
    pub(crate) baseline_image: Option<String>,
    /// Leave the canary alone if it serves all requests already
    #[arg(long)]
    pub(crate) keep_promoted: bool,
    /// Take back what serves all requests, and go back to the version before it; with `--service-version`
    /// only that version
    #[arg(long)]
    pub(crate) undo: bool,
    /// Who asks for it, for the event, whose reason is then `manual`
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<String>,
    /// Why, for the event
    #[arg(long, value_name = "WHY")]
    pub(crate) reason: Option<String>,
    /// Namespace of the service; the pod's own, or the kubeconfig's, when not given
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// Give up after this time, such as 30m [default: 9m, or as long as the old image may take to start]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Take back every canary of the namespace that canary-create made and no unfinished run will end
    #[arg(long, conflicts_with_all = ["service", "canary_revision", "canary_image", "made_by", "undo", "dry_run"])]
    pub(crate) sweep: bool,
    /// Sweep: how long a canary must have been without a run
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    pub(crate) grace: Duration,
    /// Print the first thing it would do, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) event: EventArgs,
    #[command(flatten)]
    pub(crate) run: OwnRun,
    #[command(flatten)]
    pub(crate) results: Results,
}

#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Event")]
pub(crate) struct EventArgs {
    /// Folder for the event that says what was done, SERVICE.json, as `cloudevent-send --event-file`
    /// takes it; why, it asks the run that this step belongs to
    #[arg(long, value_name = "FOLDER")]
    pub(crate) event_folder: Option<PathBuf>,
    /// Version of the service that the canary brought [default: the one that canary-create was given]
    #[arg(long, value_name = "VERSION")]
    pub(crate) service_version: Option<String>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
}

const EXAMPLES: &str = "\
Examples:
  Take back the canary that canary-create named
    canary-rollback --service iris --canary-revision iris-predictor-00002

  Take back an image, whether its release got far or not
    canary-rollback --service iris --canary-image registry.local:5000/models/iris@sha256:…

  Undo the last promotion
    canary-rollback --service iris --undo --by ada --reason 'v3 sorts roses under tulips'

  Take back every canary that is left behind
    canary-rollback --sweep

Exit codes: 0 done or nothing to do, 1 could not (run it again), 2 usage, 143 stopped by a signal.";
