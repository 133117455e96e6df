//! Signs requests for Amazon Managed Service for Prometheus, by AWS Signature Version 4.

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::SharedHttpClient, runtime_components::RuntimeComponents,
};
use reqwest::{
    Request, RequestBuilder,
    header::{HeaderName, HeaderValue},
};
use step::{aws, innermost};
use tokio::sync::{Mutex, OnceCell};

use crate::prometheus::{access::Access, error::PrometheusError, text::clean};

/// The name by which the service signs.
const SERVICE: &str = "aps";

/// Credentials are renewed so long before they expire.
const SPARE: Duration = Duration::from_mins(5);

pub(super) struct Signer {
    region: String,
    /// Environment, profile, web identity of a service account, container, instance: made when it is first needed.
    chain: OnceCell<SharedCredentialsProvider>,
    /// What the chain gave last.
    known: Mutex<Option<Credentials>>,
}

impl Signer {
    pub(super) fn new(region: String) -> Self {
        Self { region, chain: OnceCell::new(), known: Mutex::default() }
    }

    /// The request with its signature.
    pub(super) async fn sign(
        &self,
        request: RequestBuilder,
        access: &Access,
    ) -> Result<Request, PrometheusError> {
        let credentials = match from_secret(access)? {
            Some(credentials) => credentials,
            None => Box::pin(self.of_the_pod(access.timeout)).await?,
        };
        let wrong =
            |error: String| PrometheusError::Credentials(format!("failed to sign: {error}"));
        let mut request =
            request.build().map_err(|error| wrong(error.without_url().to_string()))?;
        signed(&mut request, credentials, (&self.region, SERVICE), SystemTime::now())
            .map_err(wrong)?;
        Ok(request)
    }

    /// The credentials of the pod, renewed before they expire. Those that are still good bridge an
    /// outage of the token service.
    async fn of_the_pod(&self, timeout: Duration) -> Result<Credentials, PrometheusError> {
        let mut known = self.known.lock().await;
        let good_at = |moment: SystemTime| {
            let good = known.clone();
            good.filter(|known| known.expiry().is_none_or(|end| end > moment))
        };
        if let Some(credentials) = good_at(SystemTime::now() + SPARE) {
            return Ok(credentials);
        }
        // The SDK has no limit for how long an answer may take.
        let fresh = tokio::time::timeout(timeout, self.fresh()).await;
        match fresh.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(fresh) => Ok(known.insert(fresh).clone()),
            Err(why) => {
                let why = format!("failed to find credentials of AWS: {}", clean(&why));
                let first = known.is_none();
                good_at(SystemTime::now()).ok_or(if first {
                    PrometheusError::Credentials(why)
                } else {
                    PrometheusError::Unreachable(why)
                })
            }
        }
    }

    async fn fresh(&self) -> Result<Credentials, String> {
        let chain = self.chain.get_or_try_init(|| self.chain()).await?;
        chain.provide_credentials().await.map_err(|error| innermost(&error))
    }

    async fn chain(&self) -> Result<SharedCredentialsProvider, String> {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .region(Region::new(self.region.clone()))
            .load()
            .await;
        config.credentials_provider().ok_or_else(|| "none are configured".to_owned())
    }
}

/// The keys of a mounted Secret.
fn from_secret(access: &Access) -> Result<Option<Credentials>, PrometheusError> {
    let secret = |key: &str| Ok(access.secret(key)?.filter(|text| !text.is_empty()));
    let (id, key) = (secret("AWS_ACCESS_KEY_ID")?, secret("AWS_SECRET_ACCESS_KEY")?);
    let (Some(id), Some(key)) = (id, key) else { return Ok(None) };
    Ok(Some(Credentials::new(id, key, secret("AWS_SESSION_TOKEN")?, None, "secret")))
}

/// Adds the headers of a signature. Other headers are not signed: a proxy may change them.
fn signed(
    request: &mut Request,
    credentials: Credentials,
    (region, service): (&str, &str),
    now: SystemTime,
) -> Result<(), String> {
    // A `+` is a space in a form only; in what is signed it is a plus sign.
    if let Some(query) = request.url().query().filter(|query| query.contains('+')) {
        let query = query.replace('+', "%20");
        request.url_mut().set_query(Some(&query));
    }
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?;
    let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.url().as_str(),
        std::iter::empty(),
        SignableBody::Bytes(body),
    );
    let signature = signable.and_then(|signable| sign(signable, &params.into()));
    let (instructions, _) = signature.map_err(|error| error.to_string())?.into_parts();
    for (name, value) in instructions.headers() {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        let mut value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

/// For the token service and the endpoints of credentials.
fn http_client() -> SharedHttpClient {
    aws::client(|proxy, settings, components| {
        let mut builder = Connector::builder().proxy_config(proxy);
        if let Some(settings) = settings {
            builder = builder.connector_settings(settings.clone());
        }
        if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
            builder = builder.sleep_impl(sleep);
        }
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    })
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    /// From AWS's own test suite for Signature Version 4: `get-vanilla`, `post-vanilla`.
    #[test]
    fn the_published_vectors_of_aws_come_out() {
        for (method, signature) in [
            (Method::GET, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (Method::POST, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            let mut request =
                Request::new(method, "https://example.amazonaws.com/".parse().unwrap());
            let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let credentials = Credentials::new("AKIDEXAMPLE", key, None, None, "test");
            let now = "2015-08-30T12:36:00Z".parse::<jiff::Timestamp>().unwrap().into();
            signed(&mut request, credentials, ("us-east-1", "service"), now).unwrap();
            assert_eq!(
                request.headers()["authorization"],
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={signature}"
                )
            );
        }
    }
}
