//! The edge to anything that serves an archive over HTTP.

use std::{fmt, time::Duration};

use aws_sdk_s3::{config::http::HttpRequest, primitives::ByteStream};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector as _, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpResponse,
};

use step::{secret, text};

use crate::{
    source::client::{CONNECT, connector},
    source::error::{Fault, Refusal},
    source::{Body, Doubt, Opened, Part, whole},
};

/// Bytes that are read of an answer that is no archive; an error of S3 takes some hundred.
const LONGEST_ERROR: usize = 16 << 10;
/// As browsers and curl do; more is a circle.
const REDIRECTS: usize = 10;

/// An address that begins with `http://` or `https://`.
#[derive(Clone)]
pub struct Page {
    client: SharedHttpConnector,
    url: String,
}

/// What is wrong with an address. Never holds the text itself, which may be signed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadUrl {
    #[error("it is not `http://HOST/PATH` or `https://HOST/PATH`")]
    Shape,
    #[error("it has a user in it")]
    User,
}

impl Page {
    /// Nothing is sent yet. `idle` is how long an answer may take; the authority is one to trust beside the system's.
    pub fn new(url: &str, idle: Duration, authority: Option<&[u8]>) -> Result<Self, BadUrl> {
        let host = host(url).ok_or(BadUrl::Shape)?;
        if host.contains('@') {
            return Err(BadUrl::User);
        }
        if host.is_empty() || url.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(BadUrl::Shape);
        }
        secret::keep_address(url);
        let url = url.split('#').next().unwrap_or_default().to_owned();
        let settings =
            HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(idle).build();
        Ok(Self { client: connector(&settings, authority), url })
    }

    /// The address without its query.
    pub(crate) fn path(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }

    pub(crate) async fn open(&self, part: Part, same: Option<&str>) -> Result<Opened, Fault> {
        let mut url = self.url.clone();
        for _ in 0..REDIRECTS {
            let answer = self.ask(&url, part, same).await?;
            let status = answer.status().as_u16();
            match answer.headers().get("location") {
                Some(location) if matches!(status, 301 | 302 | 303 | 307 | 308) => {
                    url = follow(&url, location)?;
                }
                _ if answer.status().is_success() => return opened(answer, part),
                _ => return Err(refused(answer).await),
            }
        }
        Err(Fault::Refused(format!("more than {REDIRECTS} redirects")))
    }

    async fn ask(&self, url: &str, part: Part, same: Option<&str>) -> Result<HttpResponse, Fault> {
        let mut request =
            HttpRequest::get(url).map_err(|_| Fault::Refused("the address is none".into()))?;
        let headers = request.headers_mut();
        headers.insert("user-agent", concat!("bento-retrieve/", env!("CARGO_PKG_VERSION")));
        if let Some(range) = part.header() {
            headers.insert("range", range);
        }
        if let Some(same) = same {
            let condition = if same.starts_with('"') { "if-match" } else { "if-unmodified-since" };
            headers.insert(condition, same.to_owned());
        }
        self.client.call(request).await.map_err(|error| Fault::from_connector(&error))
    }
}

/// The error of a store that signed the address stands in the answer's body.
async fn refused(mut answer: HttpResponse) -> Fault {
    let status = answer.status().as_u16();
    let mut body = Body::from(ByteStream::new(answer.take_body()));
    let mut text = Vec::new();
    while let Some(Ok(piece)) = body.next().await {
        text.extend(piece);
        if text.len() > LONGEST_ERROR {
            break;
        }
    }
    Refusal { status, body: String::from_utf8_lossy(&text), region: None }.meaning(None)
}

fn opened(mut answer: HttpResponse, part: Part) -> Result<Opened, Fault> {
    let headers = answer.headers();
    let length = headers.get("content-length").and_then(|length| length.parse::<u64>().ok());
    let total = whole(part, headers.get("content-range"), length)?;
    // A weak tag stands for the same meaning, not for the same bytes.
    let tag = headers.get("etag").filter(|tag| tag.starts_with('"'));
    let mark = tag.or_else(|| headers.get("last-modified")).map(str::to_owned);
    let doubt = Doubt::of(headers.get("content-encoding"), length);
    let body = Body::from(ByteStream::new(answer.take_body()));
    Ok(Opened { body, total, mark, checksum: None, doubt })
}

/// `HOST:PORT` of an address.
fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    rest.split(['/', '?', '#']).next()
}

/// Where a redirect leads: a whole address, or a path on the same host. Never from https to http.
fn follow(from: &str, location: &str) -> Result<String, Fault> {
    let bad = || Fault::Refused("it was redirected to no address that can be followed".into());
    let scheme = if from.starts_with("https://") { "https" } else { "http" };
    let to = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", host(from).ok_or_else(bad)?)
    } else {
        location.to_owned()
    };
    let downgrade = scheme == "https" && to.starts_with("http://");
    if downgrade || host(&to).is_none_or(str::is_empty) { Err(bad()) } else { Ok(to) }
}

/// Without what may be a signature.
impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::address(&self.url))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_never_shown() {
        let page =
            Page::new("https://s3.example/b/iris.tar.gz?X-Amz-Signature=s3cr3t", CONNECT, None)
                .unwrap();
        assert_eq!(
            format!("{page} {page:?}"),
            "https://s3.example/b/iris.tar.gz?… https://s3.example/b/iris.tar.gz?…"
        );
    }

    #[test]
    fn what_is_no_address_is_told_without_repeating_it() {
        let why = |url: &str| Page::new(url, CONNECT, None).err();
        assert_eq!(why("https://user:s3cr3t@host/x"), Some(BadUrl::User));
        for url in ["ftp://host/x", "http:///x", "https://host/a b", "host/x"] {
            assert_eq!(why(url), Some(BadUrl::Shape), "{url}");
        }
    }

    #[test]
    fn a_redirect_is_followed_on_the_same_host_or_to_another_but_not_to_plain_http() {
        assert_eq!(follow("https://a/x?y", "/z"), Ok("https://a/z".into()));
        assert_eq!(follow("http://a/x", "https://b/z?q"), Ok("https://b/z?q".into()));
        assert_eq!(follow("https://a/x", "//b/z"), Ok("https://b/z".into()));
        for location in ["http://a/z", "file:///etc/passwd", "z", "https://"] {
            assert!(follow("https://a/x", location).is_err(), "{location}");
        }
    }
}
