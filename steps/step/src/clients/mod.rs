//! How a step reaches what is outside: past or through the site's proxies.

#[cfg(feature = "api-server")]
pub mod api_server;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "http")]
pub mod http;
pub(crate) mod proxies;
