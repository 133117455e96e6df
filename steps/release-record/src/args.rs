//! The command line.

use std::{path::PathBuf, time::Duration};

use bento_retrieve::request::{AccessArgs, RetryArgs};
use clap::{Args as Group, Parser, Subcommand};
use step::{Failure, OwnRun};

/// Keep how releases went, beside the bentos
///
/// A cluster forgets: a gate's evidence goes with its pod, and runs are pruned. What this keeps of
/// them in an S3 store is a folder for each run, `SERVICE/VERSION/NAMESPACE.RUN`, with `run.json`, and
/// of a gate `verdict.json`, `report.html` and `record.ndjson.gz`.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) keep: Keep,
}

#[derive(Subcommand)]
pub(crate) enum Keep {
    /// Keep what a gate has left in a folder, and end as the gate did
    ///
    /// The second step of Task prometheus-gate. A store that is away is a warning and changes no
    /// verdict. Run again, or killed and run again, it leaves the same.
    Gate(Box<GateArgs>),
    /// Keep the runs that have ended, and delete what is older than the retention
    ///
    /// Of the runs of Pipelines canary-release, canary-promotion and canary-rollback-now in the
    /// namespace. Run again, or killed and run again, it leaves the same; what is kept of other
    /// namespaces is not touched.
    Runs(Box<RunsArgs>),
}

#[derive(Group)]
#[command(after_help = GATE_EXAMPLES)]
pub(crate) struct GateArgs {
    /// Where it is kept; without it nothing is
    #[arg(long, value_name = "s3://BUCKET/PREFIX")]
    pub(crate) releases: Option<String>,
    /// Folder that the gate has written to by `--report`
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// `InferenceService` of the canary
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Version that the canary runs
    #[arg(long, value_name = "VERSION")]
    pub(crate) canary_version: Option<String>,
    /// Namespace of the run
    #[arg(long, env = "POD_NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// File with the gate's exit code, which is then this step's
    #[arg(long, value_name = "FILE")]
    pub(crate) exit_code_file: Option<PathBuf>,
    /// Longest time in all
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) patience: PatienceArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) run: OwnRun,
}

#[derive(Group)]
#[command(after_help = RUNS_EXAMPLES)]
pub(crate) struct RunsArgs {
    /// Where they are kept; without it nothing is
    #[arg(long, value_name = "s3://BUCKET/PREFIX")]
    pub(crate) releases: Option<String>,
    /// How long they are kept, such as 180d; without it for ever
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) retention: Option<Duration>,
    /// Namespace of the runs; the pod's own, or the kubeconfig's, when not given
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// Print what it would do, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Longest time in all
    #[arg(long, value_name = "DURATION", default_value = "4m", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) patience: PatienceArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Clone, Copy, Group)]
#[command(next_help_heading = "Retries")]
pub(crate) struct PatienceArgs {
    /// Longest time without an answer, before the store is asked again
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    idle_timeout: Duration,
    /// Tries in a row that bring nothing, before it gives up
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    retries: usize,
}

impl PatienceArgs {
    pub(crate) fn within(self, timeout: Duration) -> RetryArgs {
        RetryArgs { timeout, idle_timeout: self.idle_timeout, retries: self.retries }
    }
}

pub(crate) fn too_slow(timeout: Duration) -> anyhow::Error {
    Failure {
        what: format!("failed to be done within {}", humantime::format_duration(timeout)),
        hint: "run it again: it goes on where it stopped; or raise --timeout".into(),
    }
    .into()
}

const EXAMPLES: &str = "\
Examples:
  What would be kept now, and what deleted
    release-record runs --releases s3://bentos/releases --retention 180d --dry-run

  What is kept of a run
    aws s3 ls s3://bentos/releases/iris/v2/models.promotion-1/

`release-record gate --help` and `release-record runs --help` have more of them.

Exit codes: 0 done, 1 could not (run it again), 2 usage, 143 stopped by a signal; `gate` ends as its gate did.";

const GATE_EXAMPLES: &str = "\
Examples:
  As the Task runs it
    release-record gate --folder /evidence --releases s3://bentos/releases --service iris \\
      --canary-version v2 --exit-code-file /tekton/steps/step-prometheus-gate/exitCode

  Evidence of a gate at a terminal
    release-record gate --folder evidence --releases s3://bentos/releases \\
      --s3-endpoint http://localhost:9000 --namespace models --service iris --canary-version v2 \\
      --pipeline-run promotion-1

Exit codes: the one in `--exit-code-file`, and without it 0 also where nothing could be kept, which
a warning tells; 2 usage, 143 stopped by a signal.";

const RUNS_EXAMPLES: &str = "\
Examples:
  As the CronJob runs it
    release-record runs --releases s3://bentos/releases --retention 180d

  Delete all that is kept of a namespace that is gone
    release-record runs --releases s3://bentos/releases --namespace old --retention 0s

Exit codes: 0 done, 1 could not (run it again), 2 usage, 143 stopped by a signal.";
