//! Which proxy leads to an address. Clusters give every pod the same variables, whatever it asks for.

use std::{env, error::Error, fmt, net::IpAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::error::innermost;

/// The proxies of the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in
/// capitals or not. What is near is asked without one, whatever they say.
#[derive(Clone, Default)]
pub struct Proxies {
    http: String,
    https: String,
    all: String,
    no: String,
    /// The API server of the pod's cluster
    api: String,
}

/// A proxy, shown without what proves us to it.
#[derive(Clone)]
pub struct Proxy {
    /// With the name and password that it may want
    url: String,
    intercept: Intercept,
    /// Where it leads to
    host: String,
}

/// A request that went to a proxy and failed; says which one, and the innermost cause.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProxyError(String);

impl Proxies {
    pub fn from_env() -> Self {
        Self::read(|name| env::var(name).unwrap_or_default())
    }

    fn read(variable: impl Fn(&str) -> String) -> Self {
        let either = |name: &str| {
            let capitals = variable(name);
            if capitals.is_empty() { variable(&name.to_lowercase()) } else { capitals }
        };
        Self {
            http: either("HTTP_PROXY"),
            https: either("HTTPS_PROXY"),
            all: either("ALL_PROXY"),
            no: either("NO_PROXY"),
            api: variable("KUBERNETES_SERVICE_HOST"),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.http.is_empty() && self.https.is_empty() && self.all.is_empty()
    }

    /// The proxy that leads to an address; none when it is asked directly.
    pub fn to(&self, address: &str) -> Option<Proxy> {
        let address: Uri = address.parse().ok()?;
        let host = address.host()?.trim_start_matches('[').trim_end_matches(']');
        if is_near(host) || host == self.api {
            return None;
        }
        let is_secure = address.scheme_str() == Some("https");
        let port = address.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let own = if is_secure { &self.https } else { &self.http };
        let url = if own.is_empty() { &self.all } else { own };
        Proxy::unless(url, &address, exceptions(&self.no, port))
    }
}

/// A name of this cluster or this machine, or an address of its own link, where clouds give
/// credentials: no proxy knows the way.
fn is_near(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unicast_link_local(),
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            let is_in = |domain| name.ends_with(domain);
            !name.contains('.') || [".svc", ".cluster.local", ".localhost"].into_iter().any(is_in)
        }
    }
}

/// The entries of `NO_PROXY` that hold for a port, as [`Matcher`] reads them: it knows no ports and
/// no `*.`.
fn exceptions(list: &str, port: u16) -> String {
    let entry = |entry: &str| {
        let entry = entry.trim();
        let entry = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(entry);
        let (host, of) = match entry.rsplit_once(':') {
            Some((host, of)) if !host.contains(':') || host.ends_with(']') => {
                (host, of.parse().ok())
            }
            _ => (entry, Some(port)),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (of == Some(port)).then(|| host.to_owned())
    };
    list.split(',').filter_map(entry).collect::<Vec<_>>().join(",")
}

impl Proxy {
    /// That of this URL, on the way to an address. None when it is the URL of no proxy.
    pub fn new(url: &str, address: &Uri) -> Option<Self> {
        Self::unless(url, address, String::new())
    }

    fn unless(url: &str, address: &Uri, exceptions: String) -> Option<Self> {
        let matcher = Matcher::builder().all(url).no(exceptions).build();
        let intercept = matcher.intercept(address)?;
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        Some(Self { url, intercept, host: address.host()?.to_owned() })
    }

    /// Its URL, with the name and password that it may want: not to be shown.
    pub fn secret_url(&self) -> &str {
        &self.url
    }

    /// That a request failed which went to it.
    pub fn failure(&self, error: &dyn Error) -> ProxyError {
        self.failed(&innermost(error))
    }

    pub fn failed(&self, cause: &str) -> ProxyError {
        ProxyError(format!(
            "through proxy {self}: {cause} (NO_PROXY names what is asked without a proxy)"
        ))
    }

    /// What to do about a request that failed on the way.
    pub fn hint(&self) -> String {
        format!(
            "does the proxy know the way to `{}`, and may this be asked through it? Else add that name to NO_PROXY",
            self.host
        )
    }
}

/// The values may have passwords in them.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").finish_non_exhaustive()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.intercept.uri().to_string().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which proxy leads to an address, under these variables.
    fn to(address: &str, variables: &[(&str, &str)]) -> Option<String> {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name);
        let proxies = Proxies::read(|name| value(name).map_or("", |(_, value)| value).to_owned());
        proxies.to(address).map(|proxy| proxy.to_string())
    }

    const BOTH: [(&str, &str); 3] = [
        ("HTTP_PROXY", "http://proxy:3128"),
        ("HTTPS_PROXY", "http://tunnel:3129"),
        ("KUBERNETES_SERVICE_HOST", "172.30.0.1"),
    ];

    #[test]
    fn what_is_near_is_asked_directly() {
        for address in [
            "http://el-canary:8080",
            "http://el-canary.models.svc:8080/",
            "https://EL-CANARY.models.SVC.cluster.local./",
            "http://localhost:9090",
            "http://app.localhost",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "https://172.30.0.1:443",
        ] {
            assert_eq!(to(address, &BOTH), None, "{address}");
        }
    }

    #[test]
    fn everything_else_goes_to_the_proxy_of_its_scheme() {
        for (address, proxy) in [
            ("http://example.com/", "http://proxy:3128"),
            ("https://example.com/", "http://tunnel:3129"),
            // Nobody can tell a namespace from a domain.
            ("http://el-canary.models:8080", "http://proxy:3128"),
            ("http://svc.example.com", "http://proxy:3128"),
            ("http://10.0.0.7:9000", "http://proxy:3128"),
            ("http://[2001:db8::1]:9000", "http://proxy:3128"),
        ] {
            assert_eq!(to(address, &BOTH).as_deref(), Some(proxy), "{address}");
        }
        assert_eq!(to("https://example.com", &BOTH[..1]), None);
    }

    #[test]
    fn variables_are_read_in_capitals_or_not_and_the_own_one_before_that_for_all() {
        for (variables, proxy) in [
            (&[("http_proxy", "http://small:1")][..], Some("http://small:1")),
            (&[("HTTP_PROXY", ""), ("http_proxy", "http://small:1")], Some("http://small:1")),
            (
                &[("HTTP_PROXY", "http://large:1"), ("http_proxy", "http://small:1")],
                Some("http://large:1"),
            ),
            (&[("ALL_PROXY", "http://all:1")], Some("http://all:1")),
            (
                &[("all_proxy", "http://all:1"), ("HTTP_PROXY", "http://own:1")],
                Some("http://own:1"),
            ),
            (&[("HTTP_PROXY", "bare:3128")], Some("http://bare:3128")),
            (&[("HTTP_PROXY", "http://proxy:1"), ("no_proxy", "example.com")], None),
            (&[], None),
        ] {
            assert_eq!(to("http://example.com", variables).as_deref(), proxy, "{variables:?}");
        }
    }

    #[test]
    fn no_proxy_takes_names_domains_addresses_networks_and_ports() {
        for (no_proxy, address, is_direct) in [
            ("*", "http://example.com", true),
            ("example.com", "http://example.com", true),
            ("example.com", "http://EXAMPLE.com", true),
            ("example.com", "http://www.example.com", true),
            (".example.com", "http://www.example.com", true),
            ("*.example.com", "http://www.example.com", true),
            ("example.com", "http://notexample.com", false),
            ("example.com", "http://example.com.evil.org", false),
            (" other.org , example.com ,", "http://example.com", true),
            ("example.com:8080", "http://example.com:8080", true),
            ("example.com:8080", "http://example.com", false),
            ("example.com:80", "http://example.com", true),
            (".example.com:9000", "http://s3.example.com:9000", true),
            ("10.0.0.0/8", "http://10.1.2.3:9000", true),
            ("10.0.0.0/8", "http://11.1.2.3:9000", false),
            ("10.0.0.7", "http://10.0.0.7", true),
            ("10.0.0.7:9000", "http://10.0.0.7:9000", true),
            ("10.0.0.7:9000", "http://10.0.0.7:9001", false),
            ("2001:db8::/32", "http://[2001:db8::1]", true),
            ("2001:db8::1", "http://[2001:db8::1]", true),
            ("[2001:db8::1]:9000", "http://[2001:db8::1]:9000", true),
            ("[2001:db8::1]:9000", "http://[2001:db8::1]:9001", false),
            ("", "http://example.com", false),
            (",", "http://example.com", false),
        ] {
            let variables = [("HTTP_PROXY", "http://proxy:3128"), ("NO_PROXY", no_proxy)];
            let found = to(address, &variables);
            assert_eq!(found.is_none(), is_direct, "NO_PROXY={no_proxy} {address}: {found:?}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let variables = [("HTTP_PROXY", "http://ada:hunter2@proxy:3128/x?y")];
        assert_eq!(to("http://example.com", &variables).as_deref(), Some("http://proxy:3128"));
    }
}
