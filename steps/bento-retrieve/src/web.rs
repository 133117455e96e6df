//! How connections are made: to stores and to plain addresses alike.

use std::time::Duration;

use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{self, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;

/// A connection that takes longer than this is not made; a server that is there answers within milliseconds.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// For the client of a store with this endpoint.
pub(crate) fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    aws_smithy_http_client::Builder::new()
        .build_with_connector_fn(move |settings, components| connector(settings, components, plain))
}

/// Over plain HTTP no certificate authorities are read, which would take longer than all the rest of the start.
/// The proxies of the environment are used either way.
pub(crate) fn connector(
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
    plain: bool,
) -> Connector {
    let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
    if let Some(settings) = settings {
        builder = builder.connector_settings(settings.clone());
    }
    if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
        builder = builder.sleep_impl(sleep);
    }
    if plain {
        builder.build_http()
    } else {
        builder.tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build()
    }
}
