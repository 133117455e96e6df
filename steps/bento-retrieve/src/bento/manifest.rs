//! What a bento's manifest says, as far as retrieving needs it.

use std::{collections::BTreeSet, io};

use serde::Deserialize;
use thiserror::Error;

use crate::bento::tag::{Tag, TagError};

/// Why something is not a bento, or not all of one.
#[derive(Debug, Error)]
pub enum BentoError {
    #[error("it has neither a `bento.yaml` nor a `bentoml.yml`")]
    NoManifest,
    #[error("failed to read `{0}`")]
    Read(&'static str, #[source] io::Error),
    #[error("`{0}` is larger than any manifest")]
    TooLarge(&'static str),
    #[error("failed to parse `{file}`: {problem}")]
    Parse { file: &'static str, problem: String },
    #[error("`{0}` does not name a bento")]
    Tag(&'static str, #[source] TagError),
    #[error("it has no `{0}` to build an image with")]
    NoDockerfile(&'static str),
    #[error("the archive names its files as Windows does: `{0}`")]
    Backslashes(String),
    #[error("it lacks {}", .0.join(", "))]
    ModelsMissing(Vec<String>),
}

/// The part of a manifest that retrieving needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifest {
    pub tag: Tag,
    /// Models whose files must be in the archive
    pub models: BTreeSet<Tag>,
    pub warnings: Vec<String>,
}

impl Manifest {
    /// Reads a `bento.yaml` of 1.0 and later. Fields that are not known are left alone.
    pub fn parse(text: &str) -> Result<Self, BentoError> {
        const FILE: &str = "bento.yaml";
        let fields: Fields = parse(FILE, text)?;
        let mut models = BTreeSet::new();
        let mut warnings = Vec::new();
        for model in
            fields.models.iter().chain(fields.services.iter().flat_map(|service| &service.models))
        {
            if model.registry.as_deref() == Some("huggingface") {
                warnings.push(format!("the model `{}` is not in the archive: it is fetched from Hugging Face at the start", model.tag));
            } else {
                models.insert(model.tag.parse().map_err(|error| BentoError::Tag(FILE, error))?);
            }
        }
        warnings.sort();
        warnings.dedup();
        if fields.envs.iter().any(|env| env.value.as_deref().is_some_and(|value| !value.is_empty()))
        {
            warnings.push(
                "its `envs` have values, which everyone who can pull the image can read".to_owned(),
            );
        }
        let tag = Tag::new(&fields.name, &fields.version)
            .map_err(|error| BentoError::Tag(FILE, error))?;
        Ok(Self { tag, models, warnings })
    }

    /// Reads a `bentoml.yml` of 0.x, whose models lie among its code.
    pub fn parse_legacy(text: &str) -> Result<Self, BentoError> {
        const FILE: &str = "bentoml.yml";
        let fields: LegacyFields = parse(FILE, text)?;
        let LegacyMetadata { service_name, service_version } = fields.metadata;
        let tag = Tag::new(&service_name, &service_version)
            .map_err(|error| BentoError::Tag(FILE, error))?;
        Ok(Self { tag, models: BTreeSet::new(), warnings: Vec::new() })
    }
}

fn parse<T: for<'a> Deserialize<'a>>(file: &'static str, text: &str) -> Result<T, BentoError> {
    serde_saphyr::from_str(text).map_err(|error| {
        // The parser shows lines of the file, and a manifest may hold clear text secrets.
        let problem = error.without_snippet().to_string();
        BentoError::Parse { file, problem: problem.lines().next().unwrap_or_default().to_owned() }
    })
}

#[derive(Deserialize)]
struct Fields {
    name: String,
    version: String,
    #[serde(default)]
    models: Vec<Model>,
    #[serde(default)]
    services: Vec<Service>,
    #[serde(default)]
    envs: Vec<Env>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    tag: String,
    registry: Option<String>,
}

#[derive(Deserialize)]
struct Env {
    value: Option<String>,
}

#[derive(Deserialize)]
struct LegacyFields {
    metadata: LegacyMetadata,
}

#[derive(Deserialize)]
struct LegacyMetadata {
    service_name: String,
    service_version: String,
}
