//! A bento in a folder: where it starts, and whether all that its manifest speaks of is there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use step::text::clean;

use crate::bento::{
    dockerfile::{check::check, unsupported::Unsupported},
    manifest::{BentoError, Manifest},
    tag::Tag,
};

/// More than any manifest has; one with 200 routes and their schemas takes 100 kB.
const LARGEST: u64 = 4 << 20;

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
    pub unsupported: Vec<Unsupported>,
}

impl Bento {
    /// Finds the bento in a folder and makes sure that its models and its Dockerfile are there.
    pub fn find(folder: &Path) -> Result<Self, BentoError> {
        let root = root(folder).map_err(|error| BentoError::Read(".", error))?;
        let at = folder.join(&root);
        let (manifest, dockerfile) = if is_file(&at.join("bento.yaml")) {
            (Manifest::parse(&read(&at, "bento.yaml")?)?, "env/docker/Dockerfile")
        } else if is_file(&at.join("bentoml.yml")) {
            (Manifest::parse_legacy(&read(&at, "bentoml.yml")?)?, "Dockerfile")
        } else {
            return Err(missing(&at, BentoError::NoManifest));
        };
        if !is_file(&at.join(dockerfile)) {
            return Err(missing(&at, BentoError::NoDockerfile(dockerfile)));
        }
        let file = |model: &Tag| format!("models/{}/{}/model.yaml", model.name, model.version);
        let models: Vec<_> = manifest
            .models
            .iter()
            .filter(|model| !is_file(&at.join(file(model))))
            .map(|model| format!("the model `{model}` (`{}`)", file(model)))
            .collect();
        if !models.is_empty() {
            return Err(BentoError::ModelsMissing(models));
        }
        let unsupported = check(&at, dockerfile, &read(&at, dockerfile)?)
            .map_err(|error| BentoError::Read("env", error))?;
        let Manifest { tag, warnings, .. } = manifest;
        Ok(Self { tag, root, dockerfile, warnings, unsupported })
    }
}

/// Why something is missing: names with `\` are files here, not paths.
fn missing(folder: &Path, otherwise: BentoError) -> BentoError {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = names.map(|entry| clean(&entry.file_name().to_string_lossy()));
    names.find(|name| name.contains('\\')).map_or(otherwise, BentoError::Backslashes)
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

fn read(folder: &Path, name: &'static str) -> Result<String, BentoError> {
    let path = folder.join(name);
    let size = path.metadata().map_err(|error| BentoError::Read(name, error))?.len();
    if size > LARGEST {
        return Err(BentoError::TooLarge(name));
    }
    fs::read_to_string(path).map_err(|error| BentoError::Read(name, error))
}
