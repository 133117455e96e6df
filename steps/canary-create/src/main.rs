//! Puts a new model image beside the one that serves, with a small share of the requests.
//!
//! - `args`: the command line
//! - `answer_counter`: where answers are counted, and whether it is there
//! - `answers`: the logger that sends answers there, and what is said of it
//! - `desired`: what is desired, and what this run has learnt of it
//! - `template`: a site's own `InferenceService`, which a first release begins with
//! - `first_release`: the service of a first release
//! - `unsupported_service`: services whose requests KServe would not split
//! - `plan`: from what is desired and what is observed to an action
//! - `queue`: whose turn it is, when a service has more than one release to come
//! - `results`: what the step writes for the tasks after it

mod answer_counter;
mod answers;
mod args;
mod desired;
mod first_release;
mod plan;
mod queue;
mod results;
mod template;
mod unsupported_service;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use inference_service::{Action, Fields, Observed, Release, SETTLES_WITHIN, Service, connect};
use step::{Outcome, Usage};
use tokio::time::Instant;

use crate::{
    answer_counter::{AnswerCounter, Answers, Reply},
    args::Args,
    desired::{Desired, WhenBusy},
    plan::{Attempt, Released, next},
    queue::wait_for_turn,
    results::Results,
};

fn main() -> ExitCode {
    step::run(create)
}

async fn create(args: Args) -> Result<Outcome> {
    let brings = args.container.as_deref().map(brought).transpose()?.unwrap_or_default();
    let (run, results) = (args.run, args.results);
    let mut desired = Desired {
        image: args.image,
        percent: args.ladder.first(),
        retry_rejected: args.retry_rejected,
        start_timeout: args.start_timeout,
        first: args.first.read(&args.service)?,
        release: Release {
            version: args.service_version.unwrap_or_default(),
            bento: args.bento_sha256.unwrap_or_default(),
            brought: brings.fingerprint(),
            pipeline: run.pipeline.clone().unwrap_or_default(),
            run: run.name().to_owned(),
            run_uid: run.uid().to_owned(),
            correlation: args.correlation_id.unwrap_or_else(|| run.uid().to_owned()),
        },
        brings,
        pull_secret: args.pull_secret,
        answers: Answers {
            counter: None,
            of: args.answers_of,
            shift_is_expected: args.expect_answer_shift,
            reply: Reply::default(),
        },
        when_busy: args.when_busy,
        is_first: false,
        has_begun: false,
        has_tried: false,
        outdated: String::new(),
    };
    let client = connect().await?;
    let counter = args.answers.map(|url| AnswerCounter::here(&url, client.default_namespace()));
    desired.answers.counter = counter;
    let service = Service::new(client, args.namespace, &args.service).with_stop_switch();
    if args.dry_run {
        service.preview(|observed| next(&desired, observed, &now())).await?;
        return Ok(Outcome::Done);
    }
    results.begin(&args.ladder)?;
    let ended = release(&service, desired, args.wait_timeout, &results).await;
    let ended = results.result_error.write_error(ended)?;
    tracing::info!("{}: {ended}", service.full_name());
    Ok(Outcome::Done)
}

/// Knative's progress deadline where nobody says otherwise.
const KNATIVE_WAITS: Duration = Duration::from_mins(10);

async fn release(
    service: &Service,
    mut desired: Desired,
    wait_timeout: Duration,
    results: &Results,
) -> Result<Released> {
    let latest_turn = Instant::now() + wait_timeout;
    loop {
        if desired.when_busy == WhenBusy::Wait {
            let left = latest_turn.saturating_duration_since(Instant::now());
            let turn = |observed: &Observed| wait_for_turn(&desired, observed);
            service.with_runs().reconcile(left, turn).await?;
        }
        let start_timeout = if let Some(time) = desired.start_timeout {
            time
        } else {
            let known = |observed: &Observed| Ok(Action::Done(observed.progress_deadline()));
            service.reconcile(SETTLES_WITHIN, known).await?.unwrap_or(KNATIVE_WAITS)
        };
        if desired.answers.counter.is_some() {
            let sink = |observed: &Observed| {
                Ok(Action::Done(desired.sink(observed, &observed.logger_before())))
            };
            if let Some(url) = service.reconcile(SETTLES_WITHIN, sink).await? {
                desired.answers.ask(&url).await;
            }
        }
        let end = service
            .reconcile(start_timeout + SETTLES_WITHIN, |observed| {
                desired.learn(observed);
                results.write_what_is_known(&desired, observed)?;
                next(&desired, observed, &now())
            })
            .await?;
        match end {
            Attempt::Released(ended) => {
                results.end(&ended)?;
                return Ok(ended);
            }
            // Another release was faster: wait for the next turn.
            Attempt::Busy(_) if desired.when_busy == WhenBusy::Wait => {}
            Attempt::Busy(failure) => return Err(failure.into()),
        }
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Not read by clap, whose message would show a value that may be a secret.
fn brought(text: &str) -> Result<Fields, Usage> {
    Fields::read(text).map_err(|why| Usage {
        what: format!("the value of `--container` is not valid: {why}"),
        hint: r#"write it as {"resources": {"limits": {"memory": "2Gi"}}, "env": [{"name": "WORKERS", "value": "2"}]}"#.into(),
    })
}

#[cfg(test)]
mod scenarios;
