//! The verdict of a record, again, and the report of it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use step::Outcome;

use crate::judge::verdict::Verdict;
use crate::output::report;
use crate::record::{replay::replay, run::Record, summary::Summary};

/// The verdict of a record, on stdout.
pub(super) fn replay_record(record: &Path, reports: &[PathBuf]) -> Result<Outcome> {
    let replayed = replay(record)?;
    for folder in reports {
        write_report(folder, &replayed)?;
    }
    step::print(replayed.0.json())?;
    Ok(if replayed.0.judgement.verdict == Verdict::Pass { Outcome::Done } else { Outcome::No })
}

pub(super) fn write_report(folder: &Path, (summary, record): &(Summary, Record)) -> Result<()> {
    report::write(folder, summary, record)?;
    tracing::info!("the evidence is in `{}`", folder.join("report.html").display());
    Ok(())
}
