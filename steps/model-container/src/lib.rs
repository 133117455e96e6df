//! What a release may bring for the container of its model, and what the container is after that.
//!
//! - `rules`: which JSON is taken, from an event as from a command line
//! - `quantity`: amounts of CPU and memory as Kubernetes writes them
//! - `fields`: fields of a container, and how a release's come onto those that are there

mod fields;
mod quantity;
mod rules;

pub use fields::{BROUGHT, Fields, or_null};
pub use quantity::quantity;
pub use rules::{check, references};
