//! Where one criterion stands, as it is written down and shown.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::judge::{evidence::Evidence, trail::Trail};
use crate::spec::resolved::Role;

/// Where one criterion stands, as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CriterionSummary {
    pub(crate) name: String,
    pub(crate) query: String,
    /// What its numbers count.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) unit: String,
    pub(crate) role: Role,
    #[serde(rename = "state")]
    pub(crate) standing: Standing,
    pub(crate) points: Points,
    /// Part of the points of the run that are good, 0 to 1.
    pub(crate) coverage: f64,
    pub(crate) held_seconds: f64,
    #[serde(skip)]
    pub(crate) held: SignedDuration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Sample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worst: Option<Sample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<Evidence>,
    /// Requests to the canary that a pass still needs at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_requests: Option<f64>,
    /// Requests to the canary that were judged.
    #[serde(skip)]
    pub(crate) requests: f64,
    /// Whether any were looked at yet.
    #[serde(skip)]
    pub(crate) has_looked: bool,
    /// What a reader has to know about the series that it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// The same for a person.
    pub(crate) description: String,
    /// What a good point shows, for a person.
    #[serde(skip)]
    pub(crate) good_means: String,
    /// What each point showed, for a picture.
    #[serde(skip)]
    pub(crate) trail: Trail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    Warmup,
    Missing,
    Bad,
    Holding,
    Held,
    Failed,
}

/// How many points of each class there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Points {
    pub(crate) good: usize,
    pub(crate) bad: usize,
    pub(crate) missing: usize,
    pub(crate) unknown: usize,
    pub(crate) warmup: usize,
}

/// A value and when it was; NaN and infinities are text, as JSON has no such numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub(crate) t: Timestamp,
    #[serde(serialize_with = "number")]
    pub(crate) v: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn number<S: serde::Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { to.serialize_f64(*value) } else { to.collect_str(value) }
}
