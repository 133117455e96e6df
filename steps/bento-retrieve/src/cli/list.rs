//! Prints what teammates have saved.

use std::{
    cmp::Reverse,
    io::{self, Write},
    sync::Arc,
};

use anyhow::{Context, Result};
use bento_retrieve::{
    bento::details::Details,
    bento::peek::glance,
    download::Patience,
    size::Size,
    source::Source,
    source::s3::{Saved, Store},
};
use serde_json::json;
use step::{
    Outcome,
    text::{self, short},
};
use tokio::{
    sync::Semaphore,
    task::{JoinSet, LocalSet},
    time::timeout,
};

use crate::{
    cli::args::{ListArgs, Output},
    cli::hints,
    cli::origin::{access, location, patience},
};

/// Archives that are looked into at once. More do not come faster from one store, and each may take 8 MiB.
const AT_ONCE: usize = 8;
/// The longest tag has 257 characters.
const LONGEST_CELL: usize = 260;
/// Of the last column, which makes no other wider.
const LONGEST_LAST: usize = 2000;

pub(crate) async fn list(args: ListArgs) -> Result<Outcome> {
    let ListArgs { store, bento, output, access: reach, patience: wait } = args;
    let location = location("store", &store)?;
    let store = Store::new(location, &access(reach, wait).await?).await;
    let (name, version) = match bento.as_deref().map(|bento| bento.split_once(':')) {
        Some(Some((name, version))) => (Some(name), Some(version)),
        _ => (bento.as_deref(), None),
    };
    let listed = timeout(wait.timeout, shelf(&store, name, patience(wait))).await;
    let mut shelf = listed.unwrap_or_else(|_| Err(hints::too_slow(wait.timeout)))?;
    match version {
        Some("latest") => {
            shelf.retain(|book| book.details.is_ok());
            shelf.truncate(1);
        }
        Some(version) => shelf.retain(|book| book.is(version)),
        None => {}
    }
    let text = match output {
        Output::Text if shelf.is_empty() => {
            let what = bento.map(|bento| format!(" `{bento}`")).unwrap_or_default();
            tracing::info!("there is no bento{what} in `{}`", store.location);
            return Ok(Outcome::Done);
        }
        Output::Text => table(&shelf),
        Output::Json => json(&shelf)?,
    };
    print(&text)?;
    Ok(Outcome::Done)
}

/// An archive, and what it says of itself.
pub(crate) struct Book {
    pub(crate) saved: Saved,
    pub(crate) details: Result<Details>,
}

impl Book {
    /// As the manifest says, or when the archive was saved.
    pub(crate) fn created(&self) -> &str {
        match &self.details {
            Ok(details) if !details.created.is_empty() => &details.created,
            _ => &self.saved.modified,
        }
    }

    fn is(&self, version: &str) -> bool {
        self.details.as_ref().is_ok_and(|details| details.version == version)
    }
}

/// All archives of bentos in a store, newest first.
pub(crate) async fn shelf(
    store: &Store,
    name: Option<&str>,
    patience: Patience,
) -> Result<Vec<Book>> {
    let what = || format!("failed to list `{}`", store.location);
    let saved = patience
        .ask(async || store.saved(name).await)
        .await
        .map_err(|fault| hints::fault(fault, what()))?;
    if saved.more {
        tracing::warn!(
            "there are more archives than are looked at; give a name or a longer prefix to see others"
        );
    }
    let mut shelf = LocalSet::new().run_until(look_into(saved.archives, patience)).await;
    if let Some(name) = name {
        // A key may begin with the name and mean another: `iris-v1.bento` lies beside `iris/`.
        shelf.retain(|book| {
            book.details.as_ref().map_or(book.saved.is_of(name), |details| details.name == name)
        });
    }
    shelf.sort_by_cached_key(|book| {
        Reverse((comparable(book.created()), book.saved.object.key.clone()))
    });
    Ok(shelf)
}

/// The manifest of each archive, a few at once.
async fn look_into(archives: Vec<Saved>, patience: Patience) -> Vec<Book> {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut looking = JoinSet::new();
    for saved in archives {
        let slots = Arc::clone(&slots);
        looking.spawn_local(async move {
            let _slot = slots.acquire_owned().await;
            let source = Source::Object(saved.object.clone());
            let seen = glance(&source, patience).await.map_err(anyhow::Error::from);
            let details = seen
                .and_then(|seen| Ok(Details::read(&seen)?))
                .with_context(|| format!("failed to read `{source}`"));
            Book { saved, details }
        });
    }
    looking.join_all().await
}

/// Times of all generations, so that they sort: `2026-11-24T06:00:00`, whatever follows.
fn comparable(created: &str) -> String {
    created.replace(' ', "T").chars().take(26).collect()
}

fn table(shelf: &[Book]) -> String {
    let mut rows = vec![["BENTO", "CREATED", "SIZE", "FRAMEWORK", "LABELS"].map(str::to_owned)];
    for book in shelf {
        let size = Size(book.saved.size).to_string();
        match &book.details {
            Ok(details) => {
                let labels: Vec<_> =
                    details.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                rows.push([
                    details.bento.clone(),
                    minutes(book.created()),
                    size,
                    details.framework.clone(),
                    labels.join(" "),
                ]);
            }
            Err(error) => {
                tracing::warn!("{error:#}");
                rows.push([
                    book.saved.object.key.clone(),
                    minutes(book.created()),
                    size,
                    "?".into(),
                    String::new(),
                ]);
            }
        }
    }
    columns(&rows)
}

/// Two spaces between columns as wide as what is in them. Whoever shares the store wrote it: what a
/// cell holds is text and nothing else, and no longer than leaves the other rows readable.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let shown = |row: &[String; N]| {
        let most = |column| if column + 1 == N { LONGEST_LAST } else { LONGEST_CELL };
        std::array::from_fn::<_, N, _>(|column| short(&row[column], most(column)))
    };
    let rows: Vec<_> = rows.iter().map(shown).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// `2026-11-24 06:00`, in UTC as manifests write it.
pub(crate) fn minutes(created: &str) -> String {
    created.replace('T', " ").chars().take(16).collect()
}

fn json(shelf: &[Book]) -> Result<String> {
    let rows: Vec<_> = shelf
        .iter()
        .map(|book| {
            let archive = json!({"url": book.saved.object.to_string(), "size": book.saved.size, "saved": book.saved.modified});
            match &book.details {
                Ok(details) => json!({
                    "bento": details.bento, "name": details.name, "version": details.version,
                    "created": book.created(), "framework": details.framework, "labels": details.labels,
                    "archive": archive,
                }),
                Err(error) => json!({"archive": archive, "error": format!("{error:#}")}),
            }
        })
        .collect();
    Ok(text::json(&serde_json::to_string_pretty(&rows)?) + "\n")
}

/// To stdout. A reader that goes away early, as `head` does, is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("failed to write to stdout")
        }
        _ => Ok(()),
    }
}
