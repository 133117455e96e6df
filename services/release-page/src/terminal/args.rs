//! What is typed.

use std::time::Duration;

use bento_retrieve::request::Output;
use clap::Args;
use step::Usage;

use crate::options::Options;

/// Of `release-page watch`.
#[derive(Debug, Args)]
#[command(after_help = WATCH_HELP)]
pub struct WatchArgs {
    /// Service to watch; not needed where the namespace has one
    pub(crate) service: Option<String>,
    /// Words that mean nothing here, which are told what to write instead
    #[arg(hide = true)]
    pub(crate) surplus: Vec<String>,
    /// Namespace of the service [default: the pod's own, or the kubeconfig's]
    #[arg(long, value_name = "NAME", env = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Version whose newest release is watched, also one that has ended [default: the release that is under way, or
    /// else the next one]
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// How to print it; json is an object a line, at each event
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Give up when there is no end after this time, such as 1h [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Of `release-page list`.
#[derive(Debug, Args)]
#[command(after_help = LIST_HELP)]
pub struct ListArgs {
    /// The same as of `watch`
    #[arg(hide = true)]
    pub(crate) surplus: Vec<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Longest time to read what there is
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// Refuses words that mean nothing, and repeats none of them.
pub(crate) fn refuse_surplus(surplus: &[String], what: &str, hint: &str) -> Result<(), Usage> {
    if surplus.is_empty() { Ok(()) } else { Err(Usage { what: what.into(), hint: hint.into() }) }
}

const WATCH_HELP: &str = "\
Examples:
  # In the cluster, where the page runs; with -it as it happens, without as plain lines
  kubectl exec -it deploy/release-page -- /release-page watch iris

  # From a build of one's own, with the rights and the namespace of the kubeconfig
  release-page watch iris

  # In a CI, after the event: this version's release, which fails the job unless it is promoted
  release-page watch iris --namespace models --version v2 --timeout 2h

  # For a program: each stage that ended
  release-page watch iris --output json | jq 'select(.event == \"stage-ended\")'

Events of `--output json`, each an object with its name in `event`; more may come, fields stay:
  waiting        service, version, services (where none has this name), lastRelease
  release-begun  namespace, service, version, began, ended, seconds, cause, reason, ladder, bento,
                 image, revision, baselineRevision, runs, and outcome: underway, promoted,
                 rolled-back, failed
  stage-begun    task, run, percent, began, ended, seconds, detail, state (running, succeeded,
                 failed), and stage: image, canary, gate, promote, rollback, event, other
  stage-state    the same, when what it sees has changed
  stage-ended    the same at its end
  split          split: percent, version, revision, canary of each revision that has requests
  decisions      decisions, stopped: all that people have decided about it now
  api-server     state (away, current), since, error
  release-ended  as release-begun

Exit codes: 0 promoted, 1 could not see its end, 2 usage, 3 rolled back or failed, 143 stopped.";

const LIST_HELP: &str = "\
Examples:
  # In the cluster, where the page runs
  kubectl exec deploy/release-page -- /release-page list

  # From a build of one's own, with the rights of the kubeconfig
  release-page list --namespace models
  release-page list --all-namespaces

  # For a program: the services that have a canary
  release-page list --output json | jq '.[] | select(.state == \"canary\") | .name'

Fields of `--output json` of each service: namespace, name, url, message, split, canary, gate,
decisions, stopped, release (that is under way), lastRelease, and state: stable, canary, releasing,
not-ready. A release and a split have the fields that they have in `watch --output json`.

Exit codes: 0 done, 1 something could not be read, 2 usage, 143 stopped.";
