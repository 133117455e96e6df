//! How releases went, for Prometheus.
//!
//! - `of_releases`: how the releases that are known went
//! - this file: these, and what the server itself does

mod of_releases;

use jiff::Timestamp;
use step::metrics::Text;

use crate::{
    counts::Counts,
    known::{Known, Source},
};

/// The text that Prometheus scrapes, of the media type `text/plain; version=0.0.4`.
pub fn metrics(known: &Known, counts: &Counts, now: Timestamp) -> String {
    let mut text = Text::default();
    of_releases::write(&mut text, known, now);

    let mut family = text.family(
        "kanaria_canary_percent",
        "gauge",
        "Percent of the requests that the canary of a service has now",
    );
    for service in &known.services {
        if let Some(canary) = &service.canary {
            let labels = [
                ("namespace", service.namespace.as_str()),
                ("service", &service.name),
                ("version", &canary.version),
            ];
            family.sample(&labels, canary.percent);
        }
    }
    let count = |all: usize| u32::try_from(all).unwrap_or(u32::MAX);
    let mut family = text.family("kanaria_services", "gauge", "InferenceServices that are shown");
    family.sample(&[], count(known.services.len()));
    let mut family = text.family("kanaria_bentos", "gauge", "Bentos in the store");
    family.sample(&[], count(known.bentos.len()));

    let help = "Whether a source answers, and is known as a whole; what it said before is shown";
    let mut family = text.family("kanaria_page_source_up", "gauge", help);
    for (name, source) in [("api-server", &known.api_server), ("store", &known.store)] {
        if *source != Source::Absent {
            family.sample(&[("source", name)], u8::from(*source == Source::Current));
        }
    }
    let help = "Requests to the API server by verb and resource, as rights name them";
    let mut family = text.family("kanaria_page_api_requests_total", "counter", help);
    for ((verb, resource), requests) in counts.api_requests() {
        family.count(&[("verb", verb), ("resource", &resource)], requests);
    }
    let help = "Changes that the API server's watches have brought, first lists with them";
    text.family("kanaria_page_watch_events_total", "counter", help)
        .count(&[], counts.watch_events());
    let help = "Objects of the store that were read, and listings of it";
    text.family("kanaria_page_store_requests_total", "counter", help)
        .count(&[], counts.store_requests());
    text.into_string()
}

#[cfg(test)]
mod tests;
