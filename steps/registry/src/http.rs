//! Requests past or through the proxies of the site, and answers of which no more is read than fits.

use std::time::Duration;

use reqwest::{Certificate, Client, Proxy, RequestBuilder, Response, redirect::Policy};
use serde::Deserialize;
use serde_json::Value;
use step::{Proxies, http::retry_after, innermost, text::clean};

use crate::error::{RegistryError, is_busy};

const ATTEMPT: Duration = Duration::from_secs(20);
const LARGEST_ERROR: usize = 4 << 10;

#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) client: Client,
    proxies: Proxies,
}

impl Http {
    pub(crate) fn new(authorities: &[Certificate]) -> Result<Self, RegistryError> {
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
        let client = Client::builder()
            .user_agent(concat!("kanaria/", env!("CARGO_PKG_VERSION")))
            .redirect(stays_secret)
            .timeout(ATTEMPT)
            .proxy(Proxy::custom(move |url| {
                Some(on_the_way.to(url.as_str())?.secret_url().to_owned())
            }))
            .tls_certs_merge(authorities.to_vec())
            .build()
            .map_err(|error| RegistryError::Unreachable(clean(&innermost(&error))))?;
        Ok(Self { client, proxies })
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, RegistryError> {
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    pub(crate) async fn whole(
        &self,
        mut answer: Response,
        largest: usize,
        what: &'static str,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > largest {
                return Err(RegistryError::TooLarge(what));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// An answer that is not what was asked for, in the words of the registry's first error.
    pub(crate) async fn refusal(&self, answer: Response) -> RegistryError {
        let status = answer.status();
        let retry_after = retry_after(answer.headers());
        let body = self.whole(answer, LARGEST_ERROR, "error").await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let word = |name| body["errors"][0][name].as_str().unwrap_or_default();
        let message = match word("message") {
            "" => String::new(),
            message => format!(" ({message})"),
        };
        let text = clean(&format!("it answered {status} {}{message}", word("code")));
        match status.as_u16() {
            401 | 403 => RegistryError::Denied(text),
            _ if is_busy(status) => RegistryError::Busy { text, retry_after },
            _ => RegistryError::Answered(text),
        }
    }

    /// The innermost cause, which is the one that says what happened, without the address: it may hold a secret.
    fn unreachable(&self, error: &reqwest::Error) -> RegistryError {
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
