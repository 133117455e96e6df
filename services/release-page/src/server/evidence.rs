//! What gates have left: reports, verdicts and records.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION},
    },
    response::Response,
};
use futures::{StreamExt as _, stream};
use maud::{DOCTYPE, PreEscaped, html};
use release_record::key::{KeptFile, RunKey};
use step::{chain, text::short};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    known::Known,
    server::{answer::of_type, headers::IsReport, shown::Shown},
};

const STORE_ANSWERS: Duration = Duration::from_secs(8);
/// Of a file, to its reader
const PIECE: usize = 64 << 10;

pub(super) fn file(name: &str) -> Option<KeptFile> {
    KeptFile::EVIDENCE.into_iter().find(|file| file.name() == name)
}

/// A file of a run of this service, which is whole in memory until it is sent: so it has one of few places.
/// A verdict that is not kept yet is what the gate knows by now.
pub(super) async fn evidence(
    (shown, places): (&Shown, &Arc<Semaphore>),
    known: &Known,
    namespace: &str,
    service: &str,
    run: &str,
    file: KeptFile,
) -> Response {
    let is_of = |found: &&Arc<_>| {
        let found: &release_record::release::Release = found;
        found.runs.iter().any(|known| known == run)
    };
    let Some(release) = known.releases_of(namespace, service).find(is_of) else {
        return absent(file, StatusCode::NOT_FOUND, "No release of this service has such a run.");
    };
    let live = known.gate(namespace, run).filter(|gate| !gate.summary.is_null());
    if let (KeptFile::Verdict, Some(gate)) = (file, live) {
        return of_type("application/json", step::text::json(&gate.summary.to_string()));
    }
    let Some(store) = &shown.store else {
        return absent(file, StatusCode::NOT_FOUND, "No store was given that reports are kept in.");
    };
    let key = RunKey {
        namespace: namespace.to_owned(),
        service: service.to_owned(),
        version: release.version.clone(),
        run: run.to_owned(),
    };
    let read = async {
        let place = Arc::clone(places).acquire_owned().await?;
        Ok(store.evidence(&key, file).await?.map(|bytes| in_pieces(bytes.into(), place)))
    };
    match timeout(STORE_ANSWERS, read).await {
        Ok(Ok(Some(body))) => kept(file, body),
        Ok(Ok(None)) => absent(
            file,
            StatusCode::NOT_FOUND,
            "Nothing is kept of this gate: it has not ended, or it is longer ago than reports are kept.",
        ),
        Ok(Err(error)) => {
            let error: anyhow::Error = error;
            let why =
                format!("The store could not be read: {}", short(&chain(error.as_ref()), 400));
            absent(file, StatusCode::BAD_GATEWAY, &why)
        }
        Err(_late) => {
            absent(file, StatusCode::GATEWAY_TIMEOUT, "The store did not answer in time.")
        }
    }
}

/// Gives the place back with the last piece.
fn in_pieces(bytes: Bytes, place: OwnedSemaphorePermit) -> Body {
    let pieces = stream::unfold((bytes, place), async |(mut rest, place)| {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), (rest, place)))
    });
    Body::from_stream(pieces.fuse()) // who packs it asks once more than there is
}

fn kept(file: KeptFile, bytes: Body) -> Response {
    let mut response = match file {
        KeptFile::Report => report(bytes),
        KeptFile::Verdict | KeptFile::Run => of_type("application/json", bytes),
        KeptFile::Record => {
            let mut response = of_type("application/gzip", bytes);
            let name = HeaderValue::from_static("attachment; filename=\"record.ndjson.gz\"");
            response.headers_mut().insert(CONTENT_DISPOSITION, name);
            response
        }
    };
    // What has ended does not change.
    let lasts = HeaderValue::from_static("private, max-age=3600");
    response.headers_mut().insert(CACHE_CONTROL, lasts);
    response
}

fn report(bytes: impl Into<Body>) -> Response {
    let mut response = of_type("text/html; charset=utf-8", bytes);
    response.extensions_mut().insert(IsReport);
    response
}

/// Why there is no such file, in a form that a frame can show.
fn absent(file: KeptFile, status: StatusCode, why: &str) -> Response {
    let mut response = if file == KeptFile::Report {
        let style =
            "body { font: 15px/1.5 system-ui, sans-serif; margin: 24px; color-scheme: light dark }";
        report(html! {
            (DOCTYPE)
            html lang="en" { head { meta charset="utf-8"; title { "No report" } style { (PreEscaped(style)) } }
                body { p { (why) } } }
        }.into_string())
    } else {
        of_type("text/plain; charset=utf-8", format!("{why}\n"))
    };
    *response.status_mut() = status;
    response
}
