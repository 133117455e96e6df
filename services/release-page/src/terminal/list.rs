//! The services: who gets which part of the requests, how far a release is, and how the last one ended.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bento_retrieve::request::Output;
use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Failure, Outcome, Terminated, columns, print, text};
use tokio::time::timeout;

use crate::{
    known::{Known, Source},
    options::Options,
    sources::{Sources, start},
    terminal::{
        args::{ListArgs, refuse_surplus},
        json::{decisions, release, split},
        row::{Row, rows},
        watch::unread,
        words,
    },
};

/// Longest wait for what gates see, which are asked only once somebody lists them.
const GATES: Duration = Duration::from_secs(8);

/// Prints the services as they are now.
pub async fn list(args: ListArgs, mut terminated: Terminated) -> Result<Outcome> {
    let ListArgs { surplus, options, output, timeout } = args;
    refuse_surplus(
        &surplus,
        "`list` shows all services and takes no name",
        "write `list --namespace NAME` for those of a namespace, and `watch SERVICE` to follow one",
    )?;
    let has_namespaces = options.all_namespaces || options.namespaces.len() > 1;
    let mut sources = start(without_bentos(options)).await?;
    let picture = tokio::select! {
        picture = picture(&mut sources, timeout) => picture?,
        () = terminated.wait() => return Ok(Outcome::Terminated),
    };
    let (rows, now) = (rows(&picture), Timestamp::now());
    match output {
        Output::Text if rows.is_empty() => tracing::info!("there is no service"),
        Output::Text => print(table(&rows, has_namespaces, now))?,
        Output::Json => print(objects(&rows)?)?,
    }
    whole(&picture, timeout)?;
    Ok(Outcome::Done)
}

/// The models of the store are many, and none of them is listed here; what is kept of releases is.
fn without_bentos(options: Options) -> Options {
    let beside = || Some(format!("{}/releases", options.store.as_ref()?.trim_end_matches('/')));
    Options { releases: options.releases.clone().or_else(beside), store: None, ..options }
}

/// What there is once all lists were read, or one of them cannot be; with what gates see.
async fn picture(sources: &mut Sources, limit: Duration) -> Result<Arc<Known>> {
    let Sources { known, interest, .. } = sources;
    let is_read = |known: &Known| {
        ![&known.api_server, &known.store].into_iter().any(|source| *source == Source::Loading)
    };
    let ended = || "failed to read the cluster: what reads it has ended";
    if let Ok(read) = timeout(limit, known.wait_for(|known| is_read(known))).await {
        drop(read.with_context(ended)?);
    }
    let first = Arc::clone(&known.borrow());
    if first.api_server != Source::Current {
        return Err(unread(&first.api_server, limit).into());
    }
    for row in rows(&first).iter().filter(|row| row.runs_gate()) {
        interest.look(row.namespace, row.name);
    }
    let have_looked =
        |known: &Known| rows(known).iter().all(|row| !row.runs_gate() || row.gate.is_some());
    if let Ok(looked) = timeout(GATES.min(limit), known.wait_for(|known| have_looked(known))).await
    {
        drop(looked.with_context(ended)?);
    }
    Ok(Arc::clone(&known.borrow()))
}

/// Says what is missing.
fn whole(known: &Known, limit: Duration) -> Result<()> {
    for sentence in &known.missing {
        tracing::warn!("{sentence}");
    }
    let why = match (&known.api_server, &known.store) {
        (Source::Away { error, .. }, _) => format!("the API server is away: {error}"),
        (_, Source::Away { error, .. }) => format!("the store of ended releases is away: {error}"),
        (_, Source::Loading) => {
            format!("the store of ended releases was not read within {} s", limit.as_secs())
        }
        _ if !known.missing.is_empty() => "see the warnings".to_owned(),
        _ => return Ok(()),
    };
    Err(Failure {
        what: format!("failed to list all that there is: {why}"),
        hint: "what is listed was read; run it again for the rest".into(),
    }
    .into())
}

fn table(rows: &[Row<'_>], has_namespaces: bool, now: Timestamp) -> String {
    let heads = ["NAMESPACE", "SERVICE", "SPLIT", "STATE", "LAST RELEASE"].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        let (namespace, name) = (row.namespace.to_owned(), row.name.to_owned());
        let split = row.service.map(|service| words::split(&service.split)).unwrap_or_default();
        [namespace, name, split, row.state(now), row.last_release(now)]
    });
    let all: Vec<_> = [heads].into_iter().chain(cells).collect();
    if has_namespaces {
        columns(&all)
    } else {
        columns(&all.into_iter().map(|[_, rest @ ..]| rest).collect::<Vec<_>>())
    }
}

fn objects(rows: &[Row<'_>]) -> Result<String> {
    let rows: Vec<_> = rows.iter().map(object).collect();
    Ok(text::json(&serde_json::to_string_pretty(&rows)?) + "\n")
}

fn object(row: &Row<'_>) -> Value {
    let service = row.service;
    let canary = service.and_then(|service| service.canary.as_ref());
    let canary = canary.map(|canary| {
        json!({
            "version": canary.version, "revision": canary.revision, "percent": canary.percent,
            "since": canary.since, "run": canary.run,
        })
    });
    let gate = row.gate.map(
        |gate| json!({ "lookedAt": gate.looked_at, "error": gate.error, "summary": gate.summary }),
    );
    let decided = service.map(|service| decisions(service)).unwrap_or_default();
    json!({
        "namespace": row.namespace, "name": row.name,
        "url": service.map(|service| &service.url),
        "state": row.state_name(),
        "message": service.map(|service| &service.message),
        "split": service.map(|service| split(&service.split)),
        "canary": canary, "gate": gate,
        "decisions": decided["decisions"], "stopped": decided["stopped"],
        "release": row.under_way.map(|under_way| release(under_way)),
        "lastRelease": row.last.map(|last| release(last)),
    })
}

#[cfg(test)]
mod tests;
