//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use cloudevent::run_event::ChainArgs;
use jiff::Timestamp;
use ladder::{Climbed, Ladder};
use step::OwnRun;

use crate::results::Results;

/// Give a live canary the next percent of its ladder
///
/// It climbs one rung: from the percent that was judged to the next one, or to all requests where there
/// is none. It never lowers a percent: a canary that somebody has raised meanwhile keeps what it has. Only
/// the revision that was judged is promoted: if another one is the latest by now, this fails and changes
/// nothing. It ends when the route says so. Run again, or killed and run again, it ends the same, one rung
/// higher.
///
/// Before the percent grows, the canary gets the pods that it needs for it.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Name of the `InferenceService`
    #[arg(long)]
    pub(crate) service: String,
    /// Revision to promote, as canary-create's result says, such as iris-predictor-00002
    #[arg(long, value_name = "REVISION")]
    pub(crate) canary_revision: String,
    /// Percents that the canary climbs, such as 10,25,50,100 [default: the next one is 100]
    #[arg(long, value_name = "PERCENTS")]
    pub(crate) ladder: Option<Ladder>,
    /// Percent that was judged, 0 to 100; the rung that it gets is the one above [default: where it stands]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) percent: Option<u8>,
    /// How long it will be judged at 100 % before it counts as promoted, such as 30m: then the step to
    /// 100 is a rung like any other [default: it does not]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) bake: Option<Duration>,
    /// How long to wait for the pods that the next percent needs; 0s asks for none
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = humantime::parse_duration)]
    pub(crate) room_timeout: Duration,
    /// Namespace of the service; the pod's own, or the kubeconfig's, when not given
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// Give up after this time, that for the pods not counted, such as 5m
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
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

/// What the event of an advance says beside what the cluster knows.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Event")]
pub(crate) struct EventArgs {
    /// Folder for the event that has the next rung judged, SERVICE.json, as `cloudevent-send
    /// --event-file` takes it. A canary that is promoted leaves none
    #[arg(long, value_name = "FOLDER")]
    pub(crate) event_folder: Option<PathBuf>,
    /// Version of the service that the canary brings [default: the one that canary-create was given]
    #[arg(long, value_name = "VERSION")]
    pub(crate) service_version: Option<String>,
    /// Image of the canary [default: the one of the service]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) canary_image: Option<String>,
    /// Revision that serves beside it [default: the one that canary-create found]
    #[arg(long, value_name = "REVISION")]
    pub(crate) baseline_revision: Option<String>,
    /// Its image [default: the one that canary-create found]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) baseline_image: Option<String>,
    /// When the canary got its first requests at the percent that was judged, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) started_at: Option<Timestamp>,
    /// Rungs below that one: 10@2026-11-24T09:30:00Z,25@2026-11-24T09:41:00Z
    #[arg(long, value_name = "RUNGS")]
    pub(crate) climbed: Option<Climbed>,
    /// Whether answers are compared, as canary-create says
    #[arg(long, value_name = "TEXT")]
    pub(crate) answers: Option<String>,
    /// What the gate's verdict rests on
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "write it as RFC 3339 has it, such as 2026-11-24T09:30:00Z")
}

const EXAMPLES: &str = "\
Examples:
  Give the canary all requests
    canary-promote --service iris --canary-revision iris-predictor-00002

  From 10 % to 25 %, after a gate has judged it at 10 %
    canary-promote --service iris --canary-revision iris-predictor-00002 --ladder 10,25,50,100 --percent 10

  See what it would do
    canary-promote --service iris --canary-revision iris-predictor-00002 --dry-run

Exit codes: 0 it has the next percent, 1 could not (it keeps its percent), 2 usage, 143 stopped by a
signal. After a failure, run it again or end the canary with canary-rollback.";
