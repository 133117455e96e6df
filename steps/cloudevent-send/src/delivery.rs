//! One POST to the sink, its answer, and when to try again.

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use backon::{ExponentialBuilder, Retryable as _};
use cloudevent::id::is_label;
use reqwest::{Client, Response, StatusCode, Url, redirect, retry};
use serde::Deserialize;
use step::{
    Proxies, Proxy,
    http::retry_after,
    innermost, secret,
    text::{origin, short},
};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    args::Limits,
    credentials::{Credentials, Signer},
    request::Request,
};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A sink that asks for more than this is as good as down: trying earlier shows it sooner.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(1);
/// A listener's reply has 300 bytes; a proxy's page of HTML is of no use to anyone.
const LONGEST_REPLY: usize = 64 << 10;

/// The status has come, which decides; what follows it only helps to explain.
const REPLY_WITHIN: Duration = Duration::from_secs(2);

pub(crate) struct Sink {
    url: Url,
    /// What leads there, if something does
    proxy: Option<Proxy>,
    client: Client,
    signer: Option<Signer>,
}

/// A final answer, or one more; shown as its status and the beginning of its text.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// What an answer means for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Taken in, which is all that a listener's 202 says
    Accepted,
    /// Elsewhere. Never followed: the event and its token were meant for this address
    Moved,
    /// Refused for good
    Refused,
    /// Refused for good, and so will be every other event
    Gone,
    /// May be taken another time
    Later,
}

impl Meaning {
    pub(crate) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Accepted,
            300..=399 => Self::Moved,
            410 => Self::Gone,
            // 404: a route or a listener often appears a little later than the event.
            404 | 408 | 425 | 429 | 500 | 502 | 503 | 504 => Self::Later,
            _ => Self::Refused,
        }
    }
}

/// Why the last try brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    #[error("it answered {0}")]
    Answered(Reply),
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Silent(Duration),
    #[error("{}", innermost(.0))]
    Unreachable(reqwest::Error),
    /// The sink has not been asked
    #[error("the proxy answered {}", StatusCode::PROXY_AUTHENTICATION_REQUIRED)]
    Proxy,
}

impl Sink {
    pub(crate) fn new(url: Url, credentials: Credentials) -> Result<Self> {
        // One provider for the process; a second call finds it there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .tls_certs_merge(credentials.authorities);
        if let Some(identity) = credentials.identity {
            builder = builder.identity(identity);
        }
        let proxy = Proxies::from_env().to(url.as_str());
        builder = match &proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.secret_url())?),
            None => builder.no_proxy(),
        };
        let client = builder.build().context("failed to prepare the HTTP client")?;
        secret::keep_address(url.as_str());
        url.path().split('/').for_each(secret::keep); // of a webhook, the password
        Ok(Self { url, proxy, client, signer: credentials.signer })
    }

    /// The address without secrets, and the proxy on the way.
    pub(crate) fn address(&self) -> String {
        let address = origin(self.url.as_str());
        self.proxy.iter().fold(address, |address, proxy| format!("{address} through proxy {proxy}"))
    }

    /// What to do where the proxy may be at fault: no answer came, or one that a sink hardly gives.
    pub(crate) fn proxy_hint(&self, answered: Option<StatusCode>) -> Option<String> {
        let proxy = self.proxy.as_ref()?;
        let may_be_its = answered.is_none_or(|status| matches!(status.as_u16(), 502..=504));
        may_be_its.then(|| proxy.hint())
    }

    /// Sends the same bytes until there is a final answer.
    pub(crate) async fn deliver(
        &self,
        request: &Request,
        limits: Limits,
    ) -> Result<Reply, DeliveryError> {
        let deadline = Instant::now() + limits.timeout;
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(limits.retries)
            .with_jitter();
        let attempt = || async {
            let left =
                deadline.saturating_duration_since(Instant::now()).min(limits.attempt_timeout);
            let reply = self.attempt(request, left).await?;
            let is_final = Meaning::of(reply.status) != Meaning::Later;
            if is_final { Ok(reply) } else { Err(DeliveryError::Answered(reply)) }
        };
        attempt
            .retry(pauses)
            .adjust(|error, pause| {
                let pause = pause.map(|pause| error.retry_after().unwrap_or(pause))?;
                (Instant::now() + pause < deadline).then_some(pause)
            })
            .notify(|error, pause| {
                let seconds = pause.as_secs_f32();
                tracing::info!("{}: {error}; next try in {seconds:.1} s", self.address());
            })
            .await
    }

    /// One try. The status decides, so that `within` ends with the head of the answer.
    pub(crate) async fn attempt(
        &self,
        request: &Request,
        within: Duration,
    ) -> Result<Reply, DeliveryError> {
        let mut post = self
            .client
            .post(self.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone());
        for (name, value) in request.signature(self.signer.as_ref()) {
            post = post.header(name, value);
        }
        let response = timeout(within, post.send())
            .await
            .map_err(|_elapsed| DeliveryError::Silent(within))?
            .map_err(|error| DeliveryError::Unreachable(error.without_url()))?;
        let status = response.status();
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED && self.proxy.is_some() {
            return Err(DeliveryError::Proxy);
        }
        let retry_after = retry_after(response.headers()).map(|wait| wait.min(LONGEST_RETRY_AFTER));
        Ok(Reply { status, retry_after, body: beginning(response).await })
    }
}

/// A reply that hangs, drips or breaks off is kept as far as it came.
async fn beginning(mut response: Response) -> Vec<u8> {
    let deadline = Instant::now() + REPLY_WITHIN;
    let mut body = Vec::new();
    while body.len() < LONGEST_REPLY
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(LONGEST_REPLY);
    body
}

impl Reply {
    /// The `eventID` that a Tekton listener gives each request it takes in. It becomes a result, so
    /// that another sink's may be no more than a name.
    pub(crate) fn listener_event_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Listener {
            #[serde(rename = "eventID")]
            event_id: String,
        }
        let listener = serde_json::from_slice::<Listener>(&self.body).ok()?;
        Some(listener.event_id).filter(|id| is_label(id))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        let text = short(&String::from_utf8_lossy(&self.body), 300);
        if text.is_empty() { Ok(()) } else { write!(f, ": {text}") }
    }
}

impl DeliveryError {
    fn retry_after(&self) -> Option<Duration> {
        if let Self::Answered(reply) = self { reply.retry_after } else { None }
    }

    /// The status of the last answer, if there was one.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        if let Self::Answered(reply) = self { Some(reply.status) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_means_what_the_table_says() {
        let rows = [
            (Meaning::Accepted, &[200, 201, 202, 204][..]),
            (Meaning::Moved, &[301, 302, 303, 304, 307, 308]),
            (Meaning::Refused, &[400, 401, 403, 405, 409, 413, 415, 422, 501, 505]),
            (Meaning::Gone, &[410]),
            (Meaning::Later, &[404, 408, 425, 429, 500, 502, 503, 504]),
        ];
        for (meaning, codes) in rows {
            for code in codes {
                assert_eq!(Meaning::of(StatusCode::from_u16(*code).unwrap()), meaning, "{code}");
            }
        }
    }

    #[test]
    fn a_listener_s_own_id_is_found_in_its_reply() {
        let reply = |body: &str| Reply {
            status: StatusCode::ACCEPTED,
            retry_after: None,
            body: body.into(),
        };
        assert_eq!(
            reply(r#"{"eventListener":"canary","namespace":"team","eventID":"14a657c3"}"#)
                .listener_event_id()
                .as_deref(),
            Some("14a657c3")
        );
        assert_eq!(reply("ok").listener_event_id(), None);
        let forged = format!(r#"{{"eventID": "{}"}}"#, "7".repeat(5000));
        assert_eq!(reply(&forged).listener_event_id(), None);
        assert_eq!(reply(r#"{"eventID": "7\u001b[2J"}"#).listener_event_id(), None);
    }
}
