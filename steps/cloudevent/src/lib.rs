//! What the steps and services know of CloudEvents 1.0: the rules of their attributes, JSON format
//! and HTTP binding, and the ids and names that follow from what an event says.

pub mod event;
pub mod id;
pub mod rules;
pub mod wire;
