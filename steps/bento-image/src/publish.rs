//! Brings an image to the registry: its layers, those of its environment, its configuration, and its manifest last.

use std::collections::BTreeMap;

use bento_retrieve::bento::Bento;
use futures::{
    StreamExt as _, TryStreamExt as _,
    future::{join_all, join3},
    stream,
};
use registry::{Document, RegistryError, Repository};
use serde_json::Value;
use thiserror::Error;

use crate::{
    annotations::{BENTO, MODEL},
    environment::Environment,
    image::{
        self, About, Bento as Subject, Environment as Below, ImageError, LAYER_GZIP, LAYER_TAR,
        Layer,
    },
    layer::Written,
    made::Made,
    pass::{Ending, FinishedLayer, Learnt, Shared, Stored, model_tag},
    planner::Layered,
    time::{rfc3339, seconds},
};

/// Layers of the environment that are looked for at once.
const LOOKED_FOR_AT_ONCE: usize = 4;

/// Why an image is not in the registry.
#[derive(Debug, Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// What is to be published.
pub(crate) struct Publication<'a> {
    pub(crate) shared: &'a Shared,
    /// REPOSITORY:TAG
    pub(crate) image: &'a str,
    pub(crate) tag: &'a str,
    pub(crate) bento: &'a Bento,
    pub(crate) sha256: &'a str,
    pub(crate) layered: &'a Layered,
    pub(crate) environment: &'a Environment,
}

impl Publication<'_> {
    /// Publishes it. What was brought is learnt also if it fails, so that another reading need not bring it again.
    pub(crate) async fn publish(
        &self,
        layers: Vec<FinishedLayer>,
        learnt: &mut Learnt,
    ) -> Result<Made, PublishError> {
        let repository = &self.shared.repository;
        let (mut descriptors, mut uploads) = (Vec::new(), Vec::new());
        for FinishedLayer { model, written, ending } in layers {
            let stored = Stored { digest: written.digest.clone(), size: written.size };
            let brought = model.clone().map(|model| (model, stored));
            let Written { digest, size, .. } = written.clone();
            uploads.push(async move { (brought, upload(repository, &digest, size, ending).await) });
            descriptors.push(self.descriptor(model, written));
        }
        let image::Image { config, manifest, size } =
            image::assemble(&self.below(), &descriptors, &self.about())?;
        let configuration = async {
            let size = config.bytes.len() as u64;
            Ok(if repository.push_blob(&config.digest, config.bytes).await? { size } else { 0 })
        };
        // A registry takes its time to store each of them for good.
        let (layers, below, config): (_, _, Result<u64, RegistryError>) =
            join3(join_all(uploads), self.bring_environment(), configuration).await;
        for (brought, _) in layers.iter().filter(|(_, uploaded)| uploaded.is_ok()) {
            learnt.pushed.extend(brought.clone());
        }
        let mut uploaded = below? + config?;
        for (_, layer) in layers {
            uploaded += layer?;
        }
        if repository.digest_of(self.tag).await?.as_deref() == Some(&manifest.digest) {
            tracing::info!("{} is there already, {}", self.image, manifest.digest);
        } else {
            let pushed = repository
                .push_manifest(self.tag, &manifest.media_type, manifest.bytes.clone())
                .await;
            pushed.inspect_err(|error| forget(error, &descriptors, learnt))?;
            uploaded += manifest.bytes.len() as u64;
        }
        let models = descriptors.iter().filter_map(|layer| layer.annotations.get(MODEL));
        join_all(models.map(|model| self.remember(model, &learnt.pushed, &manifest))).await;
        Ok(Made {
            image: self.image.into(),
            digest: manifest.digest,
            bento: self.bento.tag.to_string(),
            sha256: self.sha256.into(),
            environment: self.environment.name.clone(),
            assembled: "yes".into(),
            reason: String::new(),
            uploaded,
            size,
        })
    }

    fn descriptor(&self, model: Option<String>, written: Written) -> Layer {
        let bento = self.bento.tag.to_string();
        let (media_type, key, name) = match model {
            Some(model) => (LAYER_TAR, MODEL, model),
            None => (LAYER_GZIP, BENTO, bento),
        };
        Layer {
            media_type,
            digest: written.digest,
            diff_id: written.diff_id,
            size: written.size,
            created_by: format!("bento-image: {name}"),
            annotations: BTreeMap::from([(key.to_owned(), name)]),
        }
    }

    /// Brings the layers of the environment, and says how many bytes had to be sent. Most often they are there, or
    /// are mounted.
    async fn bring_environment(&self) -> Result<u64, RegistryError> {
        let manifest: Value =
            serde_json::from_slice(&self.environment.manifest.bytes).unwrap_or_default();
        let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
        let environments = &self.shared.planner.environments.repository;
        let copies = layers.into_iter().map(|layer| async move {
            let is_elsewhere = layer["urls"].as_array().is_some_and(|urls| !urls.is_empty());
            match (layer["digest"].as_str(), layer["size"].as_u64()) {
                (Some(digest), Some(size)) if !is_elsewhere => {
                    self.shared.repository.copy_blob(digest, size, environments).await
                }
                _ => Ok(0),
            }
        });
        let sent: Vec<u64> =
            stream::iter(copies).buffer_unordered(LOOKED_FOR_AT_ONCE).try_collect().await?;
        Ok(sent.iter().sum())
    }

    fn below(&self) -> Below<'_> {
        Below { manifest: &self.environment.manifest.bytes, config: &self.environment.config }
    }

    fn about(&self) -> About {
        let created = seconds(&self.bento.creation_time).unwrap_or(0);
        About::bento(&Subject {
            name: &self.bento.tag.name,
            version: &self.bento.tag.version,
            sha256: self.sha256,
            created: &rfc3339(created).unwrap_or_default(),
            environment: &self.environment.name,
            base_name: self.layered.recipe.base(),
            base_digest: &self.layered.base,
        })
    }

    /// Tags the image once more by its model, so that the next release of the model finds its layer.
    async fn remember(&self, model: &str, pushed: &BTreeMap<String, Stored>, manifest: &Document) {
        let stored = pushed.get(model);
        let known = self.shared.known_model(model);
        if known.is_some() && known.as_ref() == stored {
            return;
        }
        let tag = model_tag(model);
        let repository = &self.shared.repository;
        let Document { media_type, bytes, .. } = manifest;
        if let Err(error) = repository.push_manifest(&tag, media_type, bytes.clone()).await {
            tracing::warn!(
                "failed to tag the image as the one of the model `{model}`: {error}; the next release uploads it again"
            );
        }
    }
}

async fn upload(
    repository: &Repository,
    digest: &str,
    size: u64,
    ending: Ending,
) -> Result<u64, RegistryError> {
    match ending {
        Ending::Stored => Ok(0),
        Ending::Small(bytes) => {
            Ok(if repository.push_blob(digest, bytes).await? { size } else { 0 })
        }
        Ending::Stream(stream) => stream.finish(digest).await.map(|()| size),
    }
}

/// What the registry has collected since it was found there has to be brought again.
fn forget(error: &RegistryError, layers: &[Layer], learnt: &mut Learnt) {
    let RegistryError::UnknownBlob { digests, .. } = error else { return };
    for layer in layers {
        let is_lost = digests.is_empty() || digests.contains(&layer.digest);
        if let Some(model) = layer.annotations.get(MODEL).filter(|_| is_lost) {
            learnt.pushed.remove(model);
            learnt.changed.insert(model.clone());
        }
    }
}
