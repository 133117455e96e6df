//! How connections are made: to stores and to plain addresses alike.

use std::time::Duration;

use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use step::aws;

/// A connection that takes longer than this is not made; a server that is there answers within milliseconds.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// For the client of a store with this endpoint.
pub(crate) fn http_client(
    endpoint: Option<&str>,
    ca_certificates: Option<Vec<u8>>,
) -> SharedHttpClient {
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    aws::client(move |proxy, settings, components| {
        make(proxy, settings, components, plain, ca_certificates.as_deref())
    })
}

/// For plain addresses.
pub(crate) fn connector(
    settings: &HttpConnectorSettings,
    ca_certificates: Option<&[u8]>,
) -> SharedHttpConnector {
    // A redirect may lead from http to https, so both must be at hand.
    aws::connector(|proxy| make(proxy, Some(settings), None, false, ca_certificates))
}

/// Over plain HTTP no CA certificates are read, which would take longer than all the rest of the start.
/// The CA certificates, PEM, are additional to the system's.
fn make(
    proxy: ProxyConfig,
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
    plain: bool,
    ca_certificates: Option<&[u8]>,
) -> Connector {
    let mut builder = Connector::builder().proxy_config(proxy);
    if let Some(settings) = settings {
        builder = builder.connector_settings(settings.clone());
    }
    if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
        builder = builder.sleep_impl(sleep);
    }
    if plain {
        return builder.build_http();
    }
    let mut trust = TrustStore::default();
    if let Some(pem) = ca_certificates {
        trust = trust.with_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trust).build().unwrap_or_default();
    builder.tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).tls_context(context).build()
}
