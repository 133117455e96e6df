//! What models answer, as counts by version: the part that knows nothing of how answers come here.
//!
//! - `json`: a document taken apart where it lies, without a copy of it
//! - `pointer`: where in a document an answer stands
//! - `config`: which answers of which service are counted
//! - `answers`: the answers in a document
//! - `counts`: how often each was given, within bounds
//! - `metrics`: the counts for Prometheus

pub mod answers;
pub mod config;
pub mod counts;
mod json;
pub mod metrics;
pub mod pointer;
