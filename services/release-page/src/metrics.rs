//! How releases went, for Prometheus.

use jiff::Timestamp;

use crate::{counts::Counts, known::Known};

/// The text that Prometheus scrapes, of the media type `text/plain; version=0.0.4`.
pub fn metrics(_known: &Known, _counts: &Counts, _now: Timestamp) -> String {
    String::new()
}
