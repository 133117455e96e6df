//! The requests: who speaks for the host, what it wants to see of us, and what it holds.

use std::{collections::BTreeMap, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use reqwest::{
    Certificate, Client, Method, Proxy, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE},
    redirect::Policy,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use step::{
    Proxies,
    http::retry_after,
    innermost,
    text::{clean, hex},
};
use thiserror::Error;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use crate::{Credential, Reference};

/// What distribution's specification asks registries to take at least, and more than any image needs.
const LARGEST_DOCUMENT: usize = 4 << 20;
const LARGEST_TOKEN: usize = 64 << 10;
const LARGEST_ERROR: usize = 4 << 10;
const ATTEMPT: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// How to reach a registry.
#[derive(Debug)]
pub struct Access {
    pub credential: Option<Credential>,
    /// Plain HTTP where it speaks no TLS
    pub insecure: bool,
    /// Trusted beside the system's
    pub authorities: Vec<Certificate>,
    /// Longest time in all
    pub timeout: Duration,
}

/// What a tag holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Image {
    /// `sha256:` and 64 digits: of the index where it is one for several platforms
    pub digest: String,
    pub labels: BTreeMap<String, String>,
}

/// Why a registry did not tell.
#[derive(Debug, Error)]
pub enum Trouble {
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Unreachable(String),
    /// Of somebody whom nobody here knows
    #[error("{0}")]
    Certificate(String),
    /// 408, 429, 5xx
    #[error("{text}")]
    Busy { text: String, retry_after: Option<Duration> },
    #[error("{0}")]
    Answered(String),
    #[error("its {0} is larger than any image has")]
    TooLarge(&'static str),
    #[error("its {0} is not what its digest says")]
    Digest(&'static str),
    #[error("its {0} is no {0}")]
    Malformed(&'static str),
}

/// The repository of one image.
#[derive(Debug)]
pub struct Registry {
    http: Client,
    access: Access,
    image: Reference,
    deadline: Instant,
    /// Found with the first request: `https://HOST/v2/`
    base: Mutex<Option<Url>>,
    authorization: Mutex<Option<HeaderValue>>,
}

impl Registry {
    pub fn new(image: Reference, access: Access) -> Result<Self, Trouble> {
        // One provider for the process; a second call finds it there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stays_secret = Policy::custom(|attempt| {
            let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
            if attempt.previous().len() > 5 || (was_secure && attempt.url().scheme() != "https") {
                attempt.error("a redirect that leads nowhere good")
            } else {
                attempt.follow() // to another host without our credentials
            }
        });
        let http = Client::builder()
            .user_agent(concat!("kanaria/", env!("CARGO_PKG_VERSION")))
            .redirect(stays_secret)
            .timeout(ATTEMPT)
            .proxy(Proxy::custom(|url| Some(proxy(url)?.secret_url().to_owned())))
            .tls_certs_merge(access.authorities.clone())
            .build()
            .map_err(|error| unreachable(&error))?;
        let deadline = Instant::now() + access.timeout;
        Ok(Self {
            http,
            access,
            image,
            deadline,
            base: Mutex::default(),
            authorization: Mutex::default(),
        })
    }

    /// What the image's tag holds, if it is there.
    pub async fn image(&self) -> Result<Option<Image>, Trouble> {
        let Some(manifest) =
            self.document(&format!("manifests/{}", self.image.tag), MANIFESTS, "manifest").await?
        else {
            return Ok(None);
        };
        let digest = digest(&manifest);
        let config = match parse::<Manifest>(&manifest, "manifest")? {
            Manifest { config: Some(config), .. } => config,
            Manifest { manifests, .. } => {
                let Some(one) = own_platform(manifests) else {
                    return Ok(Some(Image::bare(digest)));
                };
                let text = self
                    .known(&format!("manifests/{}", one.digest), &one.digest, "manifest")
                    .await?;
                match parse::<Manifest>(&text, "manifest")?.config {
                    Some(config) => config,
                    None => return Ok(Some(Image::bare(digest))),
                }
            }
        };
        let text = self
            .known(&format!("blobs/{}", config.digest), &config.digest, "configuration")
            .await?;
        let labels =
            parse::<Configuration>(&text, "configuration")?.config.and_then(|config| config.labels);
        Ok(Some(Image { digest, labels: labels.unwrap_or_default() }))
    }

    /// Whether the repository holds a manifest of this digest.
    pub async fn has(&self, digest: &str) -> Result<bool, Trouble> {
        let answer = self.ask(Method::HEAD, &format!("manifests/{digest}"), MANIFESTS).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(told(answer).await),
        }
    }

    /// A document whose digest another one names.
    async fn known(
        &self,
        path: &str,
        wanted: &str,
        what: &'static str,
    ) -> Result<Vec<u8>, Trouble> {
        let text = self.document(path, MANIFESTS, what).await?;
        let text =
            text.ok_or_else(|| Trouble::Answered(format!("it has no {what} `{}`", clean(wanted))))?;
        if digest(&text) == wanted { Ok(text) } else { Err(Trouble::Digest(what)) }
    }

    async fn document(
        &self,
        path: &str,
        accept: &'static str,
        what: &'static str,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let answer = self.ask(Method::GET, path, accept).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => whole(answer, LARGEST_DOCUMENT, what).await.map(Some),
            _ => Err(told(answer).await),
        }
    }

    /// Asks until there is an answer that stands, within the time.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
    ) -> Result<Response, Trouble> {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(5)
            .with_jitter()
            .build();
        loop {
            let trouble = match self.attempt(method.clone(), path, accept).await {
                Ok(answer) if may_heal(answer.status()) => told(answer).await,
                Err(trouble @ (Trouble::Unreachable(_) | Trouble::Busy { .. })) => trouble,
                stands => return stands,
            };
            let Some(pause) = pauses.next() else { return Err(trouble) };
            let pause = match &trouble {
                Trouble::Busy { retry_after: Some(asked), .. } => *asked,
                _ => pause,
            };
            if Instant::now() + pause >= self.deadline {
                return Err(trouble);
            }
            tracing::warn!("{}: {trouble}; asking again", self.image.host);
            sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
    ) -> Result<Response, Trouble> {
        let base = self.base().await?;
        let url = base
            .join(&format!("{}/{path}", self.image.repository))
            .map_err(|_| Trouble::Malformed("address"))?;
        let ask = async |authorization: Option<HeaderValue>| {
            let request = self.http.request(method.clone(), url.clone()).header(ACCEPT, accept);
            let request = authorization
                .into_iter()
                .fold(request, |request, value| request.header(AUTHORIZATION, value));
            request.send().await.map_err(|error| unreachable(&error))
        };
        let known = self.authorization.lock().await.clone();
        let answer = ask(known).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(authorization) = self.authorize(&answer, &base).await? else { return Ok(answer) };
        *self.authorization.lock().await = Some(authorization.clone());
        ask(Some(authorization)).await
    }

    /// With TLS, and without where that is allowed and there is none.
    async fn base(&self) -> Result<Url, Trouble> {
        let mut base = self.base.lock().await;
        if let Some(base) = &*base {
            return Ok(base.clone());
        }
        let plain = self.access.insecure || self.image.is_nearby();
        let mut failed = Trouble::Malformed("address");
        for scheme in ["https", "http"].into_iter().take(if plain { 2 } else { 1 }) {
            let Ok(url) = Url::parse(&format!("{scheme}://{}/v2/", self.image.authority())) else {
                continue;
            };
            match self.http.get(url.clone()).send().await {
                Ok(_) => return Ok(base.insert(url).clone()),
                Err(error) => failed = unreachable(&error),
            }
            if matches!(failed, Trouble::Certificate(_)) {
                break; // it does speak TLS
            }
        }
        Err(failed)
    }

    /// What to send in answer to a 401; nothing where we have nothing that it wants.
    async fn authorize(
        &self,
        answer: &Response,
        base: &Url,
    ) -> Result<Option<HeaderValue>, Trouble> {
        let challenges = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let mut challenges = challenges.filter_map(|value| Challenge::parse(value.to_str().ok()?));
        let Some(challenge) = challenges.next() else { return Ok(None) };
        match (challenge, &self.access.credential) {
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                Ok(Some(basic(user, password)))
            }
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service }, credential) => {
                let url = Url::parse(&realm).map_err(|_| Trouble::Malformed("token service"))?;
                if url.scheme() != "https" && base.scheme() == "https" {
                    return Err(Trouble::Denied(
                        "its token service has no TLS, so it gets no credentials".into(),
                    ));
                }
                self.token(url, &service, credential.as_ref()).await.map(Some)
            }
        }
    }

    async fn token(
        &self,
        realm: Url,
        service: &str,
        credential: Option<&Credential>,
    ) -> Result<HeaderValue, Trouble> {
        // Of our own making: some registries put a placeholder into the challenge.
        let scope = format!("repository:{}:pull", self.image.repository);
        let request = match credential {
            Some(Credential::IdentityToken(token)) => self.http.post(realm).form(&[
                ("grant_type", "refresh_token"),
                ("service", service),
                ("client_id", "kanaria"),
                ("scope", &scope),
                ("refresh_token", token),
            ]),
            Some(Credential::Password { user, password }) => self
                .http
                .get(realm)
                .query(&[("service", service), ("scope", &scope)])
                .header(AUTHORIZATION, basic(user, password)),
            None => self.http.get(realm).query(&[("service", service), ("scope", &scope)]),
        };
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        if !answer.status().is_success() {
            return Err(told(answer).await);
        }
        let text = whole(answer, LARGEST_TOKEN, "token").await?;
        let Token { token, access_token } = parse(&text, "token")?;
        let token = token.or(access_token).ok_or(Trouble::Malformed("token"))?;
        secret(&format!("Bearer {token}")).ok_or(Trouble::Malformed("token"))
    }
}

impl Image {
    fn bare(digest: String) -> Self {
        Self { digest, labels: BTreeMap::new() }
    }
}

/// What a 401 asks for.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: String },
}

impl Challenge {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if kind.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !kind.eq_ignore_ascii_case("bearer") {
            return None;
        }
        // A value in quotes may hold a comma: `scope="repository:x:pull,push"`.
        let mut fields = BTreeMap::new();
        let mut rest = rest.trim();
        while let Some((key, more)) = rest.split_once('=') {
            let (value, after) = match more.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => more.split_once(',').unwrap_or((more, "")),
            };
            fields.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
            rest = after.trim_start_matches([',', ' ']);
        }
        Some(Self::Bearer {
            realm: fields.remove("realm")?,
            service: fields.remove("service").unwrap_or_default(),
        })
    }
}

fn basic(user: &str, password: &str) -> HeaderValue {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let joined = STANDARD.encode(format!("{user}:{password}"));
    secret(&format!("Basic {joined}")).unwrap_or(HeaderValue::from_static("Basic"))
}

/// A header that no `Debug` shows and that no redirect takes elsewhere.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn may_heal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500..=599)
}

/// An answer that is not what was asked for, in the words of the registry's first error.
async fn told(answer: Response) -> Trouble {
    let status = answer.status();
    let retry_after = retry_after(answer.headers());
    let body = whole(answer, LARGEST_ERROR, "error").await.unwrap_or_default();
    let said = serde_json::from_slice::<Errors>(&body)
        .ok()
        .and_then(|errors| errors.errors.into_iter().next());
    let text = match said {
        Some(Said { code, message }) if message.is_empty() => {
            format!("it answered {status} {}", clean(&code))
        }
        Some(Said { code, message }) => {
            format!("it answered {status} {} ({})", clean(&code), clean(&message))
        }
        None => format!("it answered {status}"),
    };
    match status.as_u16() {
        401 | 403 => Trouble::Denied(text),
        _ if may_heal(status) => Trouble::Busy { text, retry_after },
        _ => Trouble::Answered(text),
    }
}

async fn whole(
    mut answer: Response,
    largest: usize,
    what: &'static str,
) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > largest {
            return Err(Trouble::TooLarge(what));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn digest(text: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text)))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8], what: &'static str) -> Result<T, Trouble> {
    serde_json::from_slice(text).map_err(|_| Trouble::Malformed(what))
}

/// The image for this node, or else the first: what labels an index has, its images share.
fn own_platform(manifests: Vec<Descriptor>) -> Option<Descriptor> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let own = manifests.iter().position(|one| {
        one.platform
            .as_ref()
            .is_some_and(|platform| platform.os == "linux" && platform.architecture == architecture)
    });
    manifests.into_iter().nth(own.unwrap_or_default())
}

/// The proxy on the way to an address, which a redirect or a token service may change.
fn proxy(url: &Url) -> Option<step::Proxy> {
    Proxies::from_env().to(url.as_str())
}

/// The innermost cause, which is the one that says what happened, without the address: it may hold a secret.
fn unreachable(error: &reqwest::Error) -> Trouble {
    let proxy = error.url().and_then(proxy);
    let text = proxy.map_or_else(|| innermost(error), |proxy| proxy.failure(error).to_string());
    let text = clean(&text);
    if text.contains("certificate") {
        Trouble::Certificate(text)
    } else {
        Trouble::Unreachable(text)
    }
}

/// An image's manifest, or an index of them.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct Configuration {
    config: Option<Runtime>,
}

#[derive(Deserialize)]
struct Runtime {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_in_either_case_and_with_commas_in_quotes() {
        let bearer = |realm: &str, service: &str| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.into() })
        };
        for (text, wanted) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://auth.example/token\",service=\"r.example\",scope=\"repository:x:pull,push\"",
                bearer("https://auth.example/token", "r.example"),
            ),
            ("bearer scope=\"a,b\", realm=\"https://a/t\"", bearer("https://a/t", "")),
            ("Bearer realm=https://a/t,service=s", bearer("https://a/t", "s")),
            ("Bearer service=\"s\"", None),
            ("Negotiate", None),
        ] {
            assert_eq!(Challenge::parse(text), wanted, "{text}");
        }
    }
}
