//! Sends CloudEvents: checked before they leave, the same bytes on every try, and no answer taken for
//! more than it says.
//!
//! - `args`: the command line
//! - `pod_info`: what the pod's labels add to an event
//! - `fields`: data and extensions from `NAME:KIND=VALUE`
//! - `identity`: id, correlation id and type
//! - `event`: the events that flags, a file or a folder describe, each checked
//! - `credentials`: tokens, signatures and certificates, from files
//! - `request`: an event as an HTTP request, and its size
//! - `dry_run`: the request as text
//! - `delivery`: one POST, its answer, and when to try again
//! - `sender`: one event after the other, with results and hints
//! - `await_run`: whether the run that an event should start is there
//!
//! The rules of events and their HTTP binding are the crate `cloudevent`.

mod args;
mod await_run;
mod credentials;
mod delivery;
mod dry_run;
mod event;
mod fields;
mod identity;
mod pod_info;
mod request;
mod sender;

use std::process::ExitCode;

use anyhow::Result;
use cloudevent::http_binding::{self, Mode};
use cloudevents::{AttributesReader as _, Event};
use reqwest::{Url, header::HeaderValue};
use step::{Outcome, like_the_step_before};

use crate::{
    args::{Args, DeliveryArgs, ResultArgs},
    await_run::Awaited,
    credentials::Credentials,
    delivery::Sink,
    event::{Composed, events},
    request::{Request, requests},
    sender::Sender,
};

fn main() -> ExitCode {
    step::run(async |args: Args| {
        let error = args.results.result_error.clone();
        error.write_error(send(args).await)
    })
}

async fn send(args: Args) -> Result<Outcome> {
    let Args { event, data, run, delivery, awaiting, credentials, results } = args;
    // Tekton skips a `finally` task that reads a result which was never written.
    results.clear()?;
    let allow_large = data.allow_large;
    let events = events(event, data, &run, delivery.overrides.as_deref())?;

    let outcome = match delivery.sink.clone() {
        Some(sink) if !events.is_empty() => {
            let credentials = credentials.read(&sink)?;
            let requests = requests(events, &delivery, &credentials, allow_large)?;
            if let Some(form) = delivery.form() {
                return print(form, &sink, &requests, &credentials, &results);
            }
            let sink = Sink::new(sink, credentials)?;
            let awaited = Awaited::new(awaiting.clone(), run.namespace).await?;
            let sender = Sender { sink, limits: delivery.limits, awaited, results };
            sender.send_all(&requests).await?
        }
        _ => {
            log_unsent(&events);
            Outcome::Done
        }
    };
    match awaiting.exit_code_file.map(|file| like_the_step_before(&file)).transpose()? {
        Some(failed @ Outcome::Like(_)) => Ok(failed),
        _ => Ok(outcome),
    }
}

impl DeliveryArgs {
    /// None when the events are to be sent.
    fn form(&self) -> Option<dry_run::Form> {
        self.print.or(self.dry_run.then_some(dry_run::Form::Http))
    }
}

impl ResultArgs {
    fn clear(&self) -> Result<()> {
        let Self {
            result_event_id,
            result_correlation_id,
            result_status_code,
            result_listener_event_id,
            result_error,
        } = self;
        let all = [
            result_event_id,
            result_correlation_id,
            result_status_code,
            result_listener_event_id,
            result_error,
        ];
        all.iter().try_for_each(|result| result.write(""))
    }

    /// What is known of an event before it is sent.
    fn identify(&self, event: &Event) -> Result<()> {
        let correlation = event.extension("correlationid").map(ToString::to_string);
        self.result_event_id.write(event.id())?;
        self.result_correlation_id.write(correlation.unwrap_or_default())
    }
}

/// A dry run.
fn print(
    form: dry_run::Form,
    sink: &Url,
    requests: &[(Event, Request)],
    credentials: &Credentials,
    results: &ResultArgs,
) -> Result<Outcome> {
    for (event, request) in requests {
        results.identify(event)?;
        let mut headers = request.headers.clone();
        for (name, value) in request.signature(credentials.signer.as_ref()) {
            headers.insert(name, HeaderValue::try_from(value)?);
        }
        step::print(dry_run::text(form, sink, &headers, &request.body, credentials))?;
    }
    Ok(Outcome::Done)
}

/// Without a sink, what happened is in the Task's log at least.
fn log_unsent(events: &[Composed]) {
    if events.is_empty() {
        tracing::info!("there is no event to send");
    }
    for Composed { event, .. } in events {
        let text = http_binding::message(event, Mode::Structured, None).body;
        let text = String::from_utf8_lossy(&text);
        tracing::info!(
            "not sent, because there is no sink: {} `{}` {text}",
            event.ty(),
            event.id()
        );
    }
}
