//! What a step wants to happen next.

use serde_json::Value;

use crate::{owner_lease::Mark, patch::GuardedPatch};

#[derive(Clone, Debug, PartialEq)]
pub enum Action<T> {
    /// Nothing can be done until what this line says has changed
    Wait(String),
    Patch(GuardedPatch),
    /// Writes the mark into its Lease
    Mark(Box<Mark>),
    /// A revision that is of no use any more, and whose pods take room
    Delete(String),
    /// The whole service, for a first release
    Create(Value),
    Done(T),
}
