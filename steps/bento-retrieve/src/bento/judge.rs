//! Whether a bento is whole: all that its manifest speaks of is there.

use std::{collections::BTreeMap, path::PathBuf};

use crate::bento::{
    dockerfile::{Unsupported, check::in_dockerfile},
    files::{BentoFiles, join},
    manifest::{BentoError, Manifest},
    tag::Tag,
};

/// More than any manifest or Dockerfile has, in bytes; a manifest with 200 routes and their schemas takes 100 kB.
pub(crate) const LARGEST: u64 = 4 << 20;

pub const MANIFEST: &str = "bento.yaml";
pub const DOCKERFILE: &str = "env/docker/Dockerfile";
/// Of 0.x
pub const LEGACY_MANIFEST: &str = "bentoml.yml";
pub const LEGACY_DOCKERFILE: &str = "Dockerfile";

/// A bento that is whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Bento {
    pub tag: Tag,
    /// As its manifest writes it, see [`Manifest::creation_time`]
    pub creation_time: String,
    /// Its models, see [`Manifest::models`]
    pub models: BTreeMap<Tag, String>,
    /// Whether BentoML 0.x made it
    pub is_legacy: bool,
    /// Where it starts, relative to what it was found in: empty, or the one directory that everything is in
    pub root: PathBuf,
    /// Relative to the root
    pub dockerfile: &'static str,
    /// What whoever builds or runs it should know
    pub warnings: Vec<String>,
    /// What a builder would fail at, or leave out
    pub unsupported: Vec<Unsupported>,
}

impl Bento {
    /// Finds where it starts, and makes sure that its models and its Dockerfile are there.
    pub fn judge(files: &impl BentoFiles) -> Result<Self, BentoError> {
        let root = files.root().map_err(|error| BentoError::Read(".", error))?;
        let is_file = |name: &str| files.is_file(&join(&root, name));
        let text = |name: &'static str| {
            let text = files.text(&join(&root, name), LARGEST);
            text.map_err(|error| BentoError::Read(name, error))?.ok_or(BentoError::TooLarge(name))
        };
        // Names with `\` are why something is missing.
        let missing = |otherwise| {
            let name = files.name_with_backslash(&root);
            name.map_or(otherwise, BentoError::Backslashes)
        };
        let is_legacy = !is_file(MANIFEST);
        let (manifest, dockerfile) = if !is_legacy {
            (Manifest::parse(&text(MANIFEST)?)?, DOCKERFILE)
        } else if is_file(LEGACY_MANIFEST) {
            (Manifest::parse_legacy(&text(LEGACY_MANIFEST)?)?, LEGACY_DOCKERFILE)
        } else {
            return Err(missing(BentoError::NoManifest));
        };
        if !is_file(dockerfile) {
            return Err(missing(BentoError::NoDockerfile(dockerfile)));
        }
        let file = |model: &Tag| format!("models/{}/{}/model.yaml", model.name, model.version);
        let lacking: Vec<_> = manifest
            .models
            .keys()
            .filter(|model| !is_file(&file(model)))
            .map(|model| format!("the model `{model}` (`{}`)", file(model)))
            .collect();
        if !lacking.is_empty() {
            return Err(BentoError::ModelsMissing(lacking));
        }
        let mut unsupported = in_dockerfile(dockerfile, &text(dockerfile)?);
        let scripts = files.broken_scripts(&root);
        unsupported.extend(scripts.map_err(|error| BentoError::Read("env", error))?);
        let Manifest { tag, creation_time, models, warnings } = manifest;
        let root = root.into();
        Ok(Self { tag, creation_time, models, is_legacy, root, dockerfile, warnings, unsupported })
    }
}
