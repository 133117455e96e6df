//! What tags and digests of a repository hold, and what is put there.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize as _;
use serde_json::Value;
use step::text::clean;

use crate::{
    connection::Request,
    error::{RegistryError, Right},
    http::parse,
    manifest::{Kind, MEDIA_TYPES, Manifest, own_platform},
    reference::{is_digest, is_version},
    refusal::Refusal,
    repository::{Repository, Whole, digest},
};

/// What distribution's specification asks registries to take at least, and more than any image needs.
pub(crate) const LARGEST_DOCUMENT: usize = 4 << 20;
/// Of a manifest, in answer to a HEAD
const CONTENT_DIGEST: &str = "docker-content-digest";

/// A manifest, or an index of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// As the registry has it, to the byte
    pub bytes: Vec<u8>,
    /// `sha256:` and 64 digits
    pub digest: String,
    /// As it calls itself, or else as the registry calls it
    pub media_type: String,
}

impl Document {
    /// One that is to be put there, with its digest.
    pub fn new(media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { digest: digest(&bytes), bytes, media_type: media_type.into() }
    }
}

/// What a tag holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `sha256:` and 64 digits: of the index where it is one for several platforms
    pub digest: String,
    /// Of the image for this node
    pub manifest: Document,
    /// The image's configuration, as it is; empty where the manifest names none
    pub config: Vec<u8>,
    pub labels: BTreeMap<String, String>,
}

impl Repository {
    /// The manifest or index at a tag or digest, if it is there.
    pub async fn manifest(&self, version: &str) -> Result<Option<Document>, RegistryError> {
        let request = self.manifest_request(Method::GET, Right::Pull, version).await?;
        let answer = self.read(&request, LARGEST_DOCUMENT, "manifest").await?;
        let Some(Whole { headers, bytes, .. }) = answer else { return Ok(None) };
        let named = headers.get(CONTENT_TYPE).and_then(|name| name.to_str().ok());
        let named = named.map(|name| clean(name.split(';').next().unwrap_or_default()));
        let digest = digest(&bytes);
        if is_digest(version) && digest != version {
            return Err(RegistryError::Digest("manifest"));
        }
        let own = parse::<Manifest>(&bytes, "manifest")?.media_type;
        let media_type = own.or(named).unwrap_or_default();
        Ok(Some(Document { bytes, digest, media_type }))
    }

    /// The image for this node at a tag or digest, if it is there.
    pub async fn image(&self, version: &str) -> Result<Option<Image>, RegistryError> {
        let Some(named) = self.manifest(version).await? else { return Ok(None) };
        let digest = named.digest.clone();
        let manifest = match parse::<Manifest>(&named.bytes, "manifest")?.kind() {
            Kind::Image(_) => named,
            Kind::Index(entries) => {
                let own = own_platform(entries)?;
                self.manifest(&own).await?.ok_or_else(|| missing("manifest", &own))?
            }
        };
        let config = match parse::<Manifest>(&manifest.bytes, "manifest")?.kind() {
            Kind::Image(Some(config)) => {
                let found = self.blob(&config, LARGEST_DOCUMENT).await?;
                found.ok_or_else(|| missing("configuration", &config))?
            }
            Kind::Image(None) => Vec::new(),
            Kind::Index(_) => return Err(RegistryError::Malformed("manifest")),
        };
        let labels = if config.is_empty() { BTreeMap::new() } else { labels(&config)? };
        Ok(Some(Image { digest, manifest, config, labels }))
    }

    /// Whether the repository holds a manifest at this tag or digest.
    pub async fn has(&self, version: &str) -> Result<bool, RegistryError> {
        let request = self.manifest_request(Method::HEAD, Right::Pull, version).await?;
        Ok(self.find(&request).await?.is_some())
    }

    /// The digest of what is at this tag or digest, if there is something.
    pub async fn digest_of(&self, version: &str) -> Result<Option<String>, RegistryError> {
        let request = self.manifest_request(Method::HEAD, Right::Pull, version).await?;
        let answer = self.connection().ask(self.account(), &request).await?;
        if answer.status() != StatusCode::METHOD_NOT_ALLOWED {
            let Some(answer) = self.found(answer, &request).await? else { return Ok(None) };
            let said = answer.headers().get(CONTENT_DIGEST).and_then(|it| it.to_str().ok());
            if let Some(said) = said.filter(|said| is_digest(said)) {
                return Ok(Some(said.to_owned()));
            }
        }
        Ok(self.manifest(version).await?.map(|found| found.digest))
    }

    /// Puts a manifest at a tag or digest. Blobs that it names are there by then. A tag that must not change and
    /// holds this very manifest is no error.
    pub async fn push_manifest(
        &self,
        version: &str,
        media_type: &str,
        bytes: impl Into<Bytes> + Send,
    ) -> Result<(), RegistryError> {
        let bytes = bytes.into();
        let wanted = digest(&bytes);
        let mut request = self.manifest_request(Method::PUT, Right::Push, version).await?;
        let media_type = HeaderValue::from_str(media_type);
        let media_type = media_type.map_err(|_| RegistryError::Malformed("media type"))?;
        request.headers.insert(CONTENT_TYPE, media_type);
        request.body = bytes;
        let answer = self.connection().ask(self.account(), &request).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        match self.refused_manifest(answer, &request).await {
            // Also after a PUT that was repeated as its answer got lost.
            RegistryError::Immutable(_)
                if self.digest_of(version).await.ok().flatten().as_ref() == Some(&wanted) =>
            {
                Ok(())
            }
            error => Err(error),
        }
    }

    async fn refused_manifest(&self, answer: Response, request: &Request) -> RegistryError {
        let refusal = Refusal::read(&self.connection().http, answer).await;
        if let Some(digests) = refusal.unknown_blobs() {
            RegistryError::UnknownBlob { text: refusal.text, digests }
        } else if refusal.is_immutable() {
            RegistryError::Immutable(refusal.text)
        } else {
            refusal.error(Right::Push, &request.scope.repository)
        }
    }

    async fn manifest_request(
        &self,
        method: Method,
        right: Right,
        version: &str,
    ) -> Result<Request, RegistryError> {
        if !is_version(version) {
            return Err(RegistryError::Malformed("tag or digest"));
        }
        let mut request = self.request(method, right, &format!("manifests/{version}")).await?;
        request.headers.insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPES));
        Ok(request)
    }
}

fn missing(what: &str, digest: &str) -> RegistryError {
    RegistryError::Answered(format!("it has no {what} `{}`", clean(digest)))
}

/// Those in an image's configuration.
fn labels(text: &[u8]) -> Result<BTreeMap<String, String>, RegistryError> {
    let configuration: Value = parse(text, "configuration")?;
    let labels = configuration.pointer("/config/Labels").filter(|labels| !labels.is_null());
    let labels = labels.map(BTreeMap::deserialize).transpose();
    labels.map(Option::unwrap_or_default).map_err(|_| RegistryError::Malformed("configuration"))
}
