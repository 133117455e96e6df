//! Events as requests, each checked before the first is sent.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use cloudevent::http_binding::{self, Message, Mode};
use cloudevents::{AttributesReader as _, Event};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use step::Usage;

use crate::{
    args::{DeliveryArgs, Header},
    credentials::{Credentials, Signer},
    event::Composed,
};

const WEBHOOK_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");

/// What brokers and proxies are sure to carry, by the CloudEvents specification.
const SMALL: usize = 64 << 10;
/// Above this, data belongs in a store and its address in the event.
const LARGE: usize = 256 << 10;

/// What is sent, the same on every try but for a signature's time.
pub(crate) struct Request {
    /// The event's
    pub(crate) id: String,
    /// Without the signature
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Fresh on every try: some signatures are good for a while only.
    pub(crate) fn signature(&self, signer: Option<&Signer>) -> Vec<(HeaderName, String)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        signer.map(|signer| signer.sign(&self.id, now, &self.body)).unwrap_or_default()
    }
}

/// Everything that can be wrong with an event is found before the first one is sent.
pub(crate) fn requests(
    events: Vec<Composed>,
    delivery: &DeliveryArgs,
    credentials: &Credentials,
    allow_large: bool,
) -> Result<Vec<(Event, Request)>> {
    let given = delivery.header.iter().map(|Header(name, value)| (name.clone(), value.clone()));
    let origin = delivery.webhook_origin.clone().map(|origin| (WEBHOOK_ORIGIN, origin));
    let extra: Vec<(HeaderName, HeaderValue)> = given.chain(origin).collect();
    let request = |Composed { event, verbatim }| {
        warn_of_surprises(&event, delivery.mode, credentials);
        let message = http_binding::message(&event, delivery.mode, verbatim);
        check_size(message.body.len(), allow_large)?;
        let headers = headers(&message, &extra, credentials)?;
        let request = Request { id: event.id().to_owned(), headers, body: message.body };
        Ok((event, request))
    };
    events.into_iter().map(request).collect()
}

/// What is allowed and will surprise.
fn warn_of_surprises(event: &Event, mode: Mode, credentials: &Credentials) {
    if mode == Mode::Binary && http_binding::data(event).is_empty() {
        tracing::warn!("a Tekton EventListener refuses a binary event without data");
    }
    let signs_the_body_only = credentials.signer.as_ref().is_some_and(Signer::covers_the_body_only);
    if mode == Mode::Binary && signs_the_body_only {
        tracing::warn!(
            "the signature covers the data only; use structured mode to sign the attributes too"
        );
    }
}

/// All headers but the signature; a value that is a secret is marked as one.
fn headers(
    message: &Message,
    extra: &[(HeaderName, HeaderValue)],
    credentials: &Credentials,
) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        let name = HeaderName::try_from(name).context("failed to write a header's name")?;
        headers.insert(
            name,
            HeaderValue::try_from(value).context("failed to write a header's value")?,
        );
    }
    headers.extend(extra.iter().cloned());
    if let Some(token) = &credentials.token {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.text))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

/// Refuses a body that belongs in a store, unless it is wanted.
fn check_size(bytes: usize, allow_large: bool) -> Result<(), Usage> {
    if bytes > LARGE && !allow_large {
        return Err(Usage {
            what: format!("the event has {bytes} bytes, more than {LARGE}"),
            hint: "put the data into a store and send its address, or pass `--allow-large`".into(),
        });
    }
    if bytes > SMALL {
        tracing::warn!("the event has {bytes} bytes; brokers are sure to carry {SMALL} only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_event_is_refused_unless_it_is_wanted() {
        check_size(LARGE, false).unwrap();
        assert!(check_size(LARGE + 1, false).is_err());
        check_size(LARGE + 1, true).unwrap();
    }
}
