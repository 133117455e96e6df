//! Who asks: headers, tokens and certificates, which may be rotated at any time.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity, RequestBuilder, header::HeaderMap, redirect::Policy};
use step::{Proxy, SecretFolder, chain, secret};

use crate::prometheus::error::PrometheusError;

/// Who asks, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// A folder like a mounted Secret: `token`, or `username` and `password`; `ca.crt`; `tls.crt`
    /// and `tls.key`; `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. What is
    /// there is used, and read again for each request, because it is rotated.
    pub(crate) credentials: Option<SecretFolder>,
    pub(crate) headers: HeaderMap,
    /// The AWS region for which requests are signed; without one they are not.
    pub(crate) sigv4_region: Option<String>,
    /// Whether answers keep the text that they came as.
    pub(crate) keeps_bodies: bool,
    pub(crate) timeout: Duration,
}

/// Additional CA certificates, and a client's own, as PEM.
#[derive(Default, PartialEq)]
pub(super) struct Certificates {
    authorities: Option<String>,
    chain: Option<String>,
    key: Option<String>,
}

impl Access {
    pub(super) fn authorise(
        &self,
        request: RequestBuilder,
    ) -> Result<RequestBuilder, PrometheusError> {
        let mut request = request.headers(self.headers.clone());
        if let Some(token) = self.secret("token")? {
            secret::keep(&token);
            request = request.bearer_auth(token);
        } else if let Some(name) = self.secret("username")? {
            let password = self.secret("password")?;
            secret::keep_user(&name, password.as_deref().unwrap_or_default());
            request = request.basic_auth(name, password);
        }
        Ok(request)
    }

    pub(super) fn certificates(&self) -> Result<Certificates, PrometheusError> {
        Ok(Certificates {
            authorities: self.secret("ca.crt")?,
            chain: self.secret("tls.crt")?,
            key: self.secret("tls.key")?,
        })
    }

    /// What a key of the folder says; nothing when it is not there.
    pub(super) fn secret(&self, key: &str) -> Result<Option<String>, PrometheusError> {
        let Some(folder) = &self.credentials else { return Ok(None) };
        folder.text(key).map_err(|error| PrometheusError::Credentials(chain(&error)))
    }
}

impl Certificates {
    pub(super) fn client(
        &self,
        timeout: Duration,
        proxy: Option<&Proxy>,
    ) -> Result<Client, PrometheusError> {
        let wrong = |error: reqwest::Error| {
            PrometheusError::Credentials(format!("the certificates are of no use: {error}"))
        };
        // A redirect would turn a POST into a GET without a query; a login page would answer 200.
        let mut builder = Client::builder().redirect(Policy::none()).timeout(timeout);
        if let Some(pem) = &self.authorities {
            builder = builder
                .tls_certs_merge(Certificate::from_pem_bundle(pem.as_bytes()).map_err(wrong)?);
        }
        if let (Some(chain), Some(key)) = (&self.chain, &self.key) {
            builder = builder
                .identity(Identity::from_pem(format!("{chain}\n{key}").as_bytes()).map_err(wrong)?);
        }
        builder = match proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.secret_url()).map_err(wrong)?),
            None => builder.no_proxy(),
        };
        builder.build().map_err(wrong)
    }
}
