//! Finds the environment of a key in the registry, and how a bento lies in it.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use registry::{BlobStream, Document, RegistryError, Repository};
use serde_json::Value;
use step::text::short;
use thiserror::Error;

use crate::{
    annotations::{BELOW, BUILT, ENVIRONMENT},
    placement::{Below, Placement, PlacementError, PlacementReader, Unfit},
    waiting::Waiting,
};

/// An environment that is there.
#[derive(Debug)]
pub struct Environment {
    /// REPOSITORY@DIGEST
    pub name: String,
    /// Of this platform
    pub manifest: Document,
    pub config: Vec<u8>,
    pub placement: Placement,
}

/// Why an environment that is there cannot be used.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("failed to read a layer of the environment `{0}`")]
    Read(String, #[source] io::Error),
    /// The bento has to be built whole
    #[error("the environment `{0}` {1}")]
    Unfit(String, Unfit),
    #[error("the environment `{0}` {1}")]
    Malformed(String, &'static str),
}

/// Where environments are kept.
#[derive(Debug)]
pub struct Environments {
    pub repository: Repository,
    /// HOST/PATH
    pub name: String,
    /// From which on one counts as missing; zero for all but the one that was just built, as clocks differ
    pub max_age: Duration,
    pub now: Timestamp,
    /// Digest of the one that was just built, whatever its age
    pub built: Option<String>,
}

/// The tag of the environment of a key.
pub fn tag(key: &str) -> String {
    format!("e1-{key}")
}

/// The tag that kaniko pushes to. An environment is only replaced by whoever found none: so two builds of one key
/// that go on at once end with one environment.
pub fn built_tag(key: &str) -> String {
    format!("b1-{key}")
}

/// What there is for a key.
#[derive(Clone, Debug)]
pub enum Lookup {
    There(Arc<Environment>),
    /// Nothing that can be used: why, as the end of a sentence that begins with the environment
    Missing(String),
}

impl Environments {
    /// Looks for the environment of a key. Blocks on the registry.
    ///
    /// `directories` are those of the context that it was built over.
    pub(crate) fn find(
        &self,
        waiting: &Waiting,
        key: &str,
        directories: &BTreeSet<String>,
    ) -> Result<Lookup, EnvironmentError> {
        let layers = Layers { waiting, repository: &self.repository, key, directories };
        let read = |found| match layers.read(found, &self.name) {
            Err(error @ EnvironmentError::Malformed(..)) => {
                tracing::warn!("{error}: it counts as missing");
                Ok(Err("is damaged".to_owned()))
            }
            read => read.map(Ok),
        };
        let named = waiting.wait(self.usable(&tag(key), key))?;
        let reason = match named.map_or_else(|reason| Ok(Err(reason)), read)? {
            Ok((environment, _)) => return Ok(Lookup::There(environment.into())),
            Err(reason) => reason,
        };
        // Of the one that was just built nobody can have moved the digest.
        let built = self.built.clone().unwrap_or_else(|| built_tag(key));
        let built = waiting.wait(self.usable(&built, key))?;
        let Ok((built, below)) = built.map_or_else(|reason| Ok(Err(reason)), read)? else {
            return Ok(Lookup::Missing(reason));
        };
        let noted = note(&built.manifest, &below);
        let adopted = waiting.wait(self.adopt(key, &noted))?;
        match adopted.map_or_else(|| Ok(Err(String::new())), read)? {
            Ok((adopted, _)) => Ok(Lookup::There(adopted.into())),
            Err(_) => Ok(Lookup::There(built.into())),
        }
    }

    /// What has this tag or digest, if it is the environment of the key and not too old; or else why it will not do.
    async fn usable(
        &self,
        version: &str,
        key: &str,
    ) -> Result<Result<Found, String>, EnvironmentError> {
        let Some(image) = self.repository.image(version).await? else {
            return Ok(Err("is not there".into()));
        };
        if image.labels.get(ENVIRONMENT).is_none_or(|of| of != key) {
            let of = image.labels.get(ENVIRONMENT).map_or("none".into(), |of| short(of, 64));
            let name = &self.name;
            tracing::warn!(
                "`{name}:{version}` is not the environment of its key: its label says {of}"
            );
            return Ok(Err("is not there, but another one under its tag".into()));
        }
        let config: Value = serde_json::from_slice(&image.config).unwrap_or_default();
        let built = image.labels.get(BUILT).map(String::as_str).or(config["created"].as_str());
        let built = built.and_then(|text| text.parse::<Timestamp>().ok());
        let age = built.map(|built| self.now.duration_since(built));
        let max_age = self.max_age.try_into().unwrap_or(SignedDuration::MAX);
        let is_new = self.built.as_ref() == Some(&image.manifest.digest);
        let is_too_old = self.max_age.is_zero() || age.is_none_or(|age| age >= max_age);
        if !is_new && is_too_old {
            return Ok(Err(age.map_or("is of unknown age".into(), |age| {
                format!("is {} days old", age.as_hours() / 24)
            })));
        }
        Ok(Ok(Found { manifest: image.manifest, config: image.config }))
    }

    /// Gives an environment that was built the tag of its key, if it still has none, and gives what has that tag then.
    async fn adopt(&self, key: &str, built: &Document) -> Result<Option<Found>, EnvironmentError> {
        if let Ok(of_another_run) = self.usable(&tag(key), key).await? {
            return Ok(Some(of_another_run));
        }
        let Document { bytes, media_type, .. } = built;
        let pushed = self.repository.push_manifest(&tag(key), media_type, bytes.clone()).await;
        if let Err(error) = pushed {
            let (name, tag) = (&self.name, tag(key));
            tracing::warn!(
                "failed to give the environment its tag `{name}:{tag}`: {error}; it is used as it is"
            );
            return Ok(None);
        }
        let tagged = self.repository.image(&tag(key)).await?;
        let tagged =
            tagged.filter(|image| image.labels.get(ENVIRONMENT).is_some_and(|of| of == key));
        Ok(tagged.map(|image| Found { manifest: image.manifest, config: image.config }))
    }
}

struct Found {
    manifest: Document,
    config: Vec<u8>,
}

/// The layers of an environment.
struct Layers<'a> {
    waiting: &'a Waiting,
    repository: &'a Repository,
    key: &'a str,
    directories: &'a BTreeSet<String>,
}

impl Layers<'_> {
    /// Reads them from the top down to the one that brought the marker, and what lies below it where that is not noted.
    fn read(
        &self,
        found: Found,
        repository: &str,
    ) -> Result<(Environment, Below), EnvironmentError> {
        let Found { manifest, config } = found;
        let name = format!("{repository}@{}", manifest.digest);
        let malformed = |what| EnvironmentError::Malformed(name.clone(), what);
        let parsed: Value = serde_json::from_slice(&manifest.bytes)
            .map_err(|_| malformed("has no valid manifest"))?;
        let layers = parsed["layers"].as_array().ok_or_else(|| malformed("has no layers"))?;
        let digests = layers.iter().map(|layer| layer["digest"].as_str());
        let digests = digests.collect::<Option<Vec<_>>>();
        let mut digests = digests.ok_or_else(|| malformed("has no valid layer"))?.into_iter().rev();
        let mut reader = PlacementReader::new(self.key);
        for digest in digests.by_ref() {
            if self.layer(&name, digest, |layer| reader.read_layer(layer))? {
                break;
            }
        }
        let directories: Vec<_> = self.directories.iter().map(String::as_str).collect();
        let placement =
            reader.placement(&directories).map_err(|error| placement_error(&name, error))?;
        let noted = parsed["annotations"][BELOW].as_str().and_then(Below::parse);
        let is_noted = noted.is_some();
        let mut below = noted.unwrap_or_default();
        for digest in digests.filter(|_| !is_noted) {
            self.layer(&name, digest, |layer| below.read_layer(&placement, layer))?;
        }
        let placement = placement.with_below(below.clone());
        Ok((Environment { name, manifest, config, placement }, below))
    }

    fn layer<T>(
        &self,
        name: &str,
        digest: &str,
        read: impl FnOnce(&mut BlobReader) -> Result<T, PlacementError>,
    ) -> Result<T, EnvironmentError> {
        let lacks = || EnvironmentError::Malformed(name.to_owned(), "lacks one of its layers");
        let stream = self.waiting.wait(self.repository.open_blob(digest))?.ok_or_else(lacks)?;
        let mut blob =
            BlobReader { waiting: self.waiting, stream, chunk: Bytes::new(), failed: None };
        let ended = read(&mut blob);
        match blob.failed {
            Some(failed) => Err(failed.into()),
            None => ended.map_err(|error| placement_error(name, error)),
        }
    }
}

/// The manifest with what is below, so that it is read once.
fn note(manifest: &Document, below: &Below) -> Document {
    let mut noted: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
    noted["annotations"][BELOW] = below.text().into();
    Document::new(manifest.media_type.clone(), noted.to_string().into_bytes())
}

fn placement_error(name: &str, error: PlacementError) -> EnvironmentError {
    match error {
        PlacementError::Read(error) => EnvironmentError::Read(name.to_owned(), error),
        PlacementError::Unfit(unfit) => EnvironmentError::Unfit(name.to_owned(), unfit),
    }
}

/// A blob as it comes, for a reader that blocks.
struct BlobReader<'a> {
    waiting: &'a Waiting,
    stream: BlobStream,
    chunk: Bytes,
    failed: Option<RegistryError>,
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.waiting.wait(self.stream.next()) {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failed = Some(error);
                    return Err(io::Error::other("the registry failed"));
                }
            }
        }
        let count = self.chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}
