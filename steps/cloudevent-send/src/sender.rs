//! Sends events one after the other, and reports on each by results, log and hint.

use anyhow::{Error, Result};
use cloudevent::{http_binding, id::object_name};
use cloudevents::{AttributesReader as _, Event};
use step::{Failure, Outcome};

use crate::{
    args::{Limits, ResultArgs},
    await_run::Awaited,
    delivery::{DeliveryError, Meaning, Reply, Sink},
    request::Request,
};

pub(crate) struct Sender {
    pub(crate) sink: Sink,
    pub(crate) limits: Limits,
    pub(crate) awaited: Option<Awaited>,
    pub(crate) results: ResultArgs,
}

impl Sender {
    /// One that fails does not hold up the next: they tell of different things.
    pub(crate) async fn send_all(&self, events: &[(Event, Request)]) -> Result<Outcome> {
        if let [(event, request)] = events {
            return self.send(event, request).await;
        }
        let (mut refused, mut failed) = (0, 0);
        for (event, request) in events {
            match self.send(event, request).await {
                Ok(Outcome::Done) => {}
                Ok(_) => refused += 1,
                Err(error) => {
                    tracing::error!(hint = hint(&error), "{error:#}");
                    failed += 1;
                }
            }
        }
        if failed > 0 {
            let what = format!("failed to send {failed} of {} events", events.len());
            let hint = "the lines above say why; run it again, the events keep their ids";
            return Err(Failure { what, hint: hint.into() }.into());
        }
        Ok(if refused > 0 { Outcome::No } else { Outcome::Done })
    }

    async fn send(&self, event: &Event, request: &Request) -> Result<Outcome> {
        self.results.identify(event)?;
        let sink = self.sink.address();
        let about =
            event.subject().map(|subject| format!(" about `{subject}`")).unwrap_or_default();
        let bytes = request.body.len();
        tracing::info!("sending {} `{}`{about} to {sink} ({bytes} bytes)", event.ty(), event.id());

        let answer = self.sink.deliver(request, self.limits).await;
        let status = match &answer {
            Ok(reply) => Some(reply.status),
            Err(error) => error.status(),
        };
        let status = status.map(|status| status.as_u16().to_string()).unwrap_or_default();
        self.results.result_status_code.write(status)?;
        let reply = answer.map_err(|error| undelivered(event.id(), &self.sink, error))?;
        let listener_event_id = reply.listener_event_id().unwrap_or_default();
        self.results.result_listener_event_id.write(&listener_event_id)?;
        let outcome = conclude(event, &sink, &reply, &listener_event_id);
        if outcome == Outcome::No {
            let refused = format!("the sink refused it: {reply}");
            self.results.result_error.write_text(&refused)?;
        }
        if let (Outcome::Done, Some(awaited)) = (outcome, &self.awaited) {
            let name = object_name(event.source(), event.id());
            awaited.wait(&name, async || self.send_again(request).await).await?;
        }
        Ok(outcome)
    }

    /// One more time what was accepted before; whatever comes back, the wait for the run goes on.
    async fn send_again(&self, request: &Request) -> bool {
        match self.sink.attempt(request, self.limits.attempt_timeout).await {
            Ok(reply) if Meaning::of(reply.status) == Meaning::Accepted => true,
            Ok(reply) => {
                tracing::warn!("{}: this time it answered {reply}", self.sink.address());
                false
            }
            Err(error) => {
                tracing::warn!("{}: {error}", self.sink.address());
                false
            }
        }
    }
}

fn hint(error: &Error) -> &str {
    error.downcast_ref::<Failure>().map(|failure| failure.hint.as_str()).unwrap_or_default()
}

/// Reports a final answer.
fn conclude(event: &Event, sink: &str, reply: &Reply, listener_event_id: &str) -> Outcome {
    let hint = match Meaning::of(reply.status) {
        Meaning::Accepted => {
            let known_as = if listener_event_id.is_empty() {
                String::new()
            } else {
                format!("; its listener calls it `{listener_event_id}`")
            };
            tracing::info!("accepted by {sink} with {}{known_as}", reply.status);
            return Outcome::Done;
        }
        Meaning::Moved => "redirects are not followed: set `sink` to the final address",
        Meaning::Gone => "this address takes no events any more: remove it from the settings",
        Meaning::Refused | Meaning::Later => match reply.status.as_u16() {
            401 | 403 => {
                "does the Secret that `sink-secret` names hold the token or HMAC secret that the sink expects?"
            }
            400 if http_binding::data(event).is_empty() => {
                "a Tekton EventListener wants a JSON object as data: add fields"
            }
            400 => "the sink could not read the event: try the other `mode`, and see its log",
            405 => "the sink takes no POST: is the path of `sink` right?",
            413 => "put the data into a store and send its address",
            415 => "the sink does not take this mode: try the other `mode`",
            _ => "see the log of the sink",
        },
    };
    tracing::error!(hint, "failed to send event `{}` to {sink}: it answered {reply}", event.id());
    Outcome::No
}

fn undelivered(id: &str, sink: &Sink, error: DeliveryError) -> Error {
    let hint = match &error {
        DeliveryError::Answered(reply) if reply.status == 404 => {
            "is the path of `sink` right, and does an EventListener of that name exist?"
        }
        DeliveryError::Answered(_) => {
            "the sink is overloaded or failing: see its log, then run this again; the event keeps its id"
        }
        DeliveryError::Silent(_) => {
            "does a network policy or proxy swallow the request? A longer `timeout` may help"
        }
        DeliveryError::Unreachable(_) | DeliveryError::Proxy => {
            "is `sink` an address that this pod can reach, and its certificate one that it trusts?"
        }
    };
    let what = format!("failed to send event `{id}` to {}", sink.address());
    let hint = sink.proxy_hint(error.status()).unwrap_or_else(|| hint.to_owned());
    Error::new(error).context(Failure { what, hint })
}
