//! An archive that a server of any kind serves over HTTP.
//!
//! By the SDK's client, which is in the binary anyway: reqwest beside it would be a second one, and 139 kB more.

use std::{fmt, time::Duration};

use aws_sdk_s3::{config::http::HttpRequest, primitives::ByteStream};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector as _, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpResponse,
};
use step::{secret, text};
use url::Url;

use crate::source::{
    body::{Alteration, Body, Opened},
    client::{CONNECT, connector},
    error::SourceError,
    error_response::{ErrorResponse, from_connector, retry_after},
    range::{ByteRange, total_length},
};

/// Bytes that are read of an answer that is no archive; an error of S3 takes some hundred.
const LONGEST_ERROR: usize = 16 << 10;
/// As browsers and curl do; more is a circle.
const REDIRECTS: usize = 10;

/// An archive behind an address that begins with `http://` or `https://`.
#[derive(Clone)]
pub struct HttpSource {
    client: SharedHttpConnector,
    url: Url,
}

/// What is wrong with an address. Never holds the text itself, which may be signed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    #[error("it is not `http://HOST/PATH` or `https://HOST/PATH`")]
    Shape,
    #[error("it has a user in it")]
    User,
}

impl HttpSource {
    /// Nothing is sent yet. `idle` is how long an answer may take; the CA certificates, PEM, are additional ones.
    pub fn new(
        address: &str,
        idle: Duration,
        ca_certificates: Option<&[u8]>,
    ) -> Result<Self, UrlError> {
        // `Url` would mend blanks, line breaks and a missing host.
        let is_whole = !address.contains(|c: char| !c.is_ascii_graphic() || c == '\\')
            && address.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
        let url = Url::parse(address).ok().filter(|url| is_whole && is_http(url));
        let mut url = url.ok_or(UrlError::Shape)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::User);
        }
        secret::keep_address(address);
        url.set_fragment(None);
        let settings =
            HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(idle).build();
        Ok(Self { client: connector(&settings, ca_certificates), url })
    }

    pub(crate) fn path(&self) -> &str {
        self.url.path()
    }

    pub(crate) async fn open(
        &self,
        range: ByteRange,
        validator: Option<&str>,
    ) -> Result<Opened, SourceError> {
        let mut url = self.url.clone();
        for _ in 0..REDIRECTS {
            let answer = self.ask(&url, range, validator).await?;
            let status = answer.status().as_u16();
            match answer.headers().get("location") {
                Some(location) if matches!(status, 301 | 302 | 303 | 307 | 308) => {
                    url = follow(&url, location)?;
                }
                _ if answer.status().is_success() => return opened(answer, range),
                _ => return Err(refused(answer).await),
            }
        }
        Err(SourceError::Refused(format!("more than {REDIRECTS} redirects")))
    }

    async fn ask(
        &self,
        url: &Url,
        range: ByteRange,
        validator: Option<&str>,
    ) -> Result<HttpResponse, SourceError> {
        let mut request = HttpRequest::get(url.as_str())
            .map_err(|_| SourceError::Refused("the address is not a valid URI".into()))?;
        let headers = request.headers_mut();
        headers.insert("user-agent", concat!("bento-retrieve/", env!("CARGO_PKG_VERSION")));
        if let Some(range) = range.header() {
            headers.insert("range", range);
        }
        if let Some(validator) = validator {
            let is_tag = validator.starts_with('"');
            let condition = if is_tag { "if-match" } else { "if-unmodified-since" };
            headers.insert(condition, validator.to_owned());
        }
        self.client.call(request).await.map_err(|error| from_connector(&error))
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// The error of a store that signed the address stands in the answer's body.
async fn refused(mut answer: HttpResponse) -> SourceError {
    let (status, retry_after) = (answer.status().as_u16(), retry_after(answer.headers()));
    let mut body = Body::from(ByteStream::new(answer.take_body()));
    let mut text = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
        text.extend(chunk);
        if text.len() > LONGEST_ERROR {
            break;
        }
    }
    ErrorResponse { status, body: String::from_utf8_lossy(&text), region: None, retry_after }
        .meaning(None)
}

fn opened(mut answer: HttpResponse, range: ByteRange) -> Result<Opened, SourceError> {
    let headers = answer.headers();
    let length = headers.get("content-length").and_then(|length| length.parse::<u64>().ok());
    // A weak tag stands for the same meaning, not for the same bytes.
    let tag = headers.get("etag").filter(|tag| tag.starts_with('"'));
    Ok(Opened {
        total: total_length(range, headers.get("content-range"), length)?,
        validator: tag.or_else(|| headers.get("last-modified")).map(str::to_owned),
        checksum: None,
        alteration: Alteration::of(headers.get("content-encoding"), length),
        body: ByteStream::new(answer.take_body()).into(),
    })
}

/// Where a redirect leads, which may be relative. Never from https to http.
fn follow(from: &Url, location: &str) -> Result<Url, SourceError> {
    let allowed = |to: &Url| to.scheme() == "https" || (is_http(to) && from.scheme() == "http");
    let Some(mut to) = from.join(location).ok().filter(allowed) else {
        return Err(SourceError::Refused(
            "it was redirected to an address that cannot be followed".into(),
        ));
    };
    to.set_fragment(None);
    Ok(to)
}

/// Without what may be a signature.
impl fmt::Display for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::address(self.url.as_str()))
    }
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_never_shown() {
        let page = HttpSource::new(
            "https://s3.example/b/iris.tar.gz?X-Amz-Signature=s3cr3t",
            CONNECT,
            None,
        )
        .unwrap();
        assert_eq!(
            format!("{page} {page:?}"),
            "https://s3.example/b/iris.tar.gz?… https://s3.example/b/iris.tar.gz?…"
        );
    }

    #[test]
    fn what_is_no_address_is_told_without_repeating_it() {
        let why = |url: &str| HttpSource::new(url, CONNECT, None).err();
        assert_eq!(why("https://user:s3cr3t@host/x"), Some(UrlError::User));
        for url in ["ftp://host/x", "http:///x", "https://host/a b", "host/x"] {
            assert_eq!(why(url), Some(UrlError::Shape), "{url}");
        }
    }

    #[test]
    fn a_redirect_is_followed_wherever_it_leads_but_not_to_plain_http() {
        let follow = |from: &str, location: &str| {
            super::follow(&Url::parse(from).unwrap(), location).map(String::from)
        };
        assert_eq!(follow("https://a/x?y", "/z"), Ok("https://a/z".into()));
        assert_eq!(follow("https://a/x/y?q", "z?r#s"), Ok("https://a/x/z?r".into()));
        assert_eq!(follow("https://a/x/y", "../z"), Ok("https://a/z".into()));
        assert_eq!(follow("http://a/x", "https://b/z?q"), Ok("https://b/z?q".into()));
        assert_eq!(follow("https://a/x", "//b/z"), Ok("https://b/z".into()));
        for location in ["http://a/z", "file:///etc/passwd", "data:,x", "https://"] {
            assert!(follow("https://a/x", location).is_err(), "{location}");
        }
    }
}
