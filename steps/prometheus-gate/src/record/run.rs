//! All that has come in, in the form that the verdict takes; kept, and read again, line by line.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::decisions::decision::Decision;
use crate::judge::samples::{Material, Samples};
use crate::judge::{decide::Walk, verdict::Judgement};
use crate::record::line::{End, FORMAT, Last, Line, QueryKind};
use crate::record::{file::RecordFile, summary::Summary};
use crate::series::Series;
use crate::spec::resolved::{Criterion, Spec, Timing};
use crate::spec::rollout::Subject;
use crate::time::{Grid, rfc3339};

/// A gate's question, its start, and every answer so far.
pub(crate) struct Record {
    pub(crate) spec: Spec,
    /// Whose verdict it is.
    pub(crate) subject: Subject,
    /// When the canary got its first request at this percent.
    pub(crate) t0: Timestamp,
    pub(crate) samples: Samples,
    /// What the points so far have come to; nothing where they have to be looked at again.
    walk: Option<Walk>,
    /// Whether answers are forgotten whose points were judged.
    forgets: bool,
    files: Vec<RecordFile>,
    /// Where a record was wanted that is not whole. There was a warning then.
    failed: Vec<PathBuf>,
}

impl Record {
    pub(crate) fn new(spec: Spec, subject: Subject, t0: Timestamp) -> Self {
        let begun = spec.rungs.first_start(t0);
        let material = |criterion| Material::new(criterion, begun);
        let criteria = spec.criteria.iter().map(material).collect();
        let samples = Samples { criteria, ..Samples::default() };
        Self {
            spec,
            subject,
            t0,
            samples,
            walk: None,
            forgets: false,
            files: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Begins anew, before the first answer or as if before it.
    pub(crate) fn restart(&mut self, t0: Timestamp) {
        self.t0 = t0;
        self.walk = None;
        let begun = self.begun();
        for (criterion, material) in self.spec.criteria.iter().zip(&mut self.samples.criteria) {
            *material = Material::new(criterion, begun);
        }
    }

    /// Keeps no more of the answers than the next points need: there is no record to make of them.
    pub(crate) const fn forget(&mut self) {
        self.forgets = true;
    }

    /// When evidence begins: with the first rung of the release.
    pub(crate) fn begun(&self) -> Timestamp {
        self.spec.rungs.first_start(self.t0)
    }

    /// Keeps everything from now on in files, a line of JSON each. One that cannot be written is a warning: neither
    /// the verdict nor the others depend on it.
    pub(crate) fn keep_in(&mut self, paths: &[PathBuf]) {
        for path in paths {
            match RecordFile::create(path) {
                Some(file) => self.files.push(file),
                None => self.failed.push(path.clone()),
            }
        }
        let (version, spec) = (env!("CARGO_PKG_VERSION").to_owned(), Box::new(self.spec.clone()));
        let (t0, subject) = (self.t0, Box::new(self.subject.clone()));
        self.note(&Line::Gate { format: FORMAT.to_owned(), version, t0, spec, subject });
        // A person may have decided before the server told the time.
        for (now, decisions) in self.samples.decided.changes().to_vec() {
            self.note(&Line::Decisions { now, decisions });
        }
    }

    /// Whether the record in a folder was wanted and is not whole. There was a warning then.
    pub(crate) fn failed_in(&self, folder: &Path) -> bool {
        self.failed.iter().any(|path| path.parent() == Some(folder))
    }

    /// Settles by which series a preset is asked. What it was answered before is dropped; what others were, too, where
    /// a part of that is forgotten: to be judged anew it is needed whole.
    pub(crate) fn choose(&mut self, at: usize, source: &str, question: Criterion) {
        self.note(&Line::Chosen {
            criterion: at,
            source: source.to_owned(),
            question: Box::new(question.clone()),
        });
        self.spec.criteria[at] = question;
        if self.samples.criteria.iter().any(Material::has_forgotten) {
            self.restart(self.t0);
        } else {
            self.walk = None;
            let begun = self.begun();
            self.samples.criteria[at] = Material::new(&self.spec.criteria[at], begun);
        }
    }

    /// Takes an answer in, with the text that it came as.
    pub(crate) fn answer(
        &mut self,
        at: usize,
        of: QueryKind,
        grid: Grid,
        now: Timestamp,
        (series, bodies): (&[Series], Vec<Box<RawValue>>),
    ) {
        self.note(&Line::Answer { criterion: at, of, grid, now, bodies });
        self.take(at, of, grid, series);
    }

    /// Takes in what people have decided by now; says whether that is news.
    pub(crate) fn decide(&mut self, now: Timestamp, decisions: Vec<Decision>) -> bool {
        let is_first = self.samples.decided.changes().is_empty();
        let is_news = self.samples.decided.add(now, decisions);
        // What was there at the first look was there before; and a clock that was set back says that what is decided
        // now was decided before points that were looked at.
        let Timing { settle, step, .. } = self.spec.timing;
        let reached = self.walk.as_ref().and_then(|walk| walk.reached(&self.spec.timing));
        if is_news && reached.is_some_and(|next| is_first || now <= next - step + settle) {
            self.walk = None;
        }
        if let Some((now, decisions)) = self.samples.decided.changes().last().filter(|_| is_news) {
            let line = Line::Decisions { now: *now, decisions: decisions.clone() };
            self.note(&line);
        }
        is_news
    }

    pub(crate) fn error(&mut self, now: Timestamp, text: &str) {
        self.note(&Line::Error { now, text: text.to_owned() });
    }

    /// The last line, and the verdict.
    pub(crate) fn end(&mut self, end: &End) -> Summary {
        self.note(&Line::End(end.clone()));
        self.summary(end)
    }

    /// Judges all that is final at `now`: what came since the last time, and no point twice.
    pub(crate) fn judge(&mut self, now: Timestamp) -> Judgement {
        // Before the first point the past is not known yet that a comparison begins with.
        let walk = self.walk.take().filter(|walk| walk.reached(&self.spec.timing).is_some());
        let new = || Walk::new(&self.spec, self.t0, &self.samples);
        let walk = self.walk.insert(walk.unwrap_or_else(new));
        let judgement = walk.judge(&self.spec, &self.samples, now);
        if let Some(next) = walk.reached(&self.spec.timing).filter(|_| self.forgets) {
            self.samples.criteria.iter_mut().for_each(|material| material.forget(next));
        }
        judgement
    }

    pub(crate) fn take(&mut self, at: usize, of: QueryKind, grid: Grid, series: &[Series]) {
        let material = &mut self.samples.criteria[at];
        match of {
            QueryKind::Points if self.spec.criteria[at].is_counted() => {
                material.counters.names.begin_with(&material.history.names);
                material.counters.add(grid, series);
            }
            QueryKind::Points => material.points.add(grid, series),
            QueryKind::Presence => material.presence.add(grid, series),
            QueryKind::History => material.history.add(grid, series),
        }
    }

    /// The verdict as it would be written down now.
    pub(crate) fn summary(&mut self, end: &End) -> Summary {
        let mut judgement = self.judge(end.now);
        for remark in &end.remarks {
            judgement.message = format!("{}; {remark}", judgement.message);
        }
        let judgement = match &end.last {
            Last::Judged => judgement,
            Last::Aborted => judgement.aborted(),
            Last::Overridden { verdict, who } => judgement.overridden(*verdict, who),
        };
        let spec = serde_json::to_vec(&self.spec).unwrap_or_default();
        let input = (!self.forgets).then(|| {
            let mut input = Sha256::new();
            self.samples.criteria.iter().for_each(|material| material.digest(&mut input));
            hex(&input.finalize())
        });
        Summary {
            api_version: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            subject: Subject { notes: Vec::new(), ..self.subject.clone() },
            notes: self.subject.notes.clone(),
            t0: rfc3339(self.t0),
            climbed: self.spec.rungs.climbed().to_string(),
            decided_at: rfc3339(judgement.decided_at),
            hold_seconds: self.spec.timing.hold.as_secs_f64(),
            clock_offset_ms: end.clock_offset.as_millis(),
            polls: end.polls,
            queries: end.queries,
            spec_sha256: hex(&Sha256::digest(spec)),
            input_sha256: input,
            decisions: self.samples.decided.seen(),
            judgement,
        }
    }

    /// Keeps a line. Where one could not be written, nothing more is kept.
    fn note(&mut self, line: &Line) {
        for mut file in std::mem::take(&mut self.files) {
            if file.add(line) {
                self.files.push(file);
            } else {
                self.failed.push(file.path);
            }
        }
    }
}

impl Record {
    pub(super) fn has(&self, criterion: usize) -> bool {
        criterion < self.spec.criteria.len()
    }
}

#[cfg(test)]
mod tests;
