//! Comes to the verdict of a record again, without a network.

use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read};

use anyhow::{Error, Result};
use flate2::read::MultiGzDecoder;
use step::Failure;

use crate::prometheus::answer::parse;
use crate::record::line::{FORMAT, Line};
use crate::record::{run::Record, summary::Summary};
use crate::spec::file::usage;

/// Twice what a gate writes: what unpacks to more was not written by one.
const LARGEST: u64 = 2 * crate::record::file::LARGEST;

/// Several times the largest answer that a gate takes.
const LONGEST_LINE: u64 = 64 << 20;

/// What every file that gzip has packed begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Comes to the verdict again from a record, packed by gzip or not; `shown` is its name for people.
pub(crate) fn replay(record: impl Read + 'static, shown: &str) -> Result<(Summary, Record)> {
    let mut lines = Lines { reader: unpacked(record, shown)?, shown, left: LARGEST };
    let judged = judged(&mut lines, shown)?;
    while lines.next()?.is_some() {} // only then is it known that all came, and as it was written
    Ok(judged)
}

fn unpacked(mut record: impl Read + 'static, shown: &str) -> Result<Box<dyn BufRead>> {
    let mut start = Vec::new();
    let read = record.by_ref().take(2).read_to_end(&mut start);
    read.map_err(|cause| unreadable(cause.into(), shown))?;
    let is_packed = start == GZIP;
    let whole = Cursor::new(start).chain(record);
    Ok(if is_packed {
        Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(whole))))
    } else {
        Box::new(BufReader::new(whole))
    })
}

fn unreadable(cause: Error, shown: &str) -> Error {
    cause.context(Failure {
        what: format!("failed to read record `{shown}`"),
        hint: "a record is what `--record FILE` wrote, packed by gzip or not".to_owned(),
    })
}

/// The lines of a record, none of them longer than there is memory for.
struct Lines<'a> {
    reader: Box<dyn BufRead>,
    shown: &'a str,
    /// So many bytes may still come.
    left: u64,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let most = LONGEST_LINE.min(self.left);
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut line);
        let read = match read {
            Ok(read) => read as u64,
            // Its writer was killed, or its download cut, which the download tells.
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(cause) => return Err(unreadable(cause.into(), self.shown)),
        };
        if read == most {
            let what = format!("record `{}` is larger than a gate writes", self.shown);
            return Err(usage(what, "name what a gate's `--record` has written"));
        }
        self.left -= read;
        line.pop_if(|last| *last == b'\n');
        Ok(Some(line).filter(|_| read > 0))
    }
}

fn judged(lines: &mut Lines, shown: &str) -> Result<(Summary, Record)> {
    let mut record: Option<Record> = None;
    let mut number = 0;
    while let Some(line) = lines.next()? {
        number += 1;
        let wrong = |why: &str| {
            let what = format!("line {number} of `{shown}` is not that of a gate's record: {why}");
            usage(what, "a record is what `--record FILE` wrote, whole and unchanged")
        };
        let line: Line = match serde_json::from_slice(&line) {
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
    let what = format!("record `{shown}` has no end");
    let hint = "the gate that wrote it was killed before its verdict, or could not write all";
    Err(usage(what, hint))
}
