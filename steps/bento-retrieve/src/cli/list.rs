//! Prints what teammates have saved.

use std::cmp::Reverse;

use anyhow::{Context, Result};
use bento_retrieve::{
    bento::{
        Details, Tag, peek,
        store_layout::{StoredArchive, archives},
    },
    download::RetryPolicy,
    size::Size,
    source::{Object, Source, Store},
};
use futures::{StreamExt, stream};
use serde_json::json;
use step::{Failure, Outcome, print, text};
use tokio::time::timeout;

use crate::cli::{
    args::{ListArgs, Output},
    hints,
    origin::{access, location},
    output::{columns, minutes, pairs},
};

/// Archives that are looked into at once. More do not come faster from one store, and each may take 8 MiB.
const AT_ONCE: usize = 8;

pub(crate) async fn list(args: ListArgs) -> Result<Outcome> {
    let ListArgs { store, bento, output, access: reach, retries: wait } = args;
    let location = location("store", &store)?;
    let store = Store::new(location, &access(&reach, wait).await?).await;
    let (name, version) = match bento.as_deref().map(|bento| bento.split_once(':')) {
        Some(Some((name, version))) => (Some(name), Some(version)),
        _ => (bento.as_deref(), None),
    };
    let listed = timeout(wait.timeout, list_newest_first(&store, name, wait.policy())).await;
    let mut bentos = listed.unwrap_or_else(|_| Err(hints::too_slow(wait.timeout)))?;
    match version {
        Some("latest") => {
            bentos.retain(|bento| bento.details.is_ok());
            bentos.truncate(1);
        }
        Some(version) => bentos.retain(|bento| bento.is(version)),
        None => {}
    }
    print(match output {
        Output::Text if bentos.is_empty() => {
            let what = bento.map(|bento| format!(" `{bento}`")).unwrap_or_default();
            tracing::info!("there is no bento{what} in `{}`", store.location);
            return Ok(Outcome::Done);
        }
        Output::Text => table(&bentos),
        Output::Json => json(&bentos)?,
    })?;
    Ok(Outcome::Done)
}

/// An archive, and what it says of itself.
struct ListedBento {
    archive: StoredArchive,
    details: Result<Details>,
}

impl ListedBento {
    /// As the manifest says, or when the archive was saved.
    fn created(&self) -> &str {
        match &self.details {
            Ok(details) if !details.created.is_empty() => &details.created,
            _ => &self.archive.modified,
        }
    }

    fn is(&self, version: &str) -> bool {
        self.details.as_ref().is_ok_and(|details| details.version == version)
    }
}

/// All archives of bentos in a store.
async fn list_newest_first(
    store: &Store,
    name: Option<&str>,
    retries: RetryPolicy,
) -> Result<Vec<ListedBento>> {
    let what = || format!("failed to list `{}`", store.location);
    let listed = retries.ask(|| archives(store, name)).await;
    let (archives, more) = listed.map_err(|error| hints::source(error, what()))?;
    if more {
        tracing::warn!(
            "there are more archives than are looked at; give a name or a longer prefix to see others"
        );
    }
    let mut bentos = read_manifests(archives, retries).await;
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
pub(crate) async fn newest(
    store: &Store,
    tag: &Tag,
    retries: RetryPolicy,
) -> Result<(Object, Details)> {
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

/// The manifest of each archive, a few at once.
async fn read_manifests(archives: Vec<StoredArchive>, retries: RetryPolicy) -> Vec<ListedBento> {
    let read = |archive: StoredArchive| async move {
        let source = Source::Object(archive.object.clone());
        let files = peek(&source, retries).await.map_err(anyhow::Error::from);
        let details = files
            .and_then(|files| Ok(Details::read(&files)?))
            .with_context(|| format!("failed to read `{source}`"));
        ListedBento { archive, details }
    };
    stream::iter(archives).map(read).buffer_unordered(AT_ONCE).collect().await
}

/// Times of all generations, so that they sort: `2026-11-24T06:00:00`, whatever follows.
fn comparable(created: &str) -> String {
    created.replace(' ', "T").chars().take(26).collect()
}

fn table(bentos: &[ListedBento]) -> String {
    let mut rows = vec![["BENTO", "CREATED", "SIZE", "FRAMEWORK", "LABELS"].map(str::to_owned)];
    for bento in bentos {
        let [name, framework, labels] = match &bento.details {
            Ok(details) => {
                [details.bento.clone(), details.framework.clone(), pairs(&details.labels)]
            }
            Err(error) => {
                tracing::warn!("{error:#}");
                [bento.archive.object.key.clone(), "?".into(), String::new()]
            }
        };
        let size = Size(bento.archive.size).to_string();
        rows.push([name, minutes(bento.created()), size, framework, labels]);
    }
    columns(&rows)
}

fn json(bentos: &[ListedBento]) -> Result<String> {
    let rows: Vec<_> = bentos
        .iter()
        .map(|bento| {
            let archive = json!({"url": bento.archive.object.to_string(), "size": bento.archive.size, "saved": bento.archive.modified});
            match &bento.details {
                Ok(details) => json!({
                    "bento": details.bento, "name": details.name, "version": details.version,
                    "created": bento.created(), "framework": details.framework, "labels": details.labels,
                    "archive": archive,
                }),
                Err(error) => json!({"archive": archive, "error": format!("{error:#}")}),
            }
        })
        .collect();
    Ok(text::json(&serde_json::to_string_pretty(&rows)?) + "\n")
}
