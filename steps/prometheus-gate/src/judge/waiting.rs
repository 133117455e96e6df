//! What a canary waits for whose criteria hold.

use jiff::Timestamp;
use serde::Serialize;

use crate::decisions::decision::Decision;

/// What keeps a canary from its next rung whose criteria hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// What people decided is not known yet.
    Unknown,
    /// No release of the namespace climbs.
    Stopped(Decision),
    Held(Decision),
    /// No window is open.
    Closed,
    Approval,
}

/// That a verdict waits for permission.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Waiting {
    pub(crate) since: Timestamp,
    /// For what, for people.
    #[serde(rename = "for")]
    pub(crate) words: String,
    #[serde(skip)]
    pub(crate) obstacle: Obstacle,
}
