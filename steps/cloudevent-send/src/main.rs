//! Sends CloudEvents: checked before they leave, the same bytes on every try, and no answer taken for
//! more than it says.

mod args;
mod await_run;
mod compose;
mod credentials;
mod dry_run;
mod exit_code;
mod fields;
mod identity;
mod run;
mod sender;
mod sink;
mod size;

use std::process::ExitCode;

use anyhow::Result;
use cloudevent::wire::{self, Mode};
use cloudevents::{AttributesReader as _, Event};
use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use step::Outcome;

use crate::{
    args::{Args, DeliveryArgs, Header, ResultArgs},
    await_run::Awaited,
    compose::Composed,
    credentials::{Credentials, Signer},
    sender::Sender,
    sink::{Limits, Request, Sink},
};

const WEBHOOK_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");

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
    let events = compose::events(event, data, &run, delivery.overrides.as_deref())?;

    let outcome = match delivery.sink.clone() {
        Some(sink) if !events.is_empty() => {
            let credentials = credentials.read(&sink)?;
            let requests = requests(events, &delivery, &credentials, allow_large)?;
            if let Some(form) = delivery.form() {
                return print(form, &sink, &requests, &credentials, &results);
            }
            let sink = Sink::new(sink, credentials)?;
            let awaited = Awaited::new(&awaiting, run.namespace).await?;
            let sender = Sender { sink, limits: delivery.limits(), awaited, results };
            sender.send_all(&requests).await?
        }
        _ => {
            log_unsent(&events);
            Outcome::Done
        }
    };
    match awaiting.exit_code_file.map(|file| exit_code::outcome(&file)).transpose()? {
        Some(failed @ Outcome::Like(_)) => Ok(failed),
        _ => Ok(outcome),
    }
}

impl DeliveryArgs {
    /// None when the events are to be sent.
    fn form(&self) -> Option<dry_run::Form> {
        self.print.or(self.dry_run.then_some(dry_run::Form::Http))
    }

    fn limits(&self) -> Limits {
        Limits {
            total: self.timeout.into(),
            attempt: self.attempt_timeout.into(),
            retries: self.retries,
        }
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

/// Everything that can be wrong with an event is found before the first one is sent.
fn requests(
    events: Vec<Composed>,
    delivery: &DeliveryArgs,
    credentials: &Credentials,
    allow_large: bool,
) -> Result<Vec<(Event, Request)>> {
    let given = delivery.header.iter().map(|Header(name, value)| (name.clone(), value.clone()));
    let origin = delivery.webhook_origin.clone().map(|origin| (WEBHOOK_ORIGIN, origin));
    let extra: Vec<(HeaderName, HeaderValue)> = given.chain(origin).collect();
    let request = |Composed { event, verbatim }| {
        warn(&event, delivery.mode, credentials);
        let message = wire::message(&event, delivery.mode, verbatim);
        size::check(message.body.len(), allow_large)?;
        let headers = sink::headers(&message, &extra, credentials)?;
        let request = Request { id: event.id().to_owned(), headers, body: message.body };
        Ok((event, request))
    };
    events.into_iter().map(request).collect()
}

/// What is allowed and will surprise.
fn warn(event: &Event, mode: Mode, credentials: &Credentials) {
    if mode == Mode::Binary && wire::data(event).is_empty() {
        tracing::warn!("a Tekton EventListener refuses a binary event without data");
    }
    let signs_the_body_only = credentials.signer.as_ref().is_some_and(Signer::covers_the_body_only);
    if mode == Mode::Binary && signs_the_body_only {
        tracing::warn!(
            "the signature covers the data only; use structured mode to sign the attributes too"
        );
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
        for (name, value) in
            sink::signature(credentials.signer.as_ref(), &request.id, &request.body)
        {
            headers.insert(name, HeaderValue::try_from(value)?);
        }
        let text = dry_run::print(form, sink, &headers, &request.body, credentials);
        step::print(text)?;
    }
    Ok(Outcome::Done)
}

/// A Task without a sink still tells its log what happened.
fn log_unsent(events: &[Composed]) {
    if events.is_empty() {
        tracing::info!("there is no event to send");
    }
    for Composed { event, .. } in events {
        let text = wire::message(event, Mode::Structured, None).body;
        let text = String::from_utf8_lossy(&text);
        tracing::info!(
            "not sent, because there is no sink: {} `{}` {text}",
            event.ty(),
            event.id()
        );
    }
}
