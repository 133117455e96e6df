//! Under which keys a store has bentos: by convention, as `bentoml export` names them, or with another ending.

use aws_smithy_types::{DateTime, date_time::Format};

use crate::{
    bento::tag::Tag,
    source::{Listed, Object, SourceError, Store},
};

/// Endings that archives of bentos have, in the order in which they are preferred. The contents decide what they are.
const ENDINGS: [&str; 12] = [
    ".tar.gz",
    ".bento",
    ".tar",
    ".tar.xz",
    ".tgz",
    ".gz",
    ".xz",
    ".tar.bz2",
    ".bz2",
    ".zip",
    ".tgz.bento",
    "",
];
/// Keys that a listing reads at most, ten answers of a store. Each archive costs another request.
const LISTED_IN_ALL: usize = 10_000;
/// Below the store's prefix: what is kept of releases, a few objects for each of their runs
const RELEASES: &str = "releases/";
/// Keys looked at when the archive is not where it should be; a version has one or two.
const LISTED: usize = 200;

/// What a search for a bento's archive came to.
#[derive(Debug)]
pub enum Found {
    Object(Object),
    /// Its files lie there one by one, as a folder that was exported or copied
    Folder(String),
    /// Other versions of the same name, if there are any
    Nothing {
        versions: Vec<String>,
    },
}

/// An archive as a listing shows it.
#[derive(Clone, Debug)]
pub struct StoredArchive {
    pub object: Object,
    /// Bytes
    pub size: u64,
    /// When it was written, ISO 8601, UTC
    pub modified: String,
    /// Its key below the store's prefix
    below: String,
}

impl StoredArchive {
    /// Name and version as its key has them: `NAME/VERSION.tar.gz`. One that lies elsewhere has its whole key for a name.
    pub fn named(&self) -> (&str, &str) {
        let stem = |name: &'static str| self.below.strip_suffix(name);
        let below = ending(&self.below).and_then(stem).unwrap_or(&self.below);
        below.split_once('/').unwrap_or((below, ""))
    }

    /// Whether its key says so: `NAME/VERSION.tar.gz`.
    pub fn is_of(&self, name: &str) -> bool {
        self.below.split_once('/').is_some_and(|(folder, _)| folder == name)
    }
}

/// The archive where BentoML's users put it by convention, which need not exist.
pub fn conventional(store: &Store, tag: &Tag) -> Object {
    store.object(store.location.key(&format!("{}/{}.tar.gz", tag.name, tag.version)))
}

/// Looks for an archive with another ending, or at the place where `bentoml export` itself puts one.
pub async fn search(store: &Store, tag: &Tag) -> Result<Found, SourceError> {
    let own = store.location.key(&format!("{}/{}", tag.name, tag.version));
    let exported = store.location.key(&format!("{}-{}", tag.name, tag.version));
    for stem in [&own, &exported] {
        let keys = keys(store, stem).await?;
        if let Some(key) = choose(stem, &keys) {
            return Ok(Found::Object(store.object(key.clone())));
        }
        if keys.iter().any(|key| key.strip_prefix(stem.as_str()) == Some("/bento.yaml")) {
            return Ok(Found::Folder(format!("s3://{}/{stem}/", store.location.bucket)));
        }
    }
    let folder = store.location.key(&format!("{}/", tag.name));
    Ok(Found::Nothing { versions: versions(&folder, &keys(store, &folder).await?) })
}

async fn keys(store: &Store, prefix: &str) -> Result<Vec<String>, SourceError> {
    let (objects, _) = store.list(prefix, LISTED).await?;
    Ok(objects.into_iter().map(|object| object.key).collect())
}

/// All archives of bentos, or those that may be of one name: `NAME/VERSION.tar.gz` and `NAME-VERSION.bento`; and whether
/// there would have been more.
pub async fn archives(
    store: &Store,
    name: Option<&str>,
) -> Result<(Vec<StoredArchive>, bool), SourceError> {
    let root = store.location.key("");
    let prefix = store.location.key(name.unwrap_or_default());
    // A bento of that name is found by its name.
    let releases = name.is_none().then(|| store.location.key(RELEASES));
    let (objects, more) = store.list_without(&prefix, releases.as_deref(), LISTED_IN_ALL).await?;
    let archive = |Listed { key, size, modified }: Listed| {
        let below = key.strip_prefix(&root).unwrap_or_default().to_owned();
        let is_archive = below.matches('/').count() <= 1 && ending(&below).is_some();
        let modified = modified.and_then(|time| DateTime::from(time).fmt(Format::DateTime).ok());
        is_archive.then(|| StoredArchive {
            object: store.object(key),
            size,
            modified: modified.unwrap_or_default(),
            below,
        })
    };
    Ok((objects.into_iter().filter_map(archive).collect(), more))
}

fn choose<'a>(stem: &str, keys: &'a [String]) -> Option<&'a String> {
    ENDINGS.iter().find_map(|ending| keys.iter().find(|key| key.strip_prefix(stem) == Some(ending)))
}

/// The versions that keys below `NAME/` stand for, newest name first, a few of them.
fn versions(folder: &str, keys: &[String]) -> Vec<String> {
    let version = |key: &String| {
        let rest = key.strip_prefix(folder).filter(|rest| !rest.contains('/'))?;
        rest.strip_suffix(ending(rest)?).map(str::to_owned)
    };
    let mut versions: Vec<_> = keys.iter().filter_map(version).collect();
    versions.sort();
    versions.dedup();
    versions.into_iter().rev().take(5).collect()
}

/// The ending of an archive's name, if it has one.
fn ending(name: &str) -> Option<&'static str> {
    ENDINGS.into_iter().find(|ending| !ending.is_empty() && name.ends_with(ending))
}
