//! What the triggers get of an event: its type, who it is, and the fields that a run is made of.

use serde::Serialize;

/// `extensions.event`: texts only, and each one always there, so that a binding always finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) ty: String,
    pub(crate) id: String,
    pub(crate) source: String,
    /// What is made for this event is named so
    pub(crate) name: String,
    pub(crate) correlation_id: String,
    pub(crate) hops: String,
    pub(crate) service: String,
    pub(crate) version: String,
    pub(crate) version_label: String,
    pub(crate) bento: String,
    pub(crate) bento_store: String,
    pub(crate) sha256: String,
    /// JSON, as the step takes it
    pub(crate) container: String,
    /// `true`, or empty
    pub(crate) expect_answer_shift: String,
    pub(crate) image: String,
    pub(crate) revision: String,
    pub(crate) baseline_revision: String,
    pub(crate) baseline_image: String,
    /// Percent; empty where none is given and at 0, where there is no share to judge by
    pub(crate) weight: String,
    pub(crate) started_at: String,
    /// As crate `ladder` writes it
    pub(crate) ladder: String,
    /// As crate `ladder` writes it; empty on the first rung
    pub(crate) climbed: String,
    /// Whether answers are compared, or why not, in one line
    pub(crate) answers: String,
    pub(crate) decision: String,
    /// Up to which percent the decision counts; empty where it counts up to 100
    pub(crate) percent: String,
    /// Who asks, in one line
    pub(crate) by: String,
    /// Why, in one line
    pub(crate) reason: String,
}
