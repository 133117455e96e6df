//! What changed since the environment that a service had last: read from the newest image of its repository.

use std::{collections::BTreeMap, io::Read as _};

use flate2::read::GzDecoder;
use futures::{StreamExt as _, stream};
use registry::{RegistryError, Repository};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::{
    annotations::{BASE_DIGEST, BENTO, CREATED, ENVIRONMENT},
    bento_files::Generation,
    planner::{Layered, Planner},
    recipe::{
        Entry, Listing, judge,
        sources::{Sources, explain},
    },
};

/// Tags above which none is looked at: versions have no order, so the newest may be any.
const IMAGES: usize = 1000;
/// Questions at once.
const ASKED_AT_ONCE: usize = 8;
/// Bytes of a code layer, packed and unpacked; those of larger ones are not worth the reading.
const LARGEST: usize = 8 << 20;
const LARGEST_UNPACKED: u64 = 64 << 20;
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Bytes of a file whose text is compared.
const LARGEST_TEXT: u64 = 1 << 20;

/// One line, or nothing where there was no environment before, or the registry does not say. It is a courtesy: the
/// environment is built anew in any case.
pub(crate) async fn changed(
    repository: &Repository,
    planner: &Planner,
    layered: &Layered,
    listing: &Listing,
) -> Option<String> {
    let Layered { recipe, base, .. } = layered;
    let new = without_modes(listing.clone());
    let new = recipe.built_from(&new, base, &planner.platform, &planner.flags);
    match last(repository, planner).await {
        Ok(Some(old)) => Some(explain(&old, &new)).filter(|changed| !changed.is_empty()),
        Ok(None) => None,
        Err(error) => {
            tracing::debug!("failed to read the last image's recipe: {error}");
            None
        }
    }
}

async fn last(
    repository: &Repository,
    planner: &Planner,
) -> Result<Option<Sources>, RegistryError> {
    let tags = repository.tags(IMAGES).await?;
    if tags.len() == IMAGES {
        return Ok(None); // the newest need not be among them
    }
    let versions = tags.into_iter().filter(|tag| !tag.starts_with("m1-"));
    let newest = stream::iter(versions)
        .map(|tag| async move {
            let manifest = repository.manifest(&tag).await.ok()??;
            let manifest: Value = serde_json::from_slice(&manifest.bytes).ok()?;
            let annotations = &manifest["annotations"];
            annotations[ENVIRONMENT].as_str()?;
            Some((annotations[CREATED].as_str()?.to_owned(), manifest))
        })
        .buffer_unordered(ASKED_AT_ONCE)
        .fold(None, async |newest: Option<(String, Value)>, found| match (&newest, &found) {
            (Some((newest_time, _)), Some((time, _))) if time <= newest_time => newest,
            (_, None) => newest,
            _ => found,
        });
    let Some((_, newest)) = newest.await else { return Ok(None) };
    let layers = newest["layers"].as_array().into_iter().flatten();
    let code = layers.rev().find(|layer| layer["annotations"][BENTO].is_string());
    let Some(digest) = code.and_then(|layer| layer["digest"].as_str()) else { return Ok(None) };
    let Some(layer) = repository.blob(digest, LARGEST).await? else { return Ok(None) };
    let base = newest["annotations"][BASE_DIGEST].as_str();
    let sources = listing(&layer).map(without_modes).and_then(|listing| {
        let dockerfile = Generation::of(&listing)?.dockerfile();
        let text = String::from_utf8_lossy(listing.texts.get(dockerfile)?);
        let recipe = judge(dockerfile, &text).ok()?;
        Some(recipe.built_from(
            &listing,
            base.unwrap_or_default(),
            &planner.platform,
            &planner.flags,
        ))
    });
    Ok(sources)
}

/// An image's files have the modes that commands gave them, an archive's have not.
fn without_modes(mut listing: Listing) -> Listing {
    for entry in listing.entries.values_mut() {
        if let Entry::File { executable, .. } = entry {
            *executable = false;
        }
    }
    listing
}

/// Whether what a file says is compared, and not only whether it is another one.
fn is_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["Dockerfile", "bento.yaml", "bentoml.yml"].contains(&name) || name.starts_with("requirements")
}

/// The bento in a code layer, as far as it can be read.
fn listing(layer: &[u8]) -> Option<Listing> {
    let unpacked = GzDecoder::new(layer).take(LARGEST_UNPACKED);
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(unpacked).entries().ok()? {
        let Ok(mut entry) = entry else { break };
        let path = String::from_utf8(entry.path_bytes().into_owned()).ok()?;
        let header = entry.header();
        let kind = header.entry_type();
        let executable = header.mode().ok()? & 0o111 != 0;
        if kind.is_dir() {
            found.insert(path.trim_end_matches('/').to_owned(), (Entry::Directory, None));
        } else if kind.is_file() {
            let (size, is_kept) = (entry.size(), is_text(&path));
            let (mut text, mut sha256) = (Vec::new(), Sha256::new());
            let mut chunk = vec![0; CHUNK];
            loop {
                let count = entry.read(&mut chunk).ok()?;
                if count == 0 {
                    break;
                }
                sha256.update(&chunk[..count]);
                if is_kept && text.len() as u64 <= LARGEST_TEXT {
                    text.extend_from_slice(&chunk[..count]);
                }
            }
            let file = Entry::File { executable, size, sha256: hex(&sha256.finalize()) };
            found.insert(path, (file, is_kept.then_some(text)));
        } else if kind.is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            let target = String::from_utf8(target).ok()?;
            found.insert(path, (Entry::Link { target }, None));
        }
    }
    let manifests = ["bento.yaml", "bentoml.yml"];
    let root = found.keys().find_map(|path| {
        let folder = manifests.iter().find_map(|manifest| path.strip_suffix(manifest))?;
        (folder.is_empty() || folder.ends_with('/')).then(|| folder.to_owned())
    })?;
    let mut listing = Listing::default();
    for (path, (entry, text)) in found {
        let Some(path) = path.strip_prefix(&root) else { continue };
        listing.entries.insert(path.to_owned(), entry);
        if let Some(text) = text {
            listing.texts.insert(path.to_owned(), text);
        }
    }
    Some(listing)
}
