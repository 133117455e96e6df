//! The verdict: a pure function of the spec, the start, the samples and the time.
//!
//! - `samples`: what the server has answered; `cadence`: how often it scrapes
//! - `counters`: by how much raw counters grew, point by point; `growth`: at one of them
//! - `counts`: requests of a stretch of time, and how many of them failed
//! - `criterion`: one criterion from point to point; `summary`: where it stands
//! - `comparison`: the canary's requests against the baseline's; `error_rates`, `latency_bounds` and
//!   `unended`: by errors, by latencies, by requests that do not end
//! - `e_process`: the sequential tests; `dispersion`: how large the bursts are that errors come in
//! - `evidence`: what a comparison has found
//! - `decide`: one verdict from all criteria; `verdict`: what it is

pub(crate) mod cadence;
pub(crate) mod comparison;
pub(crate) mod counters;
pub(crate) mod counts;
pub(crate) mod criterion;
pub(crate) mod decide;
mod dispersion;
pub(crate) mod e_process;
mod error_rates;
pub(crate) mod evidence;
pub(crate) mod growth;
mod latency_bounds;
pub(crate) mod samples;
pub(crate) mod summary;
mod unended;
pub(crate) mod verdict;
