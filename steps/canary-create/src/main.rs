//! Puts a new model image beside the one that serves, with a small share of the requests.

mod first_release;
mod plan;
mod queue;
mod template;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use clap::{Parser, builder::ArgAction};
use inference_service::{Fields, Next, Release, Seen, Service, connect, has_digest};
use step::{Outcome, OwnRun, ResultFile, Usage};
use tokio::time::Instant;

use crate::{
    first_release::Flags,
    plan::{Asked, End, Ended, next},
    queue::{WhenBusy, turn},
};

/// Release an image as a canary of a KServe `InferenceService`
///
/// A service that does not exist yet is created and gets all requests: there is nothing to compare
/// it with. Otherwise the image starts at 0 %, and gets its percent once it is ready, so that no
/// user meets a model that does not load. Run again, or killed and run again, it ends the same.
///
/// While another canary of the service has not ended, a release waits for its turn: runs of one
/// Pipeline go in the order in which they were created.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Args {
    /// Name of the `InferenceService`: a letter first, at most 46 characters
    #[arg(long, value_parser = plan::service_name)]
    service: String,
    /// Image with its digest, such as registry.local:5000/models/iris@sha256:…
    #[arg(long, value_parser = image)]
    image: String,
    /// Share of the requests that the canary gets, 0 to 99
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=99))]
    percent: u8,
    /// Namespace of the service; the pod's own, or the kubeconfig's, when not given
    #[arg(long)]
    namespace: Option<String>,
    /// How long the model may take to start, such as 30m: Knative's progress deadline, set with the image
    /// [default: the service's own, or Knative's 10m]
    #[arg(long, value_name = "TIME", value_parser = start_timeout)]
    start_timeout: Option<Duration>,
    /// What to do while another canary of the service has not ended
    #[arg(long, value_enum, default_value_t = WhenBusy::Wait)]
    when_busy: WhenBusy,
    /// Wait no longer than this for its turn, such as 1h
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    wait_timeout: Duration,
    /// What the release brings for its container, as JSON: `resources` and `env`. They come and go with
    /// the image; what is not named stays, and null takes a quantity or a variable away
    #[arg(long, value_name = "JSON")]
    container: Option<String>,
    /// Secret of the service's namespace with which its pods pull the image; those that the service
    /// names already stay. One that does not exist is passed over
    #[arg(long, value_name = "SECRET")]
    pull_secret: Option<String>,
    /// Version of the service that this release brings, as events tell it
    #[arg(long, value_name = "VERSION")]
    service_version: Option<String>,
    /// SHA-256 of the bento's archive: one that was rolled back is recognised by it, however often its
    /// image is built
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    bento_sha256: Option<String>,
    /// Release an image or a bento again that was rolled back before
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    retry_rejected: bool,
    /// Print the first thing it would do, and change nothing
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    dry_run: bool,
    #[command(flatten)]
    first: Flags,
    /// What all events of one release have in common [default: the uid of the run]
    #[arg(long, value_name = "ID", env = "CORRELATION_ID")]
    correlation_id: Option<String>,
    #[command(flatten)]
    run: OwnRun,
    #[command(flatten)]
    results: Results,
}

/// Each is written as soon as it is known, also when the step fails later.
#[derive(clap::Args, Default)]
#[allow(clippy::struct_field_names)] // each is named as its flag
#[command(next_help_heading = "Results")]
struct Results {
    /// Revision that runs the image
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_canary_revision: ResultFile,
    /// Revision that served before; empty on a first release
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_baseline_revision: ResultFile,
    /// Address of the canary alone
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_canary_url: ResultFile,
    /// Image that served before, by digest; empty on a first release
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_baseline_image: ResultFile,
    /// When the canary got its first requests, RFC 3339
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_started_at: ResultFile,
    /// canary, first or unchanged
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_outcome: ResultFile,
    /// Why there is no canary; empty when there is one
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    result_error: ResultFile,
}

const EXAMPLES: &str = "\
Examples:
  Give the new image every tenth request
    canary-create --service iris --image registry.local:5000/models/iris@sha256:…

  See what it would do
    canary-create --service iris --image … --dry-run

  Take the place of a canary that has not ended
    canary-create --service iris --image … --when-busy replace

  A model that needs a while to load
    canary-create --service iris --image … --start-timeout 30m

  Give it more memory than the version before, until it is taken back
    canary-create --service iris --image … \\
      --container '{\"resources\": {\"requests\": {\"memory\": \"2Gi\"}, \"limits\": {\"memory\": \"2Gi\"}}}'

  A first release that needs more than the defaults
    canary-create --service iris --image … --memory 2Gi --cpu 500m --env LOG_LEVEL=debug

  A first release as the site wants it
    canary-create --service iris --image … --template gpu.yaml

Exit codes: 0 done, 1 could not (the canary, if any, is at 0 %), 2 usage, 143 stopped by a signal.
Then: prometheus-gate to judge it, canary-promote or canary-rollback to end it.";

fn main() -> ExitCode {
    step::run(create)
}

async fn create(args: Args) -> Result<Outcome> {
    let Args {
        service,
        image,
        percent,
        namespace,
        start_timeout,
        when_busy,
        wait_timeout,
        container,
        pull_secret,
        service_version,
        bento_sha256,
        retry_rejected,
        dry_run,
        first,
        correlation_id,
        run,
        results,
    } = args;
    let brings = container.as_deref().map(brought).transpose()?.unwrap_or_default();
    let first = first.read(&service)?;
    let service = Service::new(connect().await?, namespace, &service);
    let asked = Asked {
        image,
        percent,
        retry_rejected,
        start_timeout,
        first,
        release: Release {
            version: service_version.unwrap_or_default(),
            bento: bento_sha256.unwrap_or_default(),
            brought: brings.fingerprint(),
            pipeline: run.pipeline.clone().unwrap_or_default(),
            run: run.name().to_owned(),
            run_uid: run.uid().to_owned(),
            correlation: correlation_id.unwrap_or_else(|| run.uid().to_owned()),
        },
        brings,
        pull_secret,
        when_busy,
        is_first: false,
        has_begun: false,
        has_tried: false,
        outdated: String::new(),
    };
    if dry_run {
        service.preview(|seen| next(&asked, seen, &now())).await?;
        return Ok(Outcome::Done);
    }
    let ended =
        results.result_error.write_error(release(&service, asked, wait_timeout, &results).await)?;
    tracing::info!("{}/{}: {ended}", service.namespace, service.name);
    Ok(Outcome::Done)
}

/// Knative's progress deadline where nobody says otherwise.
const KNATIVE_WAITS: Duration = Duration::from_mins(10);

/// What KServe and Knative need besides, before the model starts and after it has.
const SETTLES_WITHIN: Duration = Duration::from_mins(2);

async fn release(
    service: &Service,
    mut asked: Asked,
    wait_timeout: Duration,
    results: &Results,
) -> Result<Ended> {
    results.begin()?;
    let latest_turn = Instant::now() + wait_timeout;
    loop {
        if asked.when_busy == WhenBusy::Wait {
            let left = latest_turn.saturating_duration_since(Instant::now());
            service.with_runs().drive(left, |seen| Ok(turn(&asked, seen))).await?;
        }
        let start_timeout = if let Some(time) = asked.start_timeout {
            time
        } else {
            let known = |seen: &Seen| Ok(Next::Done(seen.progress_deadline()));
            service.drive(SETTLES_WITHIN, known).await?.unwrap_or(KNATIVE_WAITS)
        };
        let end = service
            .drive(start_timeout + SETTLES_WITHIN, |seen| {
                asked.learn(seen);
                results.write_what_is_known(&asked, seen)?;
                next(&asked, seen, &now())
            })
            .await?;
        match end {
            End::Released(ended) => {
                results.end(&ended)?;
                return Ok(ended);
            }
            // Another release was faster: wait for the next turn.
            End::Busy(_) if asked.when_busy == WhenBusy::Wait => {}
            End::Busy(failure) => return Err(failure.into()),
        }
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// As Knative's webhook takes it; no model takes longer than a day.
fn start_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let fits = time.subsec_nanos() == 0
        && (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&time);
    fits.then_some(time).ok_or_else(|| "Knative wants whole seconds, from 1s to 24h".into())
}

/// Not read by clap, whose message would show a value that may be a secret.
fn brought(text: &str) -> Result<Fields, Usage> {
    Fields::read(text).map_err(|why| Usage {
        what: format!("the value of `--container` is not valid: {why}"),
        hint: r#"write it as {"resources": {"limits": {"memory": "2Gi"}}, "env": [{"name": "WORKERS", "value": "2"}]}"#.into(),
    })
}

fn sha256(text: &str) -> Result<String, &'static str> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let fits = text.len() == 64 && text.bytes().all(is_hex);
    fits.then(|| text.to_owned()).ok_or("a SHA-256 has 64 digits, 0 to 9 and a to f")
}

fn image(image: &str) -> Result<String, &'static str> {
    let hint = "it must name its content, such as registry.local:5000/models/iris@sha256:…, because a tag that moves makes no new revision";
    has_digest(image).then(|| image.to_owned()).ok_or(hint)
}

impl Results {
    /// A result that was never written would keep Tekton from running whatever reads it.
    fn begin(&self) -> Result<()> {
        let Self {
            result_canary_revision,
            result_baseline_revision,
            result_canary_url,
            result_baseline_image,
            result_started_at,
            result_outcome,
            result_error,
        } = self;
        [
            result_canary_revision,
            result_baseline_revision,
            result_canary_url,
            result_baseline_image,
            result_started_at,
            result_outcome,
            result_error,
        ]
        .into_iter()
        .try_for_each(|result| result.write(""))
    }

    fn write_what_is_known(&self, asked: &Asked, seen: &Seen) -> Result<()> {
        if !seen.runs(seen.latest(), &asked.image) {
            return Ok(());
        }
        self.result_canary_revision.write(seen.latest())?;
        if seen.mark.is_of(&asked.image) && seen.latest() != seen.rolled_out() {
            self.result_baseline_revision.write(&seen.mark.baseline_revision)?;
            self.result_baseline_image.write(&seen.mark.baseline_image)?;
        }
        Ok(())
    }

    fn end(&self, ended: &Ended) -> Result<()> {
        let Ended { outcome, canary_url, started_at } = ended;
        self.result_canary_url.write(canary_url)?;
        self.result_started_at.write(started_at)?;
        self.result_outcome.write(outcome)
    }
}

#[cfg(test)]
mod scenarios;
