//! What the tag of an image holds already.

use registry::{Image, Repository};
use serde_json::Value;
use step::text::clean;

use crate::{
    annotations::{ARCHIVE, BENTO, ENVIRONMENT},
    made::Made,
};

/// The image that a tag holds, if it was made of this archive. Where nobody can tell, it is made as if it were not there.
pub async fn look(repository: &Repository, image: &str, tag: &str, sha256: &str) -> Option<Made> {
    match repository.image(tag).await {
        Ok(Some(found)) => {
            let made_from = found.labels.get(ARCHIVE).map(|from| clean(from));
            if made_from.as_deref() == Some(sha256) {
                tracing::info!(
                    "{image} holds the image of this archive, {}: there is nothing to do",
                    found.digest
                );
                return Some(made(&found, image, sha256));
            }
            let of = made_from.map_or("one that does not say of which archive".into(), |from| {
                format!("that of the archive {from}")
            });
            tracing::warn!(
                "{image} holds another image, {of}: the one that is made takes its place. Where tags are \
                 immutable the push will fail: release another version"
            );
        }
        Ok(None) => tracing::info!("{image} is not there yet"),
        Err(error) => tracing::warn!(
            "failed to look for {image}: {error}; it is made as if it were not there"
        ),
    }
    None
}

fn made(found: &Image, image: &str, sha256: &str) -> Made {
    let manifest: Value = serde_json::from_slice(&found.manifest.bytes).unwrap_or_default();
    let environment = manifest["annotations"][ENVIRONMENT].as_str();
    Made {
        image: image.into(),
        digest: found.digest.clone(),
        bento: found.labels.get(BENTO).map(|bento| clean(bento)).unwrap_or_default(),
        sha256: sha256.into(),
        environment: environment.map(clean).unwrap_or_default(),
        assembled: if environment.is_some() { "yes" } else { "whole" }.into(),
        reason: String::new(),
        uploaded: 0,
        size: size(&manifest),
    }
}

/// Bytes of all layers.
pub fn size(manifest: &Value) -> u64 {
    let layers = manifest["layers"].as_array().into_iter().flatten();
    layers.filter_map(|layer| layer["size"].as_u64()).sum()
}
