//! What a release is: its outcome, its time line, and what it released.

use jiff::Timestamp;

use crate::run::State;

/// How a release ended
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It has not
    Underway,
    /// It serves all requests
    Promoted,
    /// All requests are the version's before again
    RolledBack,
    /// There was no canary: it failed before, was refused, or another release took its place
    Failed,
}

/// One release of a service
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub namespace: String,
    pub service: String,
    pub version: String,
    /// When its first run was created
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    pub outcome: Outcome,
    /// A word for machines: the reason of a rollback's event (`gate-failed`, `manual` …); empty where
    /// nothing went wrong
    pub cause: String,
    /// A sentence for people: why it ended so, or what it waits for
    pub reason: String,
    /// Percents to climb; empty where there is nothing to climb
    pub ladder: Vec<u8>,
    /// The canary's revision; empty before there is one
    pub revision: String,
    pub baseline_revision: String,
    /// `NAME@sha256:…`; empty before there is one
    pub image: String,
    /// SHA-256 of the bento's archive
    pub bento_sha256: String,
    pub bento: String,
    /// Its runs have ended, and no task of theirs has ended it
    pub is_given_up: bool,
    /// In the order in which they began
    pub stages: Vec<Stage>,
    /// Names of its runs, in the order in which they began
    pub runs: Vec<String>,
    /// When it got each percent, in this order
    pub shares: Vec<(u8, Timestamp)>,
}

/// What a part of a release is about
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The bento's image is made
    Image,
    /// The canary starts and gets its first requests
    Canary,
    /// A gate decides about the rung of this percent
    Gate(u8),
    /// It gets this percent
    Promote(u8),
    /// It is taken back
    Rollback,
    /// An event is sent
    Event,
    /// A task that the site has added to a Pipeline
    Other,
}

/// A part of a release, of one task of one run
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub step: Step,
    /// The task in its Pipeline
    pub task: String,
    pub run: String,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    pub state: State,
    /// What it came to, in a few words: its verdict and reason, its percent, its error
    pub detail: String,
}
