//! What a store has, newest first, by what the manifests say.

use std::cmp::Reverse;

use anyhow::{Context, Result};
use futures::{Stream, StreamExt, stream};
use step::Failure;

use crate::{
    bento::{
        Details, Tag, peek,
        store_layout::{StoredArchive, archives},
    },
    download::RetryPolicy,
    hints,
    source::{Object, Source, Store},
};

/// Archives that are looked into at once. More do not come faster from one store, and each may take 8 MiB.
const AT_ONCE: usize = 8;

/// An archive, and what it says of itself.
pub struct ListedBento {
    pub archive: StoredArchive,
    pub details: Result<Details>,
}

impl ListedBento {
    /// As the manifest says, or when the archive was saved.
    pub fn created(&self) -> &str {
        match &self.details {
            Ok(details) if !details.created.is_empty() => &details.created,
            _ => &self.archive.modified,
        }
    }

    /// Whether it has this version.
    pub fn is(&self, version: &str) -> bool {
        self.details.as_ref().is_ok_and(|details| details.version == version)
    }
}

/// All archives of bentos in a store, or those of one name, newest first. Errors have their hint.
pub async fn list_newest_first(
    store: &Store,
    name: Option<&str>,
    retries: RetryPolicy,
) -> Result<Vec<ListedBento>> {
    let (archives, more) = list_archives(store, name, retries).await?;
    if more {
        tracing::warn!(
            "there are more archives than are looked at; give a name or a longer prefix to see others"
        );
    }
    let mut bentos: Vec<_> = read_manifests(archives, AT_ONCE, retries).collect().await;
    if let Some(name) = name {
        // A key may begin with the name and mean another: `iris-v1.bento` lies beside `iris/`.
        bentos.retain(|bento| {
            bento.details.as_ref().map_or(bento.archive.is_of(name), |details| details.name == name)
        });
    }
    bentos.sort_by_cached_key(|bento| {
        Reverse((comparable(bento.created()), bento.archive.object.key.clone()))
    });
    Ok(bentos)
}

/// The newest bento of a name, by what the manifests say: versions do not sort by time.
pub async fn newest(store: &Store, tag: &Tag, retries: RetryPolicy) -> Result<(Object, Details)> {
    let bentos = list_newest_first(store, Some(&tag.name), retries).await?;
    let readable = |bento: ListedBento| Some((bento.archive.object, bento.details.ok()?));
    bentos.into_iter().find_map(readable).ok_or_else(|| {
        Failure {
            what: format!("failed to find a bento `{}` in `{}`", tag.name, store.location),
            hint: "`bento-retrieve list` prints what there is".into(),
        }
        .into()
    })
}

/// All archives of bentos, or those that may be of one name; and whether there are more. Errors have their hint.
pub async fn list_archives(
    store: &Store,
    name: Option<&str>,
    retries: RetryPolicy,
) -> Result<(Vec<StoredArchive>, bool)> {
    let what = || format!("failed to list `{}`", store.location);
    let listed = retries.ask(|| archives(store, name)).await;
    listed.map_err(|error| hints::source(error, what()))
}

/// The manifest of each archive, in the order in which they come.
pub fn read_manifests(
    archives: Vec<StoredArchive>,
    at_once: usize,
    retries: RetryPolicy,
) -> impl Stream<Item = ListedBento> {
    let read = move |archive: StoredArchive| async move {
        let source = Source::Object(archive.object.clone());
        let files = peek(&source, retries).await.map_err(anyhow::Error::from);
        let details = files
            .and_then(|files| Ok(Details::read(&files)?))
            .with_context(|| format!("failed to read `{source}`"));
        ListedBento { archive, details }
    };
    stream::iter(archives).map(read).buffer_unordered(at_once)
}

/// Times of all generations, so that they sort: `2026-11-24T06:00:00`, whatever follows.
pub fn comparable(created: &str) -> String {
    created.replace(' ', "T").chars().take(26).collect()
}
