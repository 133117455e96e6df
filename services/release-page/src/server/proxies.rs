//! What a trusted proxy says of a request.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header::HOST, uri::PathAndQuery};

use crate::server::settings::{BasePath, Settings};

/// Who holds the other end of the connection
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

impl Settings {
    pub(super) fn trusts(&self, peer: Option<Peer>) -> bool {
        let Some(Peer(peer)) = peer else { return false };
        let peer = peer.to_canonical(); // of an IPv4 client of an IPv6 socket
        self.trusted_proxies.iter().any(|range| range.contains(&peer))
    }

    /// What the links of the answer begin with.
    pub(super) fn base(&self, headers: &HeaderMap, is_trusted: bool) -> String {
        let forwarded = headers.get("x-forwarded-prefix").filter(|_| is_trusted);
        let forwarded = forwarded.and_then(|value| value.to_str().ok()?.parse::<BasePath>().ok());
        forwarded.as_ref().unwrap_or(&self.base_path).as_str().to_owned()
    }

    /// Whether its name is one that only this machine has, where that is asked for.
    pub(super) fn is_asked_rightly(&self, headers: &HeaderMap) -> bool {
        !self.is_local || is_of_this_machine(headers)
    }
}

/// Whether it was asked by a name that only this machine has.
pub(super) fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|c| c.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn is_https(headers: &HeaderMap, is_trusted: bool) -> bool {
    is_trusted && headers.get("x-forwarded-proto").is_some_and(|value| value == "https")
}

/// The same below no base path; as it is where it is not below one, as a proxy may have cut it off.
pub(super) fn without_base(uri: &Uri, bases: [&str; 2]) -> Uri {
    let path = uri.path();
    let below = |base: &&str| {
        let rest = path.strip_prefix(*base).filter(|_| !base.is_empty())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    };
    let Some(rest) = bases.iter().find_map(below) else { return uri.clone() };
    let rest = if rest.is_empty() { "/" } else { rest };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = PathAndQuery::try_from(format!("{rest}{query}"));
    target.map_or_else(|_| uri.clone(), Uri::from)
}
