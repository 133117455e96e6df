//! Requests past or through the proxies of the site, and answers of which no more is read than fits.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Certificate, Client, Proxy, RequestBuilder, Response, redirect::Policy};
use serde::Deserialize;
use step::{Proxies, innermost, text::clean};
use tokio::time::timeout;

use crate::error::RegistryError;

#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) client: Client,
    proxies: Proxies,
    /// How long the other side may be silent
    pub(crate) patience: Duration,
}

impl Http {
    pub(crate) fn new(
        authorities: &[Certificate],
        patience: Duration,
    ) -> Result<Self, RegistryError> {
        // One provider for the process; a second call finds it there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stays_secret = Policy::custom(|attempt| {
            let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
            if attempt.previous().len() > 5 || (was_secure && attempt.url().scheme() != "https") {
                attempt.error("a redirect that leads nowhere good")
            } else {
                attempt.follow() // to another host without our credentials
            }
        });
        let proxies = Proxies::from_env();
        let on_the_way = proxies.clone(); // a redirect or a token service may need another one
        // No time in all: gigabytes take theirs.
        let client = Client::builder()
            .user_agent(concat!("kanaria/", env!("CARGO_PKG_VERSION")))
            .redirect(stays_secret)
            .connect_timeout(patience)
            .http1_only()
            .proxy(Proxy::custom(move |url| {
                Some(on_the_way.to(url.as_str())?.secret_url().to_owned())
            }))
            .tls_certs_merge(authorities.to_vec())
            .build()
            .map_err(|error| RegistryError::Unreachable(clean(&innermost(&error))))?;
        Ok(Self { client, proxies, patience })
    }

    /// For a request whose body is small.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, RegistryError> {
        let answer = timeout(self.patience, request.send()).await;
        answer
            .map_err(|_| RegistryError::silent("it did not answer", self.patience))?
            .map_err(|error| self.unreachable(&error))
    }

    /// The next piece of an answer.
    pub(crate) async fn chunk(
        &self,
        answer: &mut Response,
    ) -> Result<Option<Bytes>, RegistryError> {
        let chunk = timeout(self.patience, answer.chunk()).await;
        chunk
            .map_err(|_| RegistryError::silent("it sent nothing", self.patience))?
            .map_err(|error| self.unreachable(&error))
    }

    pub(crate) async fn whole(
        &self,
        mut answer: Response,
        largest: usize,
        what: &'static str,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(&mut answer).await? {
            if body.len() + chunk.len() > largest {
                return Err(RegistryError::TooLarge(what));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The innermost cause, which is the one that says what happened, without the address: it may hold a secret.
    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> RegistryError {
        let proxy = error.url().and_then(|url| self.proxies.to(url.as_str()));
        let text = proxy.map_or_else(|| innermost(error), |proxy| proxy.failure(error).to_string());
        let text = clean(&text);
        if text.contains("certificate") {
            RegistryError::Certificate(text)
        } else {
            RegistryError::Unreachable(text)
        }
    }
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(
    text: &'a [u8],
    what: &'static str,
) -> Result<T, RegistryError> {
    serde_json::from_slice(text).map_err(|_| RegistryError::Malformed(what))
}
