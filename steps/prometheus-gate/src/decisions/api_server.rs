//! Two objects of the API server, got with the pod's own account.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Certificate, Client, StatusCode, Url, header::ACCEPT, redirect::Policy};
use serde::Deserialize;
use step::{chain, innermost, secret, text::short};
use thiserror::Error;

/// An API server answers within milliseconds; a verdict does not wait for one that does not.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Where Kubernetes puts the account of a pod.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the API server is, and as whom it is asked.
pub(crate) struct ApiServer {
    base: Url,
    /// `token` and `ca.crt`; both are read again for each request, because they are rotated.
    account: PathBuf,
    /// The client, and the authorities that it was made with.
    client: Option<(Option<Vec<u8>>, Client)>,
}

/// What is read of an object.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Object {
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) data: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Error)]
pub(super) enum ApiError {
    /// It will not be another answer soon.
    #[error("{0}")]
    Refused(String),
    /// It may answer again.
    #[error("{0}")]
    Away(String),
}

impl ApiServer {
    /// That of the pod's cluster, or what is given in its place; none outside of a pod.
    pub(crate) fn new(base: Option<Url>, account: Option<PathBuf>) -> Option<Self> {
        let base = base.or_else(|| own(|name| env::var(name).ok()))?;
        let account = account.unwrap_or_else(|| PathBuf::from(ACCOUNT));
        Some(Self { base, account, client: None })
    }

    /// An object by its path; nothing where there is none.
    pub(super) async fn get(
        &self,
        client: &Client,
        path: &[&str],
    ) -> Result<Option<Object>, ApiError> {
        let away = |error: reqwest::Error| ApiError::Away(innermost(&error));
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = client.get(url).header(ACCEPT, "application/json");
        if let Some(token) = self.read("token")? {
            let token = String::from_utf8_lossy(&token).trim().to_owned();
            secret::keep(&token);
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(away)?;
        let status = response.status();
        let body = response.bytes().await.map_err(away)?;
        match status {
            StatusCode::OK => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|_| ApiError::Away("its answer is no object of Kubernetes".to_owned())),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(ApiError::Refused(said(status, &body)))
            }
            status => Err(ApiError::Away(said(status, &body))),
        }
    }

    /// The client for the authorities that lie in the folder now.
    pub(super) fn client(&mut self) -> Result<Client, ApiError> {
        let authorities = self.read("ca.crt")?;
        if let Some((known, client)) = &self.client
            && *known == authorities
        {
            return Ok(client.clone());
        }
        let wrong = |error: reqwest::Error| {
            ApiError::Away(format!("its certificate authorities are of no use: {}", chain(&error)))
        };
        // No proxy knows the way to the cluster's own network.
        let mut builder =
            Client::builder().redirect(Policy::none()).timeout(ANSWERS_WITHIN).no_proxy();
        if let Some(pem) = &authorities {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(wrong)?);
        }
        let client = builder.build().map_err(wrong)?;
        self.client = Some((authorities, client.clone()));
        Ok(client)
    }

    /// A file of the account; nothing where it is not there.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ApiError> {
        let path: &Path = &self.account.join(name);
        match fs::read(path) {
            Ok(text) => Ok(Some(text)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => {
                Err(ApiError::Away(format!("`{}` cannot be read: {cause}", path.display())))
            }
        }
    }
}

/// Where a pod finds its API server.
fn own(variable: impl Fn(&str) -> Option<String>) -> Option<Url> {
    let host = variable("KUBERNETES_SERVICE_HOST").filter(|host| !host.is_empty())?;
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = if port.is_empty() { "443" } else { &port };
    Url::parse(&format!("https://{host}:{port}")).ok()
}

/// The status, and the sentence that the API server adds to it.
fn said(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let message = serde_json::from_slice(body).map(|Status { message }| short(&message, 300));
    message.unwrap_or_else(|_| status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_finds_its_api_server_by_two_variables() {
        let of = |host: &str, port: Option<&str>| {
            own(|name| match name {
                "KUBERNETES_SERVICE_HOST" => Some(host.to_owned()),
                _ => port.map(str::to_owned),
            })
            .map(|url| url.to_string())
        };
        assert_eq!(of("10.96.0.1", Some("6443")).as_deref(), Some("https://10.96.0.1:6443/"));
        assert_eq!(of("fd00::1", None).as_deref(), Some("https://[fd00::1]/"));
        assert_eq!(of("", None), None);
        assert_eq!(own(|_| None), None);
    }
}
