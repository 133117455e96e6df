//! All that has come in, in the form that the verdict takes; kept, and read again, line by line.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use step::{
    Failure, Usage,
    text::{self, hex},
};

use crate::{
    prometheus,
    record::Record,
    samples::{Material, Samples, Series},
    spec::{Criterion, Ms, Spec},
    subject::Subject,
    verdict::{Judgement, Verdict, verdict},
};

/// A gate's question, its start, and every answer so far.
pub(crate) struct Ledger {
    pub(crate) spec: Spec,
    /// Whose verdict it is.
    pub(crate) subject: Subject,
    pub(crate) t0: Ms,
    pub(crate) samples: Samples,
    record: Option<Record>,
    record_failed: bool,
}

/// Which of a criterion's questions an answer is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Of {
    Points,
    Presence,
    History,
}

/// The points `from`, `from + step`, … `to`.
pub(crate) type Span = (Ms, Ms, Ms);

/// How a gate ended, as far as that does not follow from the answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Last {
    Judged,
    Aborted,
    Overridden { verdict: Verdict, who: String },
}

/// What cannot be derived from the answers again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) now: Ms,
    pub(crate) clock_offset_ms: Ms,
    pub(crate) polls: u64,
    pub(crate) queries: u64,
    pub(crate) failing_since: Option<Ms>,
    pub(crate) last: Last,
    /// What a reader of the reason should know besides.
    #[serde(default)]
    pub(crate) remarks: Vec<String>,
}

/// One line of a record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    Gate {
        format: String,
        version: String,
        t0: Ms,
        spec: Spec,
        #[serde(default)]
        subject: Box<Subject>,
    },
    Chosen {
        criterion: usize,
        source: String,
        question: Box<Criterion>,
    },
    Answer {
        criterion: usize,
        of: Of,
        span: Span,
        now: Ms,
        bodies: Vec<Box<RawValue>>,
    },
    Trouble {
        now: Ms,
        text: String,
    },
    End(End),
}

/// The form of records; another number is another form.
const FORMAT: &str = "gate/v1";

impl Ledger {
    pub(crate) fn new(spec: Spec, t0: Ms) -> Self {
        let material = |criterion| Material::new(criterion, t0);
        let samples =
            Samples { criteria: spec.criteria.iter().map(material).collect(), failing_since: None };
        let subject = Subject::default();
        Self { spec, subject, t0, samples, record: None, record_failed: false }
    }

    /// Begins anew at another start, before the first answer.
    pub(crate) fn restart(&mut self, t0: Ms) {
        self.t0 = t0;
        for (criterion, material) in self.spec.criteria.iter().zip(&mut self.samples.criteria) {
            *material = Material::new(criterion, t0);
        }
    }

    /// Keeps everything from now on in a file, a line of JSON each. A file that cannot be written
    /// is a warning: the verdict does not depend on it.
    pub(crate) fn record(&mut self, path: &Path) {
        self.record = Record::create(path);
        let (version, spec) = (env!("CARGO_PKG_VERSION").to_owned(), self.spec.clone());
        self.record_failed = self.record.is_none();
        let (t0, subject) = (self.t0, Box::new(self.subject.clone()));
        self.note(&Line::Gate { format: FORMAT.to_owned(), version, t0, spec, subject });
    }

    /// Whether a record was wanted and is not whole. That has been told.
    pub(crate) const fn record_failed(&self) -> bool {
        self.record_failed
    }

    /// Settles by which series a preset is asked. What was asked before is forgotten.
    pub(crate) fn choose(&mut self, at: usize, source: &str, question: Criterion) {
        self.note(&Line::Chosen {
            criterion: at,
            source: source.to_owned(),
            question: Box::new(question.clone()),
        });
        self.samples.criteria[at] = Material::new(&question, self.t0);
        self.spec.criteria[at] = question;
    }

    /// Takes an answer in, with the text that it came as.
    pub(crate) fn answer(
        &mut self,
        at: usize,
        of: Of,
        span: Span,
        now: Ms,
        (series, bodies): (&[Series], Vec<Box<RawValue>>),
    ) {
        self.note(&Line::Answer { criterion: at, of, span, now, bodies });
        self.take(at, of, span, series);
    }

    pub(crate) fn trouble(&mut self, now: Ms, text: &str) {
        self.note(&Line::Trouble { now, text: text.to_owned() });
    }

    /// The last line, and the verdict.
    pub(crate) fn end(&mut self, end: &End) -> Account {
        self.note(&Line::End(end.clone()));
        self.account(end)
    }

    pub(crate) fn judge(&self, now: Ms) -> Judgement {
        verdict(&self.spec, self.t0, &self.samples, now)
    }

    fn take(&mut self, at: usize, of: Of, span: Span, series: &[Series]) {
        let material = &mut self.samples.criteria[at];
        match of {
            Of::Points if self.spec.criteria[at].is_counted() => {
                material.counters.add(span, series);
            }
            Of::Points => material.points.add(span, series),
            Of::Presence => material.presence.add(span, series),
            Of::History => material.history.add(span, series),
        }
    }

    fn account(&self, end: &End) -> Account {
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
        let mut input = Sha256::new();
        for material in &self.samples.criteria {
            material.digest(&mut input);
        }
        Account {
            api_version: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            subject: self.subject.clone(),
            t0: rfc3339(self.t0),
            decided_at: rfc3339(judgement.decided_at),
            clock_offset_ms: end.clock_offset_ms,
            polls: end.polls,
            queries: end.queries,
            spec_sha256: hex(&Sha256::digest(spec)),
            input_sha256: hex(&input.finalize()),
            judgement,
        }
    }

    /// Keeps a line. After one that failed, nothing more is kept.
    fn note(&mut self, line: &Line) {
        if let Some(record) = self.record.take() {
            self.record = record.note(line);
            self.record_failed = self.record.is_none();
        }
    }
}

/// A verdict and how it came about, as it is written down.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    api_version: &'static str,
    pub(crate) version: &'static str,
    pub(crate) subject: Subject,
    pub(crate) t0: String,
    pub(crate) decided_at: String,
    clock_offset_ms: Ms,
    pub(crate) polls: u64,
    pub(crate) queries: u64,
    spec_sha256: String,
    input_sha256: String,
    #[serde(flatten)]
    pub(crate) judgement: Judgement,
}

impl Account {
    pub(crate) fn json(&self) -> String {
        text::json(&serde_json::to_string_pretty(self).unwrap_or_default()) + "\n"
    }
}

/// Comes to the verdict again from a record, without a network.
pub(crate) fn replay(path: &Path) -> Result<(Account, Ledger)> {
    let file = File::open(path).with_context(|| Failure {
        what: format!("failed to open record `{}`", path.display()),
        hint: "`--record FILE` writes one".to_owned(),
    })?;
    let mut ledger: Option<Ledger> = None;
    for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
        let wrong = |why: &str| Usage {
            what: format!(
                "line {} of `{}` is not that of a gate's record: {why}",
                number + 1,
                path.display()
            ),
            hint: "a record is what `--record FILE` wrote, whole and unchanged".to_owned(),
        };
        let line: Line = match serde_json::from_slice(&line?) {
            Ok(line) => line,
            Err(cut) if cut.is_eof() => break, // killed while it wrote
            Err(error) => return Err(wrong(&error.to_string()).into()),
        };
        match (line, &mut ledger) {
            (Line::Gate { format, t0, spec, subject, .. }, None) if format == FORMAT => {
                ledger = Some(Ledger { subject: *subject, ..Ledger::new(spec, t0) });
            }
            (Line::Gate { format, .. }, None) => {
                return Err(wrong(&format!("its form is `{format}`")).into());
            }
            (Line::Chosen { criterion, question, source }, Some(ledger))
                if ledger.has(criterion) =>
            {
                ledger.choose(criterion, &source, *question);
            }
            (Line::Answer { criterion, of, span, bodies, .. }, Some(ledger))
                if ledger.has(criterion) && span.2 > 0 =>
            {
                let mut series = Vec::new();
                for body in bodies {
                    let part = prometheus::parse(body.get().as_bytes());
                    series.extend(part.map_err(|trouble| wrong(&trouble.to_string()))?);
                }
                ledger.take(criterion, of, span, &series);
            }
            (Line::Trouble { .. }, Some(_)) => {}
            (Line::End(end), Some(_)) => {
                let Some(mut ledger) = ledger.take() else { unreachable!("it is there") };
                ledger.samples.failing_since = end.failing_since;
                return Ok((ledger.account(&end), ledger));
            }
            _ => return Err(wrong("it does not fit what stands before it").into()),
        }
    }
    let what = format!("record `{}` has no end", path.display());
    Err(Usage {
        what,
        hint: "the gate that wrote it was killed before its verdict, or could not write all"
            .to_owned(),
    }
    .into())
}

impl Ledger {
    fn has(&self, criterion: usize) -> bool {
        criterion < self.spec.criteria.len()
    }
}

/// A moment in UTC, to the second.
pub(crate) fn rfc3339(moment: Ms) -> String {
    let since = std::time::Duration::from_millis(moment.unsigned_abs());
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}
