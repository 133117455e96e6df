//! The verdict of a record, again, and the report of it.

use std::path::Path;

use anyhow::Result;
use step::Outcome;

use crate::judge::verdict::Verdict;
use crate::output::report;
use crate::record::{replay::replay, run::Record, summary::Summary};

/// The verdict of a record, on stdout.
pub(super) fn replay_record(record: &Path, report: Option<&Path>) -> Result<Outcome> {
    let replayed = replay(record)?;
    write_report(report, &replayed)?;
    step::print(replayed.0.json())?;
    Ok(if replayed.0.judgement.verdict == Verdict::Pass { Outcome::Done } else { Outcome::No })
}

pub(super) fn write_report(
    folder: Option<&Path>,
    (summary, record): &(Summary, Record),
) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    report::write(folder, summary, record)?;
    tracing::info!("the evidence is in `{}`", folder.join("report.html").display());
    Ok(())
}
