//! The verdict of a record, again, and the report of it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Error, Result};
use bento_retrieve::{
    download::{Download, pipe},
    hints,
    request::{AccessArgs, Origin, RetryArgs, access, find},
    source::SourceError,
};
use step::{Failure, Outcome, Terminated};
use tokio::task::spawn_blocking;

use crate::judge::verdict::Verdict;
use crate::output::report;
use crate::record::{replay::replay, run::Record, summary::Summary};

/// Somebody waits for it.
const RETRIES: RetryArgs = RetryArgs {
    timeout: Duration::from_mins(10),
    idle_timeout: Duration::from_secs(30),
    retries: 4,
};

/// The verdict of a record, on stdout.
pub(super) async fn replay_record(
    record: String,
    from: &AccessArgs,
    reports: &[PathBuf],
    terminated: &mut Terminated,
) -> Result<Outcome> {
    let replayed = tokio::select! {
        replayed = read(record, from) => replayed?,
        () = terminated.wait() => return Ok(Outcome::Terminated),
    };
    for folder in reports {
        write_report(folder, &replayed)?;
    }
    step::print(replayed.0.json())?;
    Ok(if replayed.0.judgement.verdict == Verdict::Pass { Outcome::Done } else { Outcome::No })
}

/// Reads a record where it lies: in a file, in a store, or on a page.
async fn read(record: String, from: &AccessArgs) -> Result<(Summary, Record)> {
    if !record.contains("://") {
        let file = File::open(&record).with_context(|| Failure {
            what: format!("failed to open record `{record}`"),
            hint: "`--record FILE` writes one".to_owned(),
        })?;
        return spawn_blocking(move || replay(file, &record)).await?;
    }
    let access = access(from, RETRIES).await?;
    let origin = Origin::new(None, Some(record), &access)?;
    let found = find(&origin, None, &access, RETRIES.policy()).await;
    let (source, opened) = found.map_err(|error| if_missing(error, &origin))?;
    let (writer, reader) = pipe();
    let progress = bento_retrieve::progress::Progress::default();
    let download = Download::new(&source, opened, RETRIES.policy(), 1, writer, &progress);
    let shown = source.to_string();
    let replaying = spawn_blocking(move || replay(reader, &shown));
    let (received, replayed) = tokio::join!(download.run(None), replaying);
    match received {
        Err(error) => Err(hints::source(error, format!("failed to read record `{source}`"))),
        Ok(_) => replayed?,
    }
}

/// Where records lie that are kept.
fn if_missing(error: Error, origin: &Origin) -> Error {
    if !matches!(error.downcast_ref(), Some(SourceError::NoObject)) {
        return error;
    }
    Failure {
        what: format!("there is no record `{origin}`"),
        hint: "releases that are kept have theirs as `SERVICE/VERSION/NAMESPACE.RUN/record.ndjson.gz` below the setting \
               `releases`, for as long as `releases-retention` says"
            .to_owned(),
    }
    .into()
}

pub(super) fn write_report(folder: &Path, (summary, record): &(Summary, Record)) -> Result<()> {
    report::write(folder, summary, record)?;
    tracing::info!("the evidence is in `{}`", folder.join("report.html").display());
    Ok(())
}
