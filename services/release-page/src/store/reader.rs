//! What a page asks for by itself: a manifest, a gate's report. Read when it is asked for.

use std::sync::Arc;

use anyhow::{Result, bail};
use bento_retrieve::bento::Details;

/// A file that the gate of a run left
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceFile {
    /// `verdict.json`
    Verdict,
    /// `report.html`
    Report,
    /// `record.ndjson.gz`
    Record,
}

/// Reads single objects, each within a few seconds; a clone is the same.
#[derive(Clone)]
pub struct Reader {}

impl Reader {
    /// What the manifest says; nothing where the store has no such version (any more).
    pub async fn details(&self, _name: &str, _version: &str) -> Result<Option<Arc<Details>>> {
        bail!("not yet")
    }

    /// What the gate of a run left; nothing where that is not kept.
    pub async fn evidence(
        &self,
        _service: &str,
        _version: &str,
        _run: &str,
        _file: EvidenceFile,
    ) -> Result<Option<Vec<u8>>> {
        bail!("not yet")
    }
}
