//! The repository of one image: what it holds, asked again while that may help.

use std::{collections::BTreeMap, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::{
    Certificate, Method, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
};
use serde::Deserialize as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use step::text::{clean, hex};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    authorization::authorize,
    credentials::Credential,
    error::{RegistryError, is_busy},
    http::{Http, parse},
    manifest::{Descriptor, MEDIA_TYPES, Manifest},
    reference::Reference,
};

/// What distribution's specification asks registries to take at least, and more than any image needs.
const LARGEST_DOCUMENT: usize = 4 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const RETRIES: usize = 5;

/// How to reach a registry.
#[derive(Debug)]
pub struct Access {
    pub credential: Option<Credential>,
    /// Plain HTTP where it speaks no TLS
    pub insecure: bool,
    /// Additional CA certificates
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

/// The repository of one image.
#[derive(Debug)]
pub struct Repository {
    http: Http,
    access: Access,
    image: Reference,
    deadline: Instant,
    /// Found with the first request: `https://HOST/v2/`
    base: Mutex<Option<Url>>,
    authorization: Mutex<Option<HeaderValue>>,
}

impl Repository {
    pub fn new(image: Reference, access: Access) -> Result<Self, RegistryError> {
        Ok(Self {
            http: Http::new(&access.authorities)?,
            deadline: Instant::now() + access.timeout,
            access,
            image,
            base: Mutex::default(),
            authorization: Mutex::default(),
        })
    }

    /// What the image's tag holds, if it is there.
    pub async fn image(&self) -> Result<Option<Image>, RegistryError> {
        let Some(text) =
            self.document(&format!("manifests/{}", self.image.tag), "manifest").await?
        else {
            return Ok(None);
        };
        let digest = digest(&text);
        let config = match parse(&text, "manifest")? {
            Manifest { config: Some(config), .. } => Some(config),
            index => match index.own_platform() {
                Some(Descriptor { digest, .. }) => {
                    let text = self.known("manifests", &digest, "manifest").await?;
                    parse::<Manifest>(&text, "manifest")?.config
                }
                None => None,
            },
        };
        let labels = match config {
            Some(Descriptor { digest, .. }) => {
                let text = self.known("blobs", &digest, "configuration").await?;
                labels(&text)?
            }
            None => BTreeMap::new(),
        };
        Ok(Some(Image { digest, labels }))
    }

    /// Whether the repository holds a manifest of this digest.
    pub async fn has(&self, digest: &str) -> Result<bool, RegistryError> {
        Ok(self.ask(Method::HEAD, &format!("manifests/{digest}")).await?.is_some())
    }

    /// A document whose digest another one names.
    async fn known(
        &self,
        kind: &str,
        wanted: &str,
        what: &'static str,
    ) -> Result<Vec<u8>, RegistryError> {
        let text = self.document(&format!("{kind}/{wanted}"), what).await?.ok_or_else(|| {
            RegistryError::Answered(format!("it has no {what} `{}`", clean(wanted)))
        })?;
        if digest(&text) == wanted { Ok(text) } else { Err(RegistryError::Digest(what)) }
    }

    async fn document(
        &self,
        path: &str,
        what: &'static str,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let Some(answer) = self.ask(Method::GET, path).await? else { return Ok(None) };
        self.http.whole(answer, LARGEST_DOCUMENT, what).await.map(Some)
    }

    /// Asks until there is a final answer, within the time. None: it has no such thing.
    async fn ask(&self, method: Method, path: &str) -> Result<Option<Response>, RegistryError> {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(RETRIES)
            .with_jitter();
        let attempt = || async {
            let answer = self.attempt(method.clone(), path).await?;
            if is_busy(answer.status()) { Err(self.http.refusal(answer).await) } else { Ok(answer) }
        };
        let answer = attempt
            .retry(pauses)
            .when(RegistryError::is_retryable)
            .adjust(|error, pause| {
                let pause = error.retry_after().or(pause).filter(|_| pause.is_some())?;
                (Instant::now() + pause < self.deadline).then_some(pause)
            })
            .notify(|error, _| tracing::warn!("{}: {error}; asking again", self.image.host))
            .await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(answer)),
            _ => Err(self.http.refusal(answer).await),
        }
    }

    async fn attempt(&self, method: Method, path: &str) -> Result<Response, RegistryError> {
        let base = self.base().await?;
        let url = base
            .join(&format!("{}/{path}", self.image.repository))
            .map_err(|_| RegistryError::Malformed("address"))?;
        let ask = |authorization: Option<HeaderValue>| {
            let request = self.http.client.request(method.clone(), url.clone());
            let request = request.header(ACCEPT, MEDIA_TYPES);
            self.http.send(match authorization {
                Some(value) => request.header(AUTHORIZATION, value),
                None => request,
            })
        };
        let known = self.authorization.lock().await.clone();
        let answer = ask(known).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let (repository, credential) = (&self.image.repository, self.access.credential.as_ref());
        let authorization = authorize(&self.http, &answer, &base, repository, credential).await?;
        let Some(authorization) = authorization else { return Ok(answer) };
        *self.authorization.lock().await = Some(authorization.clone());
        ask(Some(authorization)).await
    }

    /// With TLS, and without where that is allowed and there is none.
    async fn base(&self) -> Result<Url, RegistryError> {
        let mut base = self.base.lock().await;
        if let Some(base) = &*base {
            return Ok(base.clone());
        }
        let plain = self.access.insecure || self.image.is_nearby();
        let mut failed = RegistryError::Malformed("address");
        for scheme in ["https", "http"].into_iter().take(if plain { 2 } else { 1 }) {
            let Ok(url) = Url::parse(&format!("{scheme}://{}/v2/", self.image.authority())) else {
                continue;
            };
            match self.http.send(self.http.client.get(url.clone())).await {
                Ok(_) => return Ok(base.insert(url).clone()),
                Err(error) => failed = error,
            }
            if matches!(failed, RegistryError::Certificate(_)) {
                break; // it does speak TLS
            }
        }
        Err(failed)
    }
}

/// Those in an image's configuration.
fn labels(text: &[u8]) -> Result<BTreeMap<String, String>, RegistryError> {
    let configuration: Value = parse(text, "configuration")?;
    let labels = configuration.pointer("/config/Labels").filter(|labels| !labels.is_null());
    let labels = labels.map(BTreeMap::deserialize).transpose();
    labels.map(Option::unwrap_or_default).map_err(|_| RegistryError::Malformed("configuration"))
}

fn digest(text: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text)))
}
