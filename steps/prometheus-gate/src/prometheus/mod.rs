//! Prometheus, as far as a gate asks it.

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod discovery;
pub(crate) mod error;
mod signature;
mod signature_error;
pub(crate) mod text;
