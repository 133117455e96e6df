//! HTTP clients for the SDK of AWS, which send through a proxy only what [`Proxies`] sends there: a
//! cloud's credentials come from an address that no proxy knows.

use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};

use super::proxies::{Proxies, ProxyError};

/// A client of what `make` makes.
pub fn client<F>(make: F) -> SharedHttpClient
where
    F: Fn(ProxyConfig, Option<&HttpConnectorSettings>, Option<&RuntimeComponents>) -> Connector
        + Clone
        + Send
        + Sync
        + 'static,
{
    SharedHttpClient::new(Routed::new(|config| {
        let make = make.clone();
        Builder::new().build_with_connector_fn(move |settings, components| {
            make(config.clone(), settings, components)
        })
    }))
}

/// A connector of what `make` makes.
pub fn connector(make: impl Fn(ProxyConfig) -> Connector) -> SharedHttpConnector {
    SharedHttpConnector::new(Routed::new(|config| SharedHttpConnector::new(make(config))))
}

/// Two of a kind: for what is asked directly, and for what goes to a proxy.
#[derive(Clone, Debug)]
struct Routed<T> {
    direct: T,
    /// None without a proxy in the environment: each reads the certificate authorities anew
    proxied: Option<T>,
    proxies: Proxies,
}

impl<T> Routed<T> {
    fn new(make: impl Fn(ProxyConfig) -> T) -> Self {
        let proxies = Proxies::from_env();
        Self {
            direct: make(ProxyConfig::disabled()),
            proxied: (!proxies.is_empty()).then(|| make(ProxyConfig::from_env())),
            proxies,
        }
    }
}

impl HttpClient for Routed<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let of = |client: &SharedHttpClient| client.http_connector(settings, components);
        SharedHttpConnector::new(Routed {
            direct: of(&self.direct),
            proxied: self.proxied.as_ref().map(of),
            proxies: self.proxies.clone(),
        })
    }
}

impl HttpConnector for Routed<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (Some(proxy), Some(through)) = (self.proxies.to(request.uri()), &self.proxied) else {
            return self.direct.call(request);
        };
        let answer = through.call(request);
        HttpConnectorFuture::new(async move {
            match answer.await {
                Ok(answer) if answer.status().as_u16() == 407 => {
                    let told = proxy.failed("407 Proxy Authentication Required");
                    Err(ConnectorError::other(told.into(), None))
                }
                Ok(answer) => Ok(answer),
                Err(error) => Err(of_the_same_kind(&error, proxy.failure(&error))),
            }
        })
    }
}

fn of_the_same_kind(error: &ConnectorError, told: ProxyError) -> ConnectorError {
    match error {
        error if error.is_timeout() => ConnectorError::timeout(told.into()),
        error if error.is_io() => ConnectorError::io(told.into()),
        error if error.is_user() => ConnectorError::user(told.into()),
        error => ConnectorError::other(told.into(), error.as_other()),
    }
}
