//! What the steps and services know of CloudEvents 1.0 beyond what `cloudevents-sdk` does.
//!
//! - `json_format`: an event as JSON text, read
//! - `event`: attributes and data as they were typed or read, checked, and the SDK's event of them
//! - `validate`: the specification's rules
//! - `http_binding`: the event as an HTTP request, structured or binary
//! - `id`: ids of events, and the names of objects that are made from them
//! - `run_event`: the event that a step of a run leaves in a file, with its place in the chain

pub mod event;
pub mod http_binding;
pub mod id;
pub mod json_format;
pub mod run_event;
pub mod validate;
