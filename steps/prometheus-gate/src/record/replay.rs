//! Comes to the verdict of a record again, without a network.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::{Context as _, Result};
use step::Failure;

use crate::prometheus::answer::parse;
use crate::record::line::{FORMAT, Line};
use crate::record::{run::Record, summary::Summary};
use crate::spec::file::usage;

/// Comes to the verdict again from a record, without a network.
pub(crate) fn replay(path: &Path) -> Result<(Summary, Record)> {
    let file = File::open(path).with_context(|| Failure {
        what: format!("failed to open record `{}`", path.display()),
        hint: "`--record FILE` writes one".to_owned(),
    })?;
    let mut record: Option<Record> = None;
    for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
        let wrong = |why: &str| {
            let (number, path) = (number + 1, path.display());
            let what = format!("line {number} of `{path}` is not that of a gate's record: {why}");
            usage(what, "a record is what `--record FILE` wrote, whole and unchanged")
        };
        let line: Line = match serde_json::from_slice(&line?) {
            Ok(line) => line,
            Err(cut) if cut.is_eof() => break, // killed while it wrote
            Err(error) => return Err(wrong(&error.to_string())),
        };
        match (line, &mut record) {
            (Line::Gate { format, t0, spec, subject, .. }, None) if format == FORMAT => {
                record = Some(Record::new(*spec, *subject, t0));
            }
            (Line::Gate { format, .. }, None) => {
                return Err(wrong(&format!("its form is `{format}`")));
            }
            (Line::Chosen { criterion, question, source }, Some(record))
                if record.has(criterion) =>
            {
                record.choose(criterion, &source, *question);
            }
            (Line::Answer { criterion, of, grid, bodies, .. }, Some(record))
                if record.has(criterion) && grid.step.is_positive() =>
            {
                let mut series = Vec::new();
                for body in bodies {
                    let part = parse(body.get().as_bytes());
                    series.extend(part.map_err(|error| wrong(&error.to_string()))?);
                }
                record.take(criterion, of, grid, &series);
            }
            (Line::Decisions { now, decisions }, Some(record)) => {
                record.samples.decided.add(now, decisions);
            }
            (Line::Error { .. }, Some(_)) => {}
            (Line::End(end), Some(_)) => {
                let Some(mut record) = record.take() else { unreachable!("it is there") };
                record.samples.failing_since = end.failing_since;
                return Ok((record.summary(&end), record));
            }
            _ => return Err(wrong("it does not fit what stands before it")),
        }
    }
    let what = format!("record `{}` has no end", path.display());
    let hint = "the gate that wrote it was killed before its verdict, or could not write all";
    Err(usage(what, hint))
}
