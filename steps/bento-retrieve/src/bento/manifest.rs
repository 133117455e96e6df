//! What a bento says of itself, and whether all that it speaks of is there.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use step::text::clean;
use thiserror::Error;

use crate::{
    bento::dockerfile::unsupported::{Obstacle, obstacles},
    bento::tag::{BadTag, Tag},
};

/// More than any manifest has; one with 200 routes and their schemas takes 100 kB.
const LARGEST: u64 = 4 << 20;

/// Why a folder is no bento.
#[derive(Debug, Error)]
pub enum NoBento {
    #[error("it has neither a `bento.yaml` nor a `bentoml.yml`")]
    NoManifest,
    #[error("failed to read `{0}`")]
    Read(&'static str, #[source] io::Error),
    #[error("`{0}` is larger than any manifest")]
    TooLarge(&'static str),
    #[error("failed to parse `{file}`: {problem}")]
    Parse { file: &'static str, problem: String },
    #[error("`{0}` names no bento")]
    Tag(&'static str, #[source] BadTag),
    #[error("it has no `{0}` to build an image with")]
    NoDockerfile(&'static str),
    #[error("the archive names its files as Windows does: `{0}`")]
    Backslashes(String),
    #[error("it lacks {}", .0.join(", "))]
    ModelsMissing(Vec<String>),
}

/// A bento in a folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Bento {
    pub tag: Tag,
    /// Where it starts, relative to the folder: empty, or the one directory that everything is in
    pub root: PathBuf,
    /// Relative to the root
    pub dockerfile: &'static str,
    /// What whoever builds or runs it should know
    pub warnings: Vec<String>,
    /// What a builder would fail at, or leave out
    pub obstacles: Vec<Obstacle>,
}

impl Bento {
    /// Finds the bento in a folder and makes sure that its parts are there.
    pub fn find(folder: &Path) -> Result<Self, NoBento> {
        let root = root(folder).map_err(|error| NoBento::Read(".", error))?;
        let at = folder.join(&root);
        let (manifest, dockerfile) = if is_file(&at.join("bento.yaml")) {
            (Manifest::parse(&read(&at, "bento.yaml")?)?, "env/docker/Dockerfile")
        } else if is_file(&at.join("bentoml.yml")) {
            (Manifest::parse_legacy(&read(&at, "bentoml.yml")?)?, "Dockerfile")
        } else {
            return Err(NoBento::none_in(&at, NoBento::NoManifest));
        };
        if !is_file(&at.join(dockerfile)) {
            return Err(NoBento::none_in(&at, NoBento::NoDockerfile(dockerfile)));
        }
        let missing: Vec<_> =
            manifest.models.iter().filter(|model| !has_model(&at, model)).map(describe).collect();
        if !missing.is_empty() {
            return Err(NoBento::ModelsMissing(missing));
        }
        let obstacles = obstacles(&at, dockerfile, &read(&at, dockerfile)?)
            .map_err(|error| NoBento::Read("env", error))?;
        let Manifest { tag, warnings, .. } = manifest;
        Ok(Self { tag, root, dockerfile, warnings, obstacles })
    }
}

impl NoBento {
    /// Why something is missing: names with `\` are files here, not paths.
    fn none_in(folder: &Path, otherwise: Self) -> Self {
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = names.map(|entry| clean(&entry.file_name().to_string_lossy()));
        names.find(|name| name.contains('\\')).map_or(otherwise, Self::Backslashes)
    }
}

fn describe(model: &Tag) -> String {
    format!("the model `{model}` (`models/{}/{}/model.yaml`)", model.name, model.version)
}

fn has_model(bento: &Path, model: &Tag) -> bool {
    is_file(&bento.join("models").join(&model.name).join(&model.version).join("model.yaml"))
}

/// Bentos of 0.x lie in one directory of their own; so does what a person packed by hand.
fn root(folder: &Path) -> io::Result<PathBuf> {
    let mut entries = fs::read_dir(folder)?;
    match (entries.next().transpose()?, entries.next()) {
        (Some(only), None) if only.file_type()?.is_dir() => Ok(only.file_name().into()),
        _ => Ok(PathBuf::new()),
    }
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

fn read(folder: &Path, name: &'static str) -> Result<String, NoBento> {
    let path = folder.join(name);
    let size = path.metadata().map_err(|error| NoBento::Read(name, error))?.len();
    if size > LARGEST {
        return Err(NoBento::TooLarge(name));
    }
    fs::read_to_string(path).map_err(|error| NoBento::Read(name, error))
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
    pub fn parse(text: &str) -> Result<Self, NoBento> {
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
                models.insert(model.tag.parse().map_err(|error| NoBento::Tag(FILE, error))?);
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
        let tag =
            Tag::new(&fields.name, &fields.version).map_err(|error| NoBento::Tag(FILE, error))?;
        Ok(Self { tag, models, warnings })
    }

    /// Reads a `bentoml.yml` of 0.x, whose models lie among its code.
    pub fn parse_legacy(text: &str) -> Result<Self, NoBento> {
        const FILE: &str = "bentoml.yml";
        let fields: LegacyFields = parse(FILE, text)?;
        let LegacyMetadata { service_name, service_version } = fields.metadata;
        let tag =
            Tag::new(&service_name, &service_version).map_err(|error| NoBento::Tag(FILE, error))?;
        Ok(Self { tag, models: BTreeSet::new(), warnings: Vec::new() })
    }
}

fn parse<T: for<'a> Deserialize<'a>>(file: &'static str, text: &str) -> Result<T, NoBento> {
    serde_saphyr::from_str(text).map_err(|error| {
        // The parser shows lines of the file, and a manifest may hold clear text secrets.
        let problem = error.without_snippet().to_string();
        NoBento::Parse { file, problem: problem.lines().next().unwrap_or_default().to_owned() }
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
