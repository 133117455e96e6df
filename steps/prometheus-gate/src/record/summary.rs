//! A verdict and how it came about: `verdict.json`.

use serde::Serialize;
use step::text;

use crate::judge::{decided::SeenDecision, verdict::Judgement};
use crate::spec::rollout::Subject;

/// A verdict and how it came about, as it is written down.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(super) api_version: &'static str,
    pub(crate) version: &'static str,
    pub(crate) subject: Subject,
    /// What was not judged, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// Start of the rung that is judged.
    pub(crate) t0: String,
    /// The rungs below it, on which evidence began.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) climbed: String,
    pub(crate) decided_at: String,
    /// How long each criterion has to hold.
    pub(crate) hold_seconds: f64,
    pub(super) clock_offset_ms: i128,
    pub(crate) polls: u64,
    pub(crate) queries: u64,
    pub(super) spec_sha256: String,
    /// Of all answers, where they were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input_sha256: Option<String>,
    /// What people decided meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) decisions: Vec<SeenDecision>,
    #[serde(flatten)]
    pub(crate) judgement: Judgement,
}

impl Summary {
    pub(crate) fn json(&self) -> String {
        text::json(&serde_json::to_string_pretty(self).unwrap_or_default()) + "\n"
    }
}
