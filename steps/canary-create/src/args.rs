//! The command line.

use std::time::Duration;

use clap::Parser;
use inference_service::{LONGEST_NAME, has_digest};
use ladder::Ladder;
use reqwest::Url;
use step::{OwnRun, text::is_sha256};

use crate::{
    answer_counter::{AnswerCounter, AnswersOf},
    desired::WhenBusy,
    first_release::Flags,
    results::Results,
};

/// Release an image as a canary of a KServe `InferenceService`
///
/// A service that does not exist yet is created and gets all requests: there is nothing to compare
/// it with. Otherwise the image starts at 0 %, and gets the first percent of its ladder once it is
/// ready, so that no request meets a model that does not load. Run again, or killed and run again, it ends the same.
///
/// While another canary of the service has not ended, a release waits for its turn: runs of one
/// Pipeline go in the order in which they were created.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools)] // each is a flag by itself
pub(crate) struct Args {
    /// Name of the `InferenceService`: a letter first, at most 46 characters
    #[arg(long, value_parser = service_name)]
    pub(crate) service: String,
    /// Image with its digest, such as registry.local:5000/models/iris@sha256:…
    #[arg(long, value_parser = image)]
    pub(crate) image: String,
    /// Percents of the requests that the canary climbs. It gets the first of them here, 0 to 99;
    /// canary-promote gives it the next ones
    #[arg(long, value_name = "PERCENTS", default_value = "10,25,50,100")]
    pub(crate) ladder: Ladder,
    /// Namespace of the service; the pod's own, or the kubeconfig's, when not given
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// How long the model may take to start, such as 30m: Knative's progress deadline, set with the image
    /// [default: the service's own, or Knative's 10m]
    #[arg(long, value_name = "TIME", value_parser = start_timeout)]
    pub(crate) start_timeout: Option<Duration>,
    /// What to do while another canary of the service has not ended
    #[arg(long, value_enum, default_value_t = WhenBusy::Wait)]
    pub(crate) when_busy: WhenBusy,
    /// Wait no longer than this for its turn, such as 1h
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) wait_timeout: Duration,
    /// What the release brings for its container, as JSON: `resources` and `env`. They come and go with
    /// the image; what is not named stays, and null takes a quantity or a variable away
    #[arg(long, value_name = "JSON")]
    pub(crate) container: Option<String>,
    /// Secret of the service's namespace with which its pods pull the image; those that the service
    /// names already stay. One that does not exist is passed over
    #[arg(long, value_name = "SECRET")]
    pub(crate) pull_secret: Option<String>,
    /// Version of the service that this release brings, as events name it
    #[arg(long, value_name = "VERSION")]
    pub(crate) service_version: Option<String>,
    /// SHA-256 of the bento's archive: one that was rolled back is recognised by it, however often its
    /// image is built
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub(crate) bento_sha256: Option<String>,
    /// Address of the answer-counter, without a path; a name without a dot is a Service beside this run.
    /// The service's logger then sends answers there, with the version in its url. Without it, such a logger
    /// goes with the next image
    #[arg(long, value_name = "URL", value_parser = AnswerCounter::read)]
    pub(crate) answers: Option<Url>,
    /// Services that get a logger. One of its owner's stays
    #[arg(long, value_enum, default_value_t)]
    pub(crate) answers_of: AnswersOf,
    /// The new version is meant to answer in another way, so that a shift is reported and not judged
    #[arg(long)]
    pub(crate) expect_answer_shift: bool,
    /// Release an image or a bento again that was rolled back before
    #[arg(long)]
    pub(crate) retry_rejected: bool,
    /// Print the first thing it would do, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) first: Flags,
    /// What all events of one release have in common [default: the uid of the run]
    #[arg(long, value_name = "ID", env = "CORRELATION_ID")]
    pub(crate) correlation_id: Option<String>,
    #[command(flatten)]
    pub(crate) run: OwnRun,
    #[command(flatten)]
    pub(crate) results: Results,
}

const EXAMPLES: &str = "\
Examples:
  Give the new image every tenth request
    canary-create --service iris --image registry.local:5000/models/iris@sha256:…

  Every twentieth first, and everything after that
    canary-create --service iris --image … --ladder 5,100

  None of the users' requests: tests reach it by its own address, and then it gets all of them
    canary-create --service iris --image … --ladder 0,100

  See what it would do
    canary-create --service iris --image … --dry-run

  Take the place of a canary that has not ended
    canary-create --service iris --image … --when-busy replace

  A model that needs a while to load
    canary-create --service iris --image … --start-timeout 30m

  Give it more memory than the version before, until it is taken back
    canary-create --service iris --image … \\
      --container '{\"resources\": {\"requests\": {\"memory\": \"2Gi\"}, \"limits\": {\"memory\": \"2Gi\"}}}'

  Have its answers counted beside those of the version before
    canary-create --service iris --image … --service-version v2 --answers http://answer-counter:8080

  A first release that needs more than the defaults
    canary-create --service iris --image … --memory 2Gi --cpu 500m --env LOG_LEVEL=debug

  A first release as the site wants it
    canary-create --service iris --image … --template gpu.yaml

Exit codes: 0 done, 1 could not (the canary, if any, is at 0 %), 2 usage, 143 stopped by a signal.
Then: prometheus-gate to judge it, canary-promote or canary-rollback to end it.";

/// A name that Knative and the hosts of the tags can carry.
pub(crate) fn service_name(name: &str) -> Result<String, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(inner);
    let rule = "it begins with a letter, has a to z, 0 to 9 and -, and at most 46 characters, \
                because its canary's host `latest-NAME-predictor` has at most 63";
    if fits { Ok(name.to_owned()) } else { Err(rule.into()) }
}

/// As Knative's webhook takes it; no model takes longer than a day.
fn start_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let fits = time.subsec_nanos() == 0
        && (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&time);
    fits.then_some(time).ok_or_else(|| "Knative wants whole seconds, from 1s to 24h".into())
}

fn sha256(text: &str) -> Result<String, &'static str> {
    is_sha256(text).then(|| text.to_owned()).ok_or("a SHA-256 has 64 digits, 0 to 9 and a to f")
}

fn image(image: &str) -> Result<String, &'static str> {
    let hint = "it must name its content, such as registry.local:5000/models/iris@sha256:…, because a tag that moves makes no new revision";
    has_digest(image).then(|| image.to_owned()).ok_or(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leaves_room_for_the_host_of_its_canary() {
        let fits = |name: &str| service_name(name).is_ok();
        assert!(fits("iris") && fits("i") && fits("iris-2") && fits(&"i".repeat(46)));
        assert!(
            !fits("")
                && !fits("2iris")
                && !fits("iris-")
                && !fits("Iris")
                && !fits("iris.v1")
                && !fits(&"i".repeat(47))
        );
    }
}
