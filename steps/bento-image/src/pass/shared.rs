//! What all readings of one archive share: the plans, and what the registry has.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use registry::{RegistryError, Repository};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::{annotations::MODEL, pass::learnt::Stored, planner::Planner, waiting::Waiting};

#[derive(Debug)]
pub(crate) struct Shared {
    pub planner: Arc<Planner>,
    /// That the image is pushed to
    pub repository: Repository,
    /// Whether a bento that has to be built whole need not be read
    pub stops_early: bool,
    models: Mutex<BTreeMap<String, Option<Stored>>>,
}

impl Shared {
    pub(crate) fn new(planner: Arc<Planner>, repository: Repository, stops_early: bool) -> Self {
        Self { planner, repository, stops_early, models: Mutex::default() }
    }

    /// The layer that an image before had for a model, NAME:VERSION. A hint: the same name may mean another model.
    pub(crate) fn model(
        &self,
        waiting: &Waiting,
        model: &str,
    ) -> Result<Option<Stored>, RegistryError> {
        let mut known = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(model) {
            return Ok(found.clone());
        }
        let document = waiting.wait(self.repository.manifest(&model_tag(model)))?;
        let found = document.and_then(|document| layer_of(&document.bytes, model));
        known.insert(model.to_owned(), found.clone());
        Ok(found)
    }

    /// The same, if it was asked for before.
    pub(crate) fn known_model(&self, model: &str) -> Option<Stored> {
        let known = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(model).cloned().flatten()
    }
}

/// The tag of an image that has a model. It is written once, and keeps the model's layer from being collected.
pub(crate) fn model_tag(model: &str) -> String {
    format!("m1-{}", hex(&Sha256::digest(model)))
}

fn layer_of(manifest: &[u8], model: &str) -> Option<Stored> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let of_model = |layer: &&Value| layer["annotations"][MODEL].as_str() == Some(model);
    let layer = manifest["layers"].as_array()?.iter().find(of_model)?;
    Some(Stored { digest: layer["digest"].as_str()?.to_owned(), size: layer["size"].as_u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_layer_is_known_by_its_annotation() {
        let manifest = br#"{"layers": [{"digest": "sha256:a", "size": 1},
            {"digest": "sha256:b", "size": 2, "annotations": {"kanaria.dev/model": "iris:v1"}}]}"#;
        let found = |model| layer_of(manifest, model).map(|stored| stored.digest);
        assert_eq!(found("iris:v1").as_deref(), Some("sha256:b"));
        assert_eq!(found("iris:v2"), None);
        assert_eq!(layer_of(b"no manifest", "iris:v1"), None);
    }
}
