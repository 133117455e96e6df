//! What a step wants to happen next.

use serde_json::Value;

use crate::{decision_lease::Decision, owner_lease::Mark, patch::GuardedPatch, room::ScalePatch};

#[derive(Clone, Debug, PartialEq)]
pub enum Action<T> {
    /// Nothing can be done until what this line says has changed
    Wait(String),
    Patch(GuardedPatch),
    /// Writes the mark into its Lease
    Mark(Box<Mark>),
    /// The minimum of pods of a revision that is there
    Scale(ScalePatch),
    /// A revision that is of no use any more, and whose pods take room
    Delete(String),
    /// Writes what a person decided about the release, or without a value removes it
    Decide(Decision, Option<String>),
    /// The whole service, for a first release
    Create(Value),
    Done(T),
}
